"""A search is run from Python, here, to its rest: the one way of `outlast.optimize` and of `Study.run`, over `engine.launch`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from outlast._system.notebooks import is_notebook
from outlast.api.called_back import After, CalledBack
from outlast.api.cell import CellOutput
from outlast.api.described import Searched, in_words_of_python
from outlast.api.handed_over import GOES_ON
from outlast.api.in_cell import InCell
from outlast.api.interrupts import Interrupts
from outlast.api.result import Result
from outlast.api.said_lines import FRESH, SaidLines
from outlast.config.settings import Settings
from outlast.core.best import best_trials
from outlast.core.states import StudyState
from outlast.engine import launch
from outlast.engine.campaign.run_alone import refuse_supervised, sharing_of, told_of_sharing
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.session_end import until
from outlast.engine.hold.opening import Given
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened


def search(
    of: Searched,
    folder: str,
    *,
    changes: dict[str, Any] | None = None,
    deadline: str | float | None = None,
    fresh: bool = False,
    accept_changes: bool = False,
    quiet: bool = False,
    given: Callable[[Settings], Given] | None = None,
    after: After | None = None,
) -> Result:
    """Begin a search, or go on with it, until it comes to rest.

    Args:
        of: What is searched.
        folder: Its folder, or its home.
        changes: See `Described.settings`.
        deadline: Of this run alone, as in a study file.
        fresh: Set an earlier study aside.
        accept_changes: Go on although what needs acceptance has changed.
        quiet: Print nothing.
        given: What the study is given before its first round, made of its settings.
        after: What is done when a trial has ended.

    Raises:
        OutlastError: As `outlast.engine.launch.run`.
        Exception: What a callback raised, once nothing runs any more.
    """
    settings = until(of.settings(**(changes or {})), deadline, "deadline=")
    with _in_words_of_python():
        prepared = None if given is None else given(settings)
    kept = not settings.index.in_memory
    early: list[str] = []
    interrupts = Interrupts()
    with ExitStack() as held:
        held.enter_context(interrupts.handled())
        if not kept:
            folder = held.enter_context(tempfile.TemporaryDirectory(prefix="outlast-in-memory-"))
        with _in_words_of_python():
            refuse_supervised(StudyPaths.at(live_of(folder)).supervisor, folder)
            paths = study_paths(launch.make_ready(settings, folder, fresh=fresh, say=early.append), settings)
        sharing = sharing_of(os.fspath(paths.root))
        if sharing is not None:
            early.append(told_of_sharing(sharing))
        own = of.objective
        changed = "" if own is None else own.compared(paths, folder, accept_changes=accept_changes)
        shown = view(settings, folder, paths, quiet=quiet)
        shown.at_round = interrupts.tell_missed
        hears = CalledBack(shown, after or After())
        for text in early:
            shown.said(text)

        def listener(opened: Opened, slots: int) -> Listener:
            interrupts.opened()
            shown.begun(opened, slots, changed)
            if own is not None:
                own.keep(paths)
            return hears

        with _in_words_of_python(), drawn_to_the_end(shown):
            verdict, study = launch.run(
                paths, settings, listener, tell=shown.ended, accept_changes=accept_changes, say=shown.said, gone=not kept,
                given=prepared, sharing=sharing, limits=hears.limits(settings),
            )  # fmt: skip
        if verdict.state is StudyState.STOPPED:
            interrupts.heard()
        if hears.raised is not None:
            raise hears.raised
        recorded, _ = recorded_settings(paths.root, study)
        best = best_trials(study, recorded.metrics)
        result = Result(folder, verdict.state, tuple(study.trials.values()), tuple(best))
        if not kept:
            result._keep(recorded, study)
        return result


@contextmanager
def _in_words_of_python() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise in_words_of_python(error, FRESH, GOES_ON) from None


@contextmanager
def drawn_to_the_end(shown: SaidLines) -> Iterator[None]:
    """Whatever ends the block, the last picture does not say that it runs."""
    try:
        yield
    except BaseException:
        shown.broke()
        raise


def view(
    settings: Settings, folder: str, paths: StudyPaths, *, quiet: bool, output: CellOutput | None = None
) -> SaidLines:
    """What shows a run: one output of the cell in a notebook, lines elsewhere.

    Args:
        output: One that an earlier run was shown in.
    """
    if quiet or not is_notebook():
        return SaidLines(settings, folder, paths, _silent if quiet else partial(print, flush=True))
    return InCell(settings, folder, paths, output=output)


def _silent(_text: str) -> None:
    pass
