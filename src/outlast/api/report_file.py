"""The page of a study: drawn into its folder, and shown below a cell."""

from __future__ import annotations

import html
import os

from outlast._system.notebooks import is_notebook
from outlast.study.home import home_of, live_of
from outlast.study.layout import StudyPaths

_MOST_SHOWN = 5_000_000  # characters of a page inside a notebook, which is saved with it


def draw(folder: str, *, output: str | None = None, behind: bool = False) -> str:
    """Draw the page of the study in a folder. Returns its path.

    Args:
        folder: The study's, or its home.
        output: Where to; ``report.html`` in the home folder, or where the search runs, by default.
        behind: For a process behind a run: a newer page is left as it is, and the home is not written.

    Raises:
        StudyNotFound: There is none.
        OSError: The disk refused.
    """
    from outlast.engine.derived.report import draw_report
    from outlast.engine.derived.report_mark import is_newer
    from outlast.engine.record.at_a_glance import keep_what_it_adds_up_to
    from outlast.engine.record.look import look
    from outlast.engine.record.recorded import study_paths

    live = live_of(folder)
    if behind:  # it has to read all of a long ledger in any case, and nobody waits for it
        keep_what_it_adds_up_to(StudyPaths.at(live))
    snapshot, study, settings = look(live)
    paths = study_paths(live, settings)
    if behind:
        paths = paths.from_here()
    home = None if behind else home_of(paths)
    path = output or os.fspath((home or paths).report)
    if not (behind and is_newer(path, study)):
        draw_report(paths, study, settings, status=snapshot.to_json(), path=path)
    return path


def show_below(path: str, *, height: int = 720) -> None:
    """In a notebook, show a page below the cell: inside the notebook itself, as front ends reach no file beside it."""
    if not is_notebook():
        return
    from IPython.display import display

    with open(path, encoding="utf-8") as file:
        page = file.read()
    shown = f"<p>The page is in {html.escape(path)}; it is too large for a notebook.</p>"
    if len(page) <= _MOST_SHOWN:
        shown = framed(page, height=height)
    display({"text/html": shown, "text/plain": path}, raw=True)  # type: ignore[no-untyped-call]


def framed(page: str, *, height: int) -> str:
    """A page inside another one, from which it can read nothing (https://html.spec.whatwg.org, the sandbox attribute).

    Its links to its own parts would lead to parts of the page around, were its address not said to be its own.
    """
    own = page.replace("<head>", '<head><base href="about:srcdoc">', 1)
    return (
        f'<iframe srcdoc="{html.escape(own)}" sandbox="allow-scripts allow-downloads allow-popups" '
        f'style="width:100%;height:{height}px;border:1px solid rgba(128,128,128,.4)"></iframe>'
    )
