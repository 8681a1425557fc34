"""The report and the plots of a search at its end: drawn once everything was said, and nobody waits for them."""

from __future__ import annotations

import contextlib
import os
import subprocess

from outlast._system.job_environment import takes_all_along
from outlast._system.notebooks import ends_with_its_last_cell, is_notebook
from outlast._system.processes import in_container
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.states import StudyState, TrialState
from outlast.engine.derived.report_behind import drawing
from outlast.engine.derived.report_mark import is_newer
from outlast.optimizer.plot_names import PLOTS, mark_of
from outlast.study.home import home_of
from outlast.study.layout import StudyPaths

_FINAL = (StudyState.DONE.value, StudyState.HALTED.value)
_AT_REST = (*_FINAL, StudyState.STOPPED.value, StudyState.PAUSED.value)
_behind: list[subprocess.Popen[bytes]] = []  # never waited for: whoever drops such an object is warned


def are_wanted(paths: StudyPaths, study: Study) -> bool:
    """Whether a study at its end, done or halted, lacks plots of the trials that it has.

    ``OUTLAST_PLOTS=0`` leaves them out: plotly takes some seconds, which matters where many small searches are run.
    """
    return _may_be_drawn(study, _FINAL) and not _are_current(paths, study)


def is_page_wanted(paths: StudyPaths, study: Study) -> bool:
    """Whether a study at rest, stopped ones included, has no page or one that does not know how it came to rest."""
    return _may_be_drawn(study, _AT_REST) and not is_newer(paths.report, study)


def _may_be_drawn(study: Study, states: tuple[str, ...]) -> bool:
    ended = study.ended is not None and study.ended.state in states
    return ended and bool(study.trials) and os.environ.get("OUTLAST_PLOTS") != "0"


def draw_at_the_end(paths: StudyPaths, study: Study, settings: Settings) -> None:
    """Draw the report and the plots that are wanted, after the last word was said.

    A process of its own draws them, and nobody waits for it: it holds nothing of the study, and whatever becomes of the folder,
    it writes into the very folder that was meant or nowhere. Where it would be ended with us (in a container, a job), or the
    folder is brought home when this returns, they are there by then. There, a study that was stopped gets no page: whoever
    stops it may not wait.
    """
    plots, page = are_wanted(paths, study), is_page_wanted(paths, study)
    if not plots and not page:
        return
    if outlives_us() and home_of(paths) is None and _drawn_behind(paths, plots=plots):
        return
    if not plots and not _may_be_drawn(study, _FINAL):
        return
    from outlast.engine.derived.report import draw_report

    # A full disk costs the pages, never the search: `outlast report DIR` and `outlast show DIR plots` draw them.
    with contextlib.suppress(OSError):
        draw_plots(paths, study, settings)
    with contextlib.suppress(OSError):
        draw_report(paths, study, settings)


def draw_plots(paths: StudyPaths, study: Study, settings: Settings) -> list[str]:
    """Draw ``plots/``, unless it shows the study as it is. Returns the pages.

    Raises:
        OSError: The disk refused.
    """
    from outlast.optimizer.plot_pages import write_plots

    if _are_current(paths, study):
        return [os.path.join(paths.plots, name) for name in PLOTS]
    return write_plots(paths.plots, study, settings, mark=_mark(study))


def outlives_us() -> bool:
    """Whether what this process leaves behind may go on. The first process of a container takes everything with it, and so do
    the end of a job and the last cell of a notebook that nobody sits at. In a container that somebody sits at, it goes on."""
    if os.getppid() <= 1 or takes_all_along(os.environ) or ends_with_its_last_cell():
        return False
    return not in_container() or is_notebook() or os.isatty(0)


def _drawn_behind(paths: StudyPaths, *, plots: bool) -> bool:
    """Start what draws, in the study folder, which goes on to mean it if the folder is moved aside."""
    words = [["show", os.curdir, "plots"]] if plots else []
    started = [drawing(paths, each) for each in (*words, ["report", os.curdir, "--behind"])]
    _behind[:] = [process for process in _behind if process.poll() is None]  # a kernel lives for many searches
    _behind.extend(each for each in started if each is not None)
    return started[0] is not None


def _mark(study: Study) -> str:
    """What the plots were drawn from: the revision, how many trials are complete, and when the last success ended. Of a kept
    fold no trial is asked for."""
    revision = 0 if study.revision is None else study.revision.number
    return f"revision {revision}, {study.counts()[TrialState.COMPLETE]} trials, {study.latest_success or ''}"


def _are_current(paths: StudyPaths, study: Study) -> bool:
    mark = _mark(study)
    return all(mark_of(paths.plots / name) == mark for name in PLOTS)
