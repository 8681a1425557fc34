"""`repair`: say what is wrong with a study folder, and mend it. What is replaced is set aside, never deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from outlast._system.clock import utc_now
from outlast._system.files import remove_tree, rename, write_atomic
from outlast._system.mounts import lacking
from outlast._system.platforms import is_on_drive
from outlast._system.reading import list_names, read_json
from outlast.config.load import settings_from_resolved, to_yaml
from outlast.config.settings import Settings
from outlast.core.file_names import StudyNames
from outlast.core.fold import Study
from outlast.core.records import RevisionMade, StudyCreated
from outlast.engine.care.remains import copies, record_agrees, recorded_study_file, rows_or_imported, unfinished
from outlast.engine.derived.checkpoints import unused
from outlast.engine.record.examine import examine, half_swapped, kept_on_a_drive, read_study, trial_numbers
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import StudyNotFound, UsageError
from outlast.optimizer.index.index_build import rebuild_index
from outlast.optimizer.index.index_check import check_index
from outlast.results.writer import ResultsWriter
from outlast.study.imported import imported_events, imported_trials
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
from outlast.study.putting_away import put_away
from outlast.study.recovery import Problem, lacks_its_copy, merged, trial_problems
from outlast.study.segments import newest_segment, read_ledger

_FILES = (
    StudyNames.study_file,
    StudyNames.lease,
    StudyNames.index,
    StudyNames.trials_table,
    StudyNames.summary,
    StudyNames.best_config,
    StudyNames.best_results,
    StudyNames.run_log,
    StudyNames.earlier_run_log,
    StudyNames.supervisor,
    StudyNames.glance,
    StudyNames.folded,
    StudyNames.behind,
    StudyNames.drawn,
    StudyNames.imported,
)
_FOLDERS = (StudyNames.ledger, StudyNames.trials, StudyNames.open, StudyNames.requests, StudyNames.revisions)


def repair_study(folder: str, *, check_only: bool) -> list[Problem]:
    """Look through a study folder and, unless `check_only`, mend what is wrong. Returns what was wrong.

    Raises:
        StudyNotFound: There is no study in this folder.
        UsageError: It is a home on a drive, which holds a history that is whole.
        StudyBusy: Somebody runs it just now (only where something would be changed).
    """
    paths = StudyPaths.at(folder)
    remains = paths.exists or paths.has_orphans or paths.trials.is_dir() or half_swapped(paths)
    if not paths.root.is_dir() or not remains:
        raise StudyNotFound(f"no study in {folder}")
    if kept_on_a_drive(paths) is not None and (is_on_drive(paths.root) or lacking(paths.root)):
        raise UsageError(
            f"{folder} is the home of a study that runs beside its drive: nothing is mended here",
            cure=f"outlast run {folder}   (it goes on from the newest that is whole on the drive)",
        )
    if check_only:
        return [*(problem_of(paths, path) for path in misplaced(paths)), *_problems(paths)]
    found = set_misplaced_aside(paths)  # first: nobody holds a lease that is a folder
    with Lease(paths.lease):
        return [*found, *_mend(paths)]


def _problems(paths: StudyPaths) -> list[Problem]:
    examined = examine(paths)
    found, study = list(examined.problems), examined.study
    if examined.lost:
        return found
    settings = _settings(paths, study)
    agrees = {n: record_agrees(paths.trial(n), trial) for n, trial in study.trials.items()}
    found += trial_problems(study, agrees, imported_trials(paths).keys())
    if settings is not None:
        found += [
            Problem("index", text, "it is rebuilt from the ledger; the old one is set aside", serious=False)
            for text in check_index(paths.index, study, settings)
        ]
        if study.ended is not None:
            found += [
                Problem("files", text, "it is written anew", serious=False)
                for text in _results(paths, settings).check(study)
            ]
            if recorded_study_file(paths) != settings.resolved:
                text = f"{paths.study_file.name} is not what the ledger says"
                found.append(Problem("files", text, "it is written anew", serious=False))
    return found


def _mend(paths: StudyPaths) -> list[Problem]:
    if half_swapped(paths):
        rename(paths.new_ledger, paths.ledger)
        return [Problem("ledger", "a repair was interrupted", "it was brought to its end"), *_mend(paths)]
    found = _problems(paths)
    ledger_damaged = any(problem.serious for problem in found)
    if ledger_damaged:
        _rebuild_ledger(paths)
        found += [problem for problem in _problems(paths) if not problem.serious]
    elif any(problem.about == "ledger" for problem in found):
        Ledger.claim(paths.ledger)[0].close()  # the new segment's seal leaves the torn line out
    study = read_study(paths)
    settings = _settings(paths, study)
    if settings is None:
        return found
    imported = imported_trials(paths).keys()
    for trial in study.trials.values():
        files = study_paths(paths.root, settings).trial(trial.number)
        if trial.state.finished and lacks_its_copy(trial, record_agrees(files, trial), imported):
            record = read_json(files.record)
            if files.record.exists():
                set_aside(files.record)
            put_away(files, trial, config=record.get("config") if isinstance(record, dict) else None)
    if any(problem.about == "index" for problem in found) or ledger_damaged:
        rebuild_index(paths.index, study, settings)
    _results(paths, settings).write(study)
    if recorded_study_file(paths) != settings.resolved:
        write_atomic(paths.study_file, to_yaml(settings))
    return found


def _results(paths: StudyPaths, settings: Settings) -> ResultsWriter:
    checkpoints = study_paths(paths.root, settings)
    return ResultsWriter(paths.root, settings, checkpoints=lambda number: checkpoints.trial(number).checkpoints)


def _rebuild_ledger(paths: StudyPaths) -> None:
    readable, now = read_ledger(paths.ledger).events, utc_now()
    study_file = recorded_study_file(paths)
    known = {*map(type, readable), *([RevisionMade] if study_file else [])}
    begun = (event for event in imported_events(paths) if isinstance(event, (StudyCreated, RevisionMade)))
    readable = [*(event for event in begun if type(event) not in known), *readable]
    revisions = [event.settings for event in readable if isinstance(event, RevisionMade)]
    events = merged(
        readable,
        copies(paths),
        rows_or_imported(paths),
        unfinished(paths, revisions[-1] if revisions else study_file, now),
        name=str(study_file.get("name", paths.root.name)),
        settings=study_file,
        now=now,
    )
    number = max(newest_segment(paths.ledger), 1) + 1
    fresh = paths.new_ledger
    remove_tree(fresh)  # of a repair that ended before it took the old one away
    Ledger.write_anew(fresh, number, events, "rebuilt by repair")
    if paths.ledger.exists():
        set_aside(paths.ledger)
    rename(fresh, paths.ledger)


def _settings(paths: StudyPaths, study: Study) -> Settings | None:
    """As the reader of study files takes the record: secrets that were not known as such when it was written are masked."""
    if study.revision is None or not study.revision.settings:
        return None
    return settings_from_resolved(study.revision.settings, recorded_settings(paths.root, study)[0].working_directory)


def misplaced(paths: StudyPaths) -> list[Path]:
    """Folders and dead links by the name of a file, files by the name of a folder."""
    files = (path for path in _meant_as_files(paths) if ".damaged." not in path.name)
    found = [path for path in files if path.is_dir() or _leads_nowhere(path)]
    folders = [*(paths.root / each.name for each in _FOLDERS), *(paths.trial(n).folder for n in trial_numbers(paths))]
    return found + [path for path in folders if os.path.lexists(path) and not path.is_dir()]


def _meant_as_files(paths: StudyPaths) -> Iterator[Path]:
    yield from (paths.root / each.name for each in _FILES)
    for name in list_names(paths.root):
        if name.startswith("lease."):
            yield paths.root / name
    for folder in (paths.ledger, paths.open, paths.requests):
        yield from (folder / name for name in list_names(folder) if not name.endswith(".jsonl"))
    for number in trial_numbers(paths):
        files = paths.trial(number)
        yield from (files.record, files.log, files.reports, files.error_log)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not os.path.exists(path)


def set_misplaced_aside(paths: StudyPaths) -> list[Problem]:
    """Give every such thing another name, so that what belongs there can be written."""
    found = []
    for path in misplaced(paths):
        found.append(problem_of(paths, path))
        set_aside(path)
    return found


def set_aside(path: Path) -> None:
    """Keep something that is damaged under another name, which nothing has."""
    rename(path, unused(path.with_name(f"{path.name}.damaged.{utc_now()[:19].replace(':', '')}")))


def problem_of(paths: StudyPaths, path: Path) -> Problem:
    """What is said of it."""
    kind = "a link that leads nowhere" if path.is_symlink() else "a folder" if path.is_dir() else "no folder"
    return Problem("files", f"{path.relative_to(paths.root)} is {kind}", "it is set aside", serious=False)
