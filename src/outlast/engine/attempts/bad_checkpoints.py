"""Setting aside checkpoints that a training died of, so that its next attempt finds the one before, or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from outlast._system.files import rename
from outlast.client import newest_checkpoint
from outlast.core.file_names import TrialPaths
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState


def set_bad_aside(paths: TrialPaths, trial: Trial, pattern: Sequence[str] = ()) -> None:
    """Do what the trial's last outcome says of its checkpoints. Repeating it is harmless.

    After the first attempt that died of one, the newest checkpoint is renamed to ``.bad-ATTEMPT-NAME`` where it lies, with
    the links to it; after a second one everything in the checkpoint folder is, and the trial starts from scratch.
    """
    last = trial.last
    if trial.state is not TrialState.INTERRUPTED or last is None or last.cause is not Cause.BAD_CHECKPOINT:
        return
    folder = paths.checkpoints if last.part is None else paths.checkpoints / f"part-{last.part}"
    before = [o for o in trial.ended if o.cause is Cause.BAD_CHECKPOINT and o.attempt > trial.retried_at_attempt]
    if len(before) > 1:
        for name in _visible(folder):
            _hide(folder / name, last.attempt)
        return
    newest = newest_checkpoint(str(folder), pattern)
    there = list(_below(folder))
    done = any(os.path.basename(path).startswith(f".bad-{last.attempt}-") for path in there)
    if newest is not None and not done:
        target = os.path.realpath(newest)
        inside = os.path.islink(newest) and Path(target).is_relative_to(os.path.realpath(folder))
        _hide(Path(target if inside else newest), last.attempt)
    for path in there:
        # a link to what was set aside: a script would stumble over it
        dead = os.path.islink(path) and not os.path.exists(path)
        if dead and not os.path.basename(path).startswith("."):
            _hide(Path(path), last.attempt)


def _below(folder: Path) -> Iterator[str]:
    """Whatever lies in a folder and the folders below it, each of these once: links may lead in circles."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (os.path.join(place, name) for name in (*folders, *files))


def _visible(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _hide(path: Path, attempt: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # another coordinator, superseded or not, has just done it
        rename(path, path.with_name(f".bad-{attempt}-{path.name}"))
