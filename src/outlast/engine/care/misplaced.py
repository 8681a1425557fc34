"""What stands where a file or a folder of the study belongs and is neither: nothing can be read from it, or put there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from outlast._system.clock import utc_now
from outlast._system.files import rename
from outlast._system.reading import list_names
from outlast.core.file_names import StudyNames
from outlast.engine.record.examine import trial_numbers
from outlast.study.layout import StudyPaths
from outlast.study.recovery import Problem

_FILES = (
    StudyNames.study_file,
    StudyNames.lease,
    StudyNames.index,
    StudyNames.trials_table,
    StudyNames.summary,
    StudyNames.best_config,
    StudyNames.best_results,
    StudyNames.run_log,
)
_FOLDERS = (StudyNames.ledger, StudyNames.trials, StudyNames.open, StudyNames.requests, StudyNames.revisions)


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
    name = f"{path.name}.damaged.{utc_now()[:19].replace(':', '')}"
    aside = next(at for n in count(1) if not os.path.lexists(at := path.with_name(name if n == 1 else f"{name}-{n}")))
    rename(path, aside)


def problem_of(paths: StudyPaths, path: Path) -> Problem:
    """What is said of it."""
    kind = "a link that leads nowhere" if path.is_symlink() else "a folder" if path.is_dir() else "no folder"
    return Problem("files", f"{path.relative_to(paths.root)} is {kind}", "it is set aside", serious=False)
