"""The page itself: the report's charts, tables and style, and what keeps them up to date.

It holds nothing of any study. Its policy allows its own script and style by their hashes, and questions to its own server.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from outlast.results.report_page import part, put_together

#: Of the report's page, what is drawn here as well.
_SHARED = (
    "base.js", "charts.js", "trials.js", "points.js", "lines.js", "table.js", "detail.js", "heading.js", "sections.js",
    "timeline.js", "happened.js",
)  # fmt: skip
_OWN = ("morph.js", "asking.js", "cards.js", "at_work.js", "following.js", "study.js", "start.js")
_ALSO = "; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"


@cache
def _written() -> tuple[str, str, str]:
    script = "\n".join(['"use strict";', *map(part, _SHARED), *map(_own, _OWN)])
    return script, part("page.css") + _own("live.css"), _own("live.html")


@cache
def version() -> str:
    """Of the page's script: a page of an earlier one loads itself again."""
    return hashlib.sha256("".join(_written()).encode()).hexdigest()[:12]


def page(*, key: str | None, may_stop: bool) -> tuple[str, str]:
    """The page and its policy.

    Args:
        key: For whoever came with the token; a page that was loaded again has it already.
        may_stop: Whether it offers to stop what runs.
    """
    script, style, frame = _written()
    data = {"key": key, "may_stop": may_stop, "version": version()}
    text, policy = put_together(frame, title="Outlast", style=style, script=script, data=data, also=_ALSO)
    return text, f"{policy}; frame-ancestors 'none'"


def _own(name: str) -> str:
    return resources.files("outlast.serve").joinpath("live").joinpath(name).read_text(encoding="utf-8")
