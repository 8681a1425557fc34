"""Setting aside checkpoints that a training died of, so that its next attempt finds the one before, or none."""

from __future__ import annotations

import os
from pathlib import Path

from outlast._system import rename
from outlast.client import newest_checkpoint
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState
from outlast.study.layout import TrialPaths

__all__ = ["set_bad_aside"]


def set_bad_aside(paths: TrialPaths, trial: Trial) -> None:
    """Do what the trial's last outcome says of its checkpoints. Repeating it is harmless.

    After the first attempt that died of one, the newest entry of the checkpoint folder is renamed to
    ``.bad-ATTEMPT-NAME``; after a second one every entry is, and the trial starts from scratch.
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
    newest = newest_checkpoint(str(folder))
    done = any(name.startswith(f".bad-{last.attempt}-") for name in _names(folder))
    if newest is not None and not done:
        _hide(Path(newest), last.attempt)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _visible(folder: Path) -> list[str]:
    return [name for name in _names(folder) if not name.startswith(".")]


def _hide(path: Path, attempt: int) -> None:
    rename(path, path.with_name(f".bad-{attempt}-{path.name}"))
