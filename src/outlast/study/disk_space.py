"""Whether a study's disks have room for its records, and how long what it needs lies untouched where old files are purged."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from outlast._system.mounts import room_in
from outlast.core.fold import Study
from outlast.core.plan import no_room
from outlast.study.layout import StudyPaths


def lacking_space(paths: StudyPaths) -> str | None:
    """What the disk of the study folder, or of its checkpoints, lacks and where, as a sentence; ``None`` while there is room."""
    places = [paths.root, *filter(None, [paths.checkpoints_root])]
    return next(filter(None, map(_lacking_in, places)), None)


def _lacking_in(place: os.PathLike[str]) -> str | None:
    room = room_in(place)
    lacking = None if room is None else no_room(*room)
    return None if lacking is None else f"{lacking} in {os.fspath(place)}"


def _needed_to_go_on(paths: StudyPaths, study: Study) -> Iterator[Path]:
    """The files without which a study, or a trial of it, could not be resumed: the ledger, the study
    file, what trials are run from, and the checkpoints of every trial that has no outcome yet. Finished trials' files are
    results: a loss, but none that stops the study.
    """
    for file in (paths.study_file, paths.splits, paths.objective):
        if file.exists():
            yield file
    yield from sorted(paths.ledger.glob("*.jsonl"))
    yield from _below(paths.code)
    for trial in study.trials.values():
        if not trial.state.finished:
            yield from _below(paths.trial(trial.number).checkpoints)


def untouched_days(paths: StudyPaths, study: Study, *, now: float | None = None) -> dict[str, float]:
    """File → days since it was last read or written, whichever is later.

    A purge goes by either; where a filesystem keeps no times of reading (noatime), the time of writing stands for both.
    `now` is in seconds since the epoch; the clock's by default.
    """
    now = time.time() if now is None else now
    found = {}
    for path in _needed_to_go_on(paths, study):
        with contextlib.suppress(OSError):  # gone meanwhile
            status = os.stat(path)
            found[str(path)] = max(0.0, now - max(status.st_atime, status.st_mtime)) / 86400.0
    return found


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield Path(place, name)
