"""The live view in a notebook: one output of the cell, brought up to date in place; nothing can be pressed there."""

from __future__ import annotations

import contextlib
import html
import os
import time

from outlast._system.notebooks import is_notebook
from outlast.api.cell import CellOutput, Page
from outlast.api.cell_page import page_of
from outlast.cli.live.choice import Choice
from outlast.cli.live.lines import Shown, Window
from outlast.cli.live.picture import picture
from outlast.cli.render.styled import Text
from outlast.cli.targets.locate_several import one_or_several
from outlast.engine.record.look import Looker
from outlast.engine.record.look_many import ManyLooker
from outlast.monitor.overview import Overview

_WINDOW = Window(100, 40)
_CSS = {
    "bold": "font-weight:bold", "dim": "opacity:.65", "red": "color:#c62828", "green": "color:#2e7d32", "cyan": "color:#00838f",
    "yellow": "color:#b26a00", "blue": "color:#1565c0", "magenta": "color:#8e24aa",
}  # fmt: skip


def watch(dir: str | os.PathLike[str] | None = None, *, every: float = 1.0) -> None:
    """Show how a search, a campaign, or every search below a folder goes, until nothing runs there any more.

    In a notebook that is one output, which is brought up to date; elsewhere it is ``outlast status -w``. Interrupting it stops
    nothing but the looking.

    Args:
        dir: The folder; the only study here by default.
        every: Seconds between two looks, in a notebook.

    Raises:
        outlast.errors.StudyNotFound: There is no study.
    """
    folder, several = one_or_several(None if dir is None else os.fspath(dir), None)
    look = ManyLooker(folder).look if several else Looker(folder).overview
    if not is_notebook():
        from outlast.cli.live import onlooker

        onlooker.watch(look, several=several)
        return
    overview, output = look(), CellOutput()
    output.show(page(overview))
    with contextlib.suppress(KeyboardInterrupt):
        while overview.is_live:
            time.sleep(every)
            overview = look()
            output.show(page(overview))


def page(overview: Overview) -> Page:
    """What is shown: of one study what its own cell shows, of several a line each."""
    if len(overview.sights) == 1 and not overview.is_campaign:
        return page_of(overview)
    lines = picture(Shown(overview), Choice(), _WINDOW)
    body = "\n".join(map(html_of, lines))
    return Page(f'<pre style="line-height:1.25">{body}</pre>', "\n".join(line.plain for line in lines))


def html_of(line: Text) -> str:
    """A line with its styles; whatever a name holds is text."""
    styles = [line.style] * len(line.plain)
    for begin, end, style in line.spans:
        for at in range(begin, end):
            styles[at] = f"{styles[at]} {style}"
    found, last = "", ""
    for letter, style in zip(line.plain, styles, strict=True):
        css = ";".join(_CSS[word] for word in style.split() if word in _CSS)
        if css != last:
            found += ("</span>" if last else "") + (f'<span style="{css}">' if css else "")
            last = css
        found += html.escape(letter)
    return found + ("</span>" if last else "")
