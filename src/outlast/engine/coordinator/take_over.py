"""What an earlier holder of the study left: live attempts are adopted, what is left of dead ones ended, files put away."""

from __future__ import annotations

from collections.abc import Collection

from outlast.config.settings import Settings
from outlast.core.file_names import attempt_name
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.engine.attempts.orphans import end_attempt
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.watch import Watch
from outlast.engine.derived.writer import DerivedFiles
from outlast.study import requests
from outlast.study.attempts import close_attempt
from outlast.study.layout import StudyPaths
from outlast.study.leftovers import is_untidy
from outlast.study.putting_away import put_away
from outlast.study.recovery import had_a_folder

_SOON = 0.05  # seconds after which a worker that waited for the holder before asks again


def take_over(
    paths: StudyPaths,
    study: Study,
    watch: Watch,
    derived: DerivedFiles,
    settings: Settings,
    *,
    unclean: bool,
    momentary: bool,
    asked_before: Collection[str] = (),
) -> None:
    """Begin where the holder before ended, whatever it was doing. Repeating it is harmless.

    Args:
        watch: Over the study's attempts; empty so far.
        unclean: The holder before did not end its run: any finished trial's files may be untidy.
        momentary: We hold the study for a turn: requests are meant for whoever has one, and stay.
        asked_before: Keys of the requests that were there before we held it.
    """
    for trial in list(study.trials.values()):
        attempt = trial.open_attempt
        if attempt is not None:
            watch.track(trial, attempt.number, attempt.slot)
    closed = [key for key in paths.open_attempts() if attempt_name(*key) not in watch.running]
    for number, attempt_number in closed:  # decided about; one that a new revision ruled out may still run
        end_attempt(paths, number, attempt_number)
    for trial in study.in_state(TrialState.INTERRUPTED):
        set_bad_aside(paths.trial(trial.number), trial, settings.checkpoints.pattern)
    _tidy(paths, study, {number for number, _ in closed}, unclean=unclean)
    for number, attempt_number in closed:
        close_attempt(paths, number, attempt_number)
    derived.retain(study)
    if not momentary:
        _turn_away(paths, asked_before, {running.slot for running in watch.running.values()})
    watch.take_over(unclean=unclean)


def _turn_away(paths: StudyPaths, before: Collection[str], granted: set[str]) -> None:
    """Requests to stop from before were meant for a coordinator that is gone, later ones are meant for us; a worker that asked it
    for a trial, if it lives, asks again.

    Where an attempt was opened for a request already it stays: its answer has perhaps not reached the worker.
    """
    for request in requests.pending(paths):
        if request.kind == "stop" and request.key in before:
            requests.take(paths, request)
        elif request.kind == "trial" and Slots.name_of(request) not in granted:
            requests.answer(paths, request, wait=_SOON)


def _tidy(paths: StudyPaths, study: Study, touched: set[int], *, unclean: bool) -> None:
    """Put away the finished trials whose files are not in their final form: these, or after an unclean end any."""
    for trial in study.trials.values():
        if trial.state.finished and (unclean or trial.number in touched):
            files = paths.trial(trial.number)
            if is_untidy(files) or trial.number in touched or (had_a_folder(trial) and not files.folder.exists()):
                put_away(files, trial)
