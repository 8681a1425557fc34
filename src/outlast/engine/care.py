"""`retry` and `import`: decisions that a person makes outside a run."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from outlast._system import utc_now, write_atomic
from outlast._version import __version__
from outlast.config.load import load_study_file, settings_from_resolved, to_yaml
from outlast.config.settings import Settings
from outlast.core.fold import Study, fold
from outlast.core.records import AttemptEnded, Event, RevisionMade, StudyCreated, StudyEnded, TrialCreated, TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.engine.check import NO_COMMAND
from outlast.engine.derived import DerivedFiles
from outlast.engine.run import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.optimizer.importing import ImportedStudy, import_storage
from outlast.optimizer.index import rebuild_index
from outlast.results.files import ResultsWriter
from outlast.space.space import Space
from outlast.study import requests
from outlast.study.attempts import put_away
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease, holder_is_live
from outlast.study.ledger import Ledger

__all__ = ["import_study", "retry_trials"]


def retry_trials(
    folder: str, numbers: Sequence[int] | None, *, cause: str | None = None, from_scratch: bool = False
) -> tuple[list[int], bool]:
    """Give finished trials new attempts.

    Returns:
        The trials, and whether a live run takes them in.

    Raises:
        UsageError: A number that does not exist or is not finished.
    """
    settings, study = recorded_settings(folder)
    paths = study_paths(folder, settings)
    for number in numbers or ():
        if number not in study.trials or not study.trials[number].state.finished:
            raise UsageError(f"trial {number} does not exist or is not finished", cure=f"outlast show {folder}")
    chosen = [
        trial.number
        for trial in study.trials.values()
        if (trial.number in numbers if numbers is not None else trial.state in _failed(cause))
        and (cause is None or trial.cause == cause)
        and trial.cause not in (Cause.IMPORTED, Cause.SPACE_CHANGED)
    ]
    if not chosen:
        return [], False
    if holder_is_live(paths.ledger) is not False:
        request = requests.drop(paths, "retry", trials=chosen, from_scratch=from_scratch)
        deadline = time.monotonic() + 10
        while requests.read_answer(paths, request) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return chosen, True
    lease = Lease(paths.lease)
    lease.acquire()
    try:
        ledger, reading = Ledger.claim(paths.ledger)
        events = [TrialRetried(number, utc_now(), from_scratch) for number in chosen]
        ledger.append(events)
        ledger.close()
        _refresh(paths, settings, fold([*reading.events, *events]))
    finally:
        lease.release()
    return chosen, False


def _refresh(paths: StudyPaths, settings: Settings, study: Study) -> None:
    """Bring everything derived up to date outside a run."""
    derived = DerivedFiles(paths, settings)
    derived.start(study, doubtful=False, rivalled=False)
    derived.close(study)


def _failed(cause: str | None) -> tuple[TrialState, ...]:
    """What `retry` without numbers takes: failed trials, and of a cause that is named what could not run as well."""
    return (TrialState.FAILED,) if cause is None else (TrialState.FAILED, TrialState.INFEASIBLE)


def import_study(
    storage: str, study_file: str | None, *, study_name: str | None, directory: str | None
) -> tuple[str, Counter[str]]:
    """Begin a study folder with the trials of an Optuna storage.

    Returns:
        The folder, and how many trials of which state it has now.

    Raises:
        UsageError: There is a study in the folder already, or the storage cannot be read.
    """
    imported = import_storage(storage, study_name)
    given = None if study_file is None else load_study_file(study_file)
    settings = given or settings_from_resolved(_drafted(imported), os.getcwd())
    folder = directory or os.path.join("studies", settings.name)
    paths = study_paths(folder, settings)
    if paths.exists:
        raise UsageError(f"there is a study in {folder} already", cure="name another folder with --dir")
    lease = Lease(paths.lease)
    lease.acquire()
    try:
        now = utc_now()
        ledger, _ = Ledger.claim(paths.ledger)
        events: list[Event] = [StudyCreated(settings.name, now, __version__, settings.sampler.seed or 0)]
        events.append(RevisionMade(1, now, settings.resolved))
        events += _fitted(imported.events, settings, now)
        events.append(StudyEnded(now, "stopped", "imported"))
        for start in range(0, len(events), 1000):
            ledger.append(events[start : start + 1000])
        ledger.close()
        write_atomic(paths.study_file, to_yaml(settings))
        study = fold(events)
        for trial in study.trials.values():
            put_away(paths.trial(trial.number), trial)
        rebuild_index(paths.index, study, settings)
        ResultsWriter(paths.root, settings).write(study)
    finally:
        lease.release()
    return folder, Counter(trial.state.value for trial in study.trials.values())


def _drafted(imported: ImportedStudy) -> dict[str, Any]:
    """A study file for a storage that came without one. Its command is still to be written."""
    names = imported.metric_names or tuple(
        "value" if len(imported.directions) == 1 else f"value_{i}" for i in range(len(imported.directions))
    )
    return {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "-", imported.name).lstrip(".-") or "imported",
        "command": [NO_COMMAND, "${args}"],
        "metric": [{"name": name, "goal": goal} for name, goal in zip(names, imported.directions, strict=True)],
        "parameters": imported.parameters,
        "budget": {"trials": sum(isinstance(event, TrialCreated) for event in imported.events)},
        "enqueue": list(imported.enqueued),
    }


def _fitted(events: Sequence[Event], settings: Settings, now: str) -> list[Event]:
    """Imported trials that the study file's space does not hold stay visible as failed rows."""
    space = Space.from_parameters(settings.parameters, settings.constraints)
    found: list[Event] = list(events)
    for event in events:
        if isinstance(event, TrialCreated):
            why = space.fits(event.params) if settings.parameters else None
            if why is not None:
                reason = f"does not fit the study file: {why}"
                found.append(AttemptEnded(event.trial, 1, now, TrialState.FAILED, Cause.SPACE_CHANGED, reason))
    return found
