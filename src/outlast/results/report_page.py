"""The page of a report: one file that needs nothing else and asks nobody for anything.

Its parts lie in ``page/``: a frame, a style, scripts. A policy in its head allows that style and that script by their hashes
and no request at all (https://www.w3.org/TR/CSP3/). What a study says reaches it as data, in an element that no browser runs.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from outlast.core.plain_json import plain_json

_SCRIPTS = (
    "base.js", "charts.js", "trials.js", "points.js", "lines.js", "timeline.js", "figures.js", "table.js", "detail.js",
    "heading.js", "sections.js", "happened.js", "followups.js", "analysis.js", "compare.js", "main.js",
)  # fmt: skip
_PLACE = re.compile(r"<!--(policy|title|style|data|script)-->")
#: Where a script element could end, or an old parser think that a comment begins; and what was no JavaScript before ES2019.
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPES = str.maketrans(_ESCAPED)


def report_page(data: Mapping[str, Any], *, title: str, mark: int = 0) -> str:
    """Put the page together.

    Args:
        data: What it shows, plain data.
        title: Of the page, for the browser's tab.
        mark: From how much of the study it was drawn; stays in the page, for `outlast.engine.derived.report_mark`.

    Returns:
        The whole page.
    """
    script = "\n".join(['"use strict";', *map(part, _SCRIPTS)])
    page, _ = put_together(part("page.html"), title=title, style=part("page.css"), script=script, data=data)
    return f"{page.rstrip()}\n<!-- outlast: {mark} -->\n"


def put_together(
    frame: str, *, title: str, style: str, script: str, data: Mapping[str, Any], also: str = ""
) -> tuple[str, str]:
    """A page that runs this script and no other.

    Args:
        frame: With places for the rest.
        title: For the browser's tab.
        style: Its CSS.
        script: Its JavaScript.
        data: Plain data, which the script finds as JSON.
        also: What its policy allows beside.

    Returns:
        The page, and its policy (https://www.w3.org/TR/CSP3/), which stands in its head as well.
    """
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        f"base-uri 'none'; form-action 'none'{also}"
    )
    parts = {
        "policy": f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "title": html.escape(_valid(title)),
        "style": f"<style>{style}</style>",
        "data": f'<script id="data" type="application/json">{as_data(data)}</script>',
        "script": f"<script>{script}</script>",
    }
    return _PLACE.sub(lambda place: parts[place[1]], frame), policy  # once: what was put in is not looked at again


def as_data(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element of a page, whatever the texts in it say."""
    text = json.dumps(plain_json(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return _valid(text.translate(_ESCAPES))


def part(name: str) -> str:
    """One of the files that pages are made of."""
    return resources.files("outlast.results").joinpath("page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _valid(text: str) -> str:
    """Text that can be written as UTF-8: a name that is none (a lone surrogate) is shown escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
