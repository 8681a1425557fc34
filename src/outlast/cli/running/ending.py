"""What a person reads when a search has come to rest, and the exit code that says the same."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from outlast.cli.looking.showing import failure_stories
from outlast.cli.render.render_run import end_summary
from outlast.cli.render.render_show import show_failures
from outlast.cli.render.text import print_out
from outlast.config.settings import Settings
from outlast.core.best import best_trial
from outlast.core.fold import Study
from outlast.core.states import Cause, StudyState
from outlast.engine.derived.final_plots import are_wanted
from outlast.engine.record.kept_where import named
from outlast.engine.record.recorded import study_paths
from outlast.monitor.snapshot import snapshot
from outlast.results.configuration import configuration
from outlast.results.failures import group_failures
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from rich.console import RenderableType

_FILES = (
    StudyPaths.trials_table,
    StudyPaths.best_config,
    StudyPaths.best_results,
    StudyPaths.best_checkpoint,
    StudyPaths.report,
    StudyPaths.plots,
)
_DRAWN = (StudyPaths.report, StudyPaths.plots)


def tell_end(folder: str, study: Study, settings: Settings, *, kept: bool = True) -> int:
    """Print how it ended: what came of it, where it lies, what to type next.

    `kept`: the folder is still there when this is read. Returns the exit code: 0 done, 3 halted, 4 there is work left.
    """
    end = snapshot(study, settings, now=datetime.now(timezone.utc), folder=named(folder))
    best = best_trial(study, settings.metrics)
    values = {} if best is None else configuration(best, study, settings)
    halted = study.ended is not None and study.ended.state == StudyState.HALTED.value
    paths = study_paths(folder, settings)
    drawn = _DRAWN if kept and are_wanted(paths, study) else ()
    names = [each.name for each in _FILES if each not in drawn]
    there = [name for name in names if os.path.lexists(os.path.join(folder, name))]
    there += [f"{each.name} (being drawn)" for each in drawn]
    files = [("results", os.path.join(folder, "")), ("", ", ".join(there))] if kept else []
    with contextlib.suppress(OSError):  # nobody reads it: how the search ended is what counts
        story = what_halted(paths, study, folder) if halted else None
        print_out(end_summary(end, configuration=values, files=files, story=story, kept=kept))
    state = StudyState.STOPPED if study.ended is None else StudyState(study.ended.state)
    return {StudyState.DONE: 0, StudyState.HALTED: 3}.get(state, 4)


def what_halted(paths: StudyPaths, study: Study, folder: str) -> RenderableType | None:
    """The failure that halted the search, with its traceback; ``None`` where it was none."""
    since = {outcome.trial for outcome in (*study.failures_since_run, *study.infeasible_since_run)}
    found = [group for group in group_failures(study) if group.cause is not Cause.SPACE_CHANGED]
    groups = ([group for group in found if since & set(group.trials)] or found)[:1]
    return None if not groups else show_failures(groups, folder=folder, tails=failure_stories(paths, study, groups))


def tell_and_settle(folder: str, study: Study, settings: Settings, say: Callable[[str], object]) -> int:
    """`tell_end`, and then what is left to do: plots, and the home's last sync."""
    from outlast.engine.launch import settle

    code = tell_end(folder, study, settings)
    settle(study_paths(folder, settings), study, settings, say)
    return code
