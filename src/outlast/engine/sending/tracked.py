"""A study folder as trackers are told of it: the study now, each trial now, and which trials are otherwise than they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from outlast.config.settings import Settings
from outlast.config.store_address import masked_address
from outlast.core.best import best_trial
from outlast.core.budget import room_for_new
from outlast.core.file_names import TrialPaths
from outlast.core.fold import Study
from outlast.core.parts import Part, parts
from outlast.core.records import Trial
from outlast.core.states import StudyState, TrialState
from outlast.engine.record.kept_record import KeptRecord
from outlast.engine.record.recorded import study_paths
from outlast.engine.sending.reported_points import ReportedPoints
from outlast.space.parameters import SpaceError
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.putting_away import is_untidy
from outlast.tracking.sink import TrackedMetric, TrackedStudy, TrackedTrial

_AHEAD = 4  # trials that may begin soon, where nothing says how many run at once


class TrackedFolder:
    """The study in a folder, looked at again and again.

    Attributes:
        study: As it was at the last look.
        tokens: Trial → a word that is another one when the trial is otherwise.
        settings: Its settings in force.
    """

    study: TrackedStudy
    settings: Settings

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)
        self._record, self._points = KeptRecord(self._folder), ReportedPoints()
        self._paths = StudyPaths.at(self._folder)
        self.tokens: dict[int, str] = {}
        self._known: dict[int, tuple[tuple[Any, ...], str]] = {}
        self._tidy: set[int] = set()  # trials that are over, with files in their final form
        self._untidy: set[int] = set()  # those whose files are still to be put away: they are looked at again

    def look(self) -> None:
        """Bring it up to date.

        Raises:
            StudyNotFound: There is no study in this folder.
            LedgerDamaged: Its ledger cannot be read.
        """
        self.settings, self._study = self._record.read()
        self._paths = study_paths(self._folder, self.settings)
        if self._record.changed:
            self.tokens = {number: self._token(trial) for number, trial in self._study.trials.items()}
        for number in [*(trial.number for trial in self._study.in_state(TrialState.RUNNING)), *self._untidy]:
            self.tokens[number] = self._token(self._study.trials[number])
        self.study = self._tracked_study()

    def _token(self, trial: Trial) -> str:
        reported = 0
        if trial.state in (TrialState.RUNNING, TrialState.INTERRUPTED):
            reported = self._points.poll(trial.number, self._paths.trial(trial.number))
        about: tuple[Any, ...] = (
            trial.state, len(trial.attempts), len(trial.params), len(trial.user_attrs), trial.finished_at, trial.cause,
            trial.reason, trial.values, reported, *map(repr, trial.user_attrs.values()),
        )  # fmt: skip
        if not self._is_tidy(trial):
            about = (*about, "its files are to come")
        known = self._known.get(trial.number)
        if known is None or known[0] != about:
            self._known[trial.number] = known = (about, _digest(map(str, about)))
        return known[1]

    def _is_tidy(self, trial: Trial) -> bool:
        """Whether no other files of it are to come soon: its outcome is on record before they are put away."""
        number = trial.number
        if not trial.state.finished:
            self._tidy.discard(number)
        elif number not in self._tidy and not is_untidy(self._paths.trial(number)):
            self._tidy.add(number)
        is_over = trial.state.finished
        tidy = not is_over or number in self._tidy
        (self._untidy.discard if tidy else self._untidy.add)(number)
        return tidy

    def trial(self, number: int) -> TrackedTrial:
        """A trial as it is now."""
        trial, paths = self._study.trials[number], self._paths.trial(number)
        began, last = _seconds(trial.started_at), trial.last
        names = [metric.name for metric in self.settings.metrics]
        return TrackedTrial(
            number=number,
            state=trial.state,
            params=self._params(trial),
            began=began,
            ended=_seconds(trial.finished_at),
            values=trial.values,
            points=self._points.of(trial, paths, names, began or _seconds(trial.created_at) or 0.0, self._parts),
            metrics=dict(trial.metrics),
            attributes=dict(trial.user_attrs),
            cause=str(trial.cause) if trial.cause is not None and trial.state is not TrialState.COMPLETE else "",
            reason=trial.reason,
            attempts=len(trial.attempts),
            host=last.host if last is not None else "",
            files=_files_of(trial, paths),
        )

    @property
    def _parts(self) -> tuple[Part, ...]:
        """Those of every trial; empty where a trial is whole."""
        trial = self.settings.trial
        return parts(trial.seeds, None if trial.folds is None else int(trial.folds["n"]))

    def _params(self, trial: Trial) -> Mapping[str, Any]:
        """What its training gets. A trial that a later version of the study file does not hold has no more than its own."""
        try:
            params = self.settings.space.complete(trial.params)
        except (SpaceError, KeyError, TypeError, ValueError):
            params = dict(trial.params)
        return {**params, **trial.derived, **trial.instead}

    def _tracked_study(self) -> TrackedStudy:
        study, settings, paths = self._study, self.settings, self._paths
        best, ended = best_trial(study, settings.metrics), study.ended
        return TrackedStudy(
            identity=study.identity,
            name=settings.name,
            folder=self._folder,
            cwd=os.path.abspath(settings.working_directory),
            state=self._state(study),
            created=_seconds(study.created_at) or 0.0,
            metrics=tuple(TrackedMetric(each.name, each.goal == "maximize") for each in settings.metrics),
            max_trials=settings.budget.trials,
            runs=study.runs,
            index=_index(settings, paths),
            auto_resume=settings.index.auto_resume,
            settings=settings.resolved,
            constants=dict(settings.space.constants),
            counts=dict(study.counts()),
            best=None if best is None else best.number,
            best_value=None if best is None else best.value,
            ended=None if ended is None else _seconds(ended.at),
            upcoming=self._upcoming(study),
            files=_files_of_study(paths),
        )

    def _state(self, study: Study) -> StudyState:
        if study.ended is not None:
            return StudyState(study.ended.state)
        return (
            StudyState.STOPPED if holder_is_live(self._paths.ledger) is False and not study.jobs else StudyState.RUNNING
        )

    def _upcoming(self, study: Study) -> tuple[int, ...]:
        if study.ended is not None:
            return ()
        budget, parallel = self.settings.budget, self.settings.parallel
        soon = parallel if isinstance(parallel, int) else max(_AHEAD, len(study.in_state(TrialState.RUNNING)))
        room = room_for_new(study, budget.trials, budget.count)
        return tuple(range(study.next_number, study.next_number + (soon if room is None else min(soon, room))))


def _index(settings: Settings, paths: StudyPaths) -> str | None:
    """Where people find the Optuna study: the store that the study file names, without its secrets, or the folder's own."""
    if settings.index.in_memory:
        return None
    url = settings.index.url
    if url is None:
        return str(paths.index)
    return masked_address(url) if "://" in url else os.path.abspath(os.path.join(settings.working_directory, url))


def token_of(study: TrackedStudy) -> str:
    """A word that is another one when the study is otherwise, its files included."""
    about = [study.state, study.runs, study.best, study.best_value, study.ended, study.max_trials, *study.upcoming]
    counts = sorted((str(state), count) for state, count in study.counts.items())
    return _digest(map(str, [*about, *counts, *(_stamp(path) for path in study.files.values())]))


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _digest(words: Iterable[str], size: int = 8) -> str:
    return hashlib.blake2b("\n".join(words).encode("utf-8", "replace"), digest_size=size).hexdigest()


def _seconds(at: str | None) -> float | None:
    try:
        return None if not at else datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _files_of(trial: Trial, paths: TrialPaths) -> dict[str, str]:
    """What a person may want to read of a trial: while it runs, of its last attempt."""
    found = {path.name: str(path) for path in (paths.log, paths.error_log, paths.record, paths.script) if path.exists()}
    if trial.attempts and not trial.state.finished:
        attempt = paths.attempt(trial.attempts[-1].number)
        found |= {path.name: str(path) for path in (attempt.log, attempt.config) if path.exists()}
    return found


def _files_of_study(paths: StudyPaths) -> dict[str, str]:
    files = [paths.study_file, paths.trials_table, paths.summary, paths.best_config, paths.best_results, paths.report]
    files.append(paths.best_checkpoint)
    files += sorted(paths.plots.glob("*.html")) if paths.plots.is_dir() else []
    return {path.name: str(path) for path in files if path.exists()}
