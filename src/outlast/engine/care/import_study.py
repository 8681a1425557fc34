"""`import`: a study folder is begun with the trials of an Optuna storage."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from outlast._system.clock import utc_now
from outlast._system.files import write_atomic
from outlast._system.syncing import make_dir
from outlast._version import __version__
from outlast.config.command import NO_COMMAND
from outlast.config.load import load_study_file, settings_from_resolved, to_yaml
from outlast.config.native import clean_name
from outlast.config.placeholders import folder_of
from outlast.config.settings import Settings
from outlast.config.store_address import masked_address
from outlast.core.fold import Study, fold
from outlast.core.records import (
    AttemptEnded,
    Event,
    RevisionMade,
    StudyCreated,
    StudyEnded,
    Trial,
    TrialCreated,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.derived.drawn import keep_drawn
from outlast.engine.record.examine import read_sound
from outlast.engine.record.recorded import study_paths
from outlast.errors import OutlastError, StudyFileError, UsageError
from outlast.optimizer.importing.imported_study import ImportedStudy, import_storage
from outlast.optimizer.index.index_build import rebuild_index
from outlast.results.writer import ResultsWriter
from outlast.space.space import Space
from outlast.study.folded import keep_folded
from outlast.study.imported import keep_imported
from outlast.study.layout import StudyPaths
from outlast.study.opened import opened_briefly
from outlast.study.segments import read_ledger


class Imported(Struct, frozen=True):
    """What `import_study` made."""

    folder: str
    counts: Counter[str]  # how many trials of which state it has now
    told: tuple[str, ...]  # what was done with trials that had not ended, and what was left out


def import_study(storage: str, study_file: str | None, *, study_name: str | None, directory: str | None) -> Imported:
    """Begin a study folder with the trials of an Optuna storage.

    Raises:
        UsageError: There is a study in the folder already, or the storage cannot be read, or its study had other goals, or
            nothing tells what is searched, or no study file can say what was.
    """
    imported = import_storage(storage, study_name)
    if study_file is not None:
        settings = load_study_file(study_file)
    else:
        settings = _settings_of_draft(imported, masked_address(storage), study_name, directory)
    _refuse_other_goals(imported, settings)
    folder = folder_of(settings, directory)
    paths = study_paths(folder, settings)
    there = UsageError(f"there is a study in {folder} already", cure="name another folder with --dir")
    if paths.has_orphans or (paths.exists and not _has_decided_nothing(paths)):
        raise there
    events, told = _taken_in(imported, settings)
    with opened_briefly(paths) as opened:
        if not opened.new:  # somebody began it meanwhile
            raise there
        opened.ledger.append(events)  # one line: whoever is killed here has imported all of it, or nothing
        write_atomic(paths.study_file, to_yaml(settings))
        study = opened.study
        for event in events:
            study.apply(event)
        make_dir(paths.trials)
        keep_imported(paths, opened.ledger.number)
        rebuild_index(paths.index, study, settings)
        ResultsWriter(paths.root, settings).write(study)
        with suppress(OSError):
            keep_drawn(paths, study)  # the first run has nothing to draw of it
    with suppress(OSError, OutlastError):
        keep_folded(paths, *read_sound(paths))  # nor to fold
    return Imported(folder, Counter(trial.state.value for trial in study.trials.values()), tuple(told))


def _has_decided_nothing(paths: StudyPaths) -> bool:
    """Whether all that lies there is the ledger of an import that was ended before its first decision."""
    reading = read_ledger(paths.ledger)
    return not (reading.events or reading.flaws or paths.study_file.exists())


def _refuse_other_goals(imported: ImportedStudy, settings: Settings) -> None:
    goals = [metric.goal for metric in settings.metrics]
    if goals != list(imported.directions):
        theirs, ours = (" and ".join(each) for each in (imported.directions, goals))
        fact = f"the storage's study asks to {theirs}, the study file to {ours}"
        cure = "the metrics of the study file have to be the objectives of the storage, in their order"
        raise UsageError(fact, cure=cure)


def _taken_in(imported: ImportedStudy, settings: Settings) -> tuple[list[Event], list[str]]:
    now, told = utc_now(), list(imported.warnings)
    events: list[Event] = [StudyCreated(settings.name, now, __version__, settings.sampler.seed or 0)]
    events.append(RevisionMade(1, now, settings.resolved))
    events += _fitted(imported.events, settings, now)
    study = fold(events)
    misfits = [trial for trial in study.trials.values() if trial.cause is Cause.SPACE_CHANGED]
    if misfits:
        told.append(f"{_trials(misfits)}: kept as failed rows, which the search does not count: {misfits[0].reason}")
    if lost := [t for t in study.trials.values() if t.state is TrialState.FAILED and t.cause is Cause.LOST]:
        told.append(f"{_trials(lost)}: {lost[0].reason}; {'it has' if len(lost) == 1 else 'they have'} failed")
    if again := study.in_state(TrialState.INTERRUPTED):
        told.append(f"{_trials(again)}: {again[0].reason}; tried again first")
    waiting, left_out = _enqueued(imported, settings, study, now)
    if asked := [study.trials[event.trial] for event in waiting if isinstance(event, TrialCreated)]:
        told.append(f"{_trials(asked)}: waited in the queue there; tried before anything new is drawn")
    events += waiting
    return [*events, StudyEnded(now, "stopped", "imported")], [
        *told,
        *(f"left out, enqueued there: {why}" for why in left_out),
    ]


def _enqueued(imported: ImportedStudy, settings: Settings, study: Study, now: str) -> tuple[list[Event], list[str]]:
    if not imported.enqueued:
        return [], []
    from outlast.engine.care.warm_start import asked_for  # loads samplers, and what decides about trials

    return asked_for([("foreign", params) for params in imported.enqueued], settings, study, now)


def _trials(trials: Sequence[Trial]) -> str:
    """``trials 3, 4 and 5``, as a person says it; of many the first ones."""
    numbers = [str(trial.number) for trial in trials[:5]] + ([f"{len(trials) - 5} more"] if len(trials) > 5 else [])
    return f"trial {numbers[0]}" if len(trials) == 1 else f"trials {', '.join(numbers[:-1])} and {numbers[-1]}"


def _settings_of_draft(imported: ImportedStudy, place: str, study_name: str | None, directory: str | None) -> Settings:
    if not imported.parameters:
        raise UsageError(f"{place}: no parameter was drawn yet", cure="name a study file: it says what to search")
    try:
        return settings_from_resolved(_drafted(imported), os.getcwd())
    except StudyFileError as error:  # of a file that is nowhere
        why = f"{error.key}: {error.fact}" if error.key else error.fact
        fact = f"{place}: no study file can be drafted for its study {imported.name}: {why}"
        options = {"--study-name": study_name, "--dir": directory}
        words = [word for name, value in options.items() if value for word in (name, value)]
        command = ["outlast", "import", place, "STUDY.yaml", *words]
        cure = f"name a study file: {shlex.join(command)}; trials that it does not hold are kept as failed rows"
        raise UsageError(fact, cure=cure) from error


def _drafted(imported: ImportedStudy) -> dict[str, Any]:
    """A study file for a storage that came without one. Its command is still to be written."""
    many = len(imported.directions)
    names = imported.metric_names or tuple("value" if many == 1 else f"value_{i}" for i in range(many))
    return {
        "name": clean_name(imported.name),
        "command": [NO_COMMAND, "${args}"],
        "metric": [{"name": name, "goal": goal} for name, goal in zip(names, imported.directions, strict=True)],
        "parameters": imported.parameters,
        "budget": {"trials": sum(isinstance(e, TrialCreated) for e in imported.events) + len(imported.enqueued)},
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
