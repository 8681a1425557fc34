"""Setting aside checkpoints that a training died of, so that its next attempt finds the one before, or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from outlast._system.files import rename_that, stamp_of
from outlast.client import newest_checkpoint
from outlast.core.file_names import TrialPaths
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState


def set_bad_aside(
    paths: TrialPaths, trial: Trial, pattern: Sequence[str] = (), *, fence: Callable[[], object] = lambda: None
) -> None:
    """Do what the trial's last outcome says of its checkpoints. Repeating it is harmless.

    After the first attempt that died of one, the newest checkpoint is renamed to ``.bad-ATTEMPT-NAME`` where it lies, with
    the links to it; after a second one everything in the checkpoint folder is, and the trial starts from scratch.

    Args:
        pattern: What a checkpoint is called.
        fence: Raises where somebody else decides by now: asked once it is known which they are. What another attempt has saved
            under their names since then stays.
    """
    last = trial.last
    if trial.state is not TrialState.INTERRUPTED or last is None or last.cause is not Cause.BAD_CHECKPOINT:
        return
    folder = paths.checkpoints if last.part is None else paths.checkpoints / f"part-{last.part}"
    before = [o for o in trial.ended if o.cause is Cause.BAD_CHECKPOINT and o.attempt > trial.retried_at_attempt]
    if len(before) > 1:
        found = [(path, stamp_of(path)) for path in map(folder.joinpath, _visible(folder))]
        fence()
        for path, stamp in found:
            _hide(path, last.attempt, stamp, fence)
        return
    newest = newest_checkpoint(str(folder), pattern)
    bad = None if newest is None else _meant(Path(newest), folder)
    stamp = None if bad is None else stamp_of(bad)
    there = list(_below(folder))
    done = any(os.path.basename(path).startswith(f".bad-{last.attempt}-") for path in there)
    fence()
    if bad is not None and not done:
        _hide(bad, last.attempt, stamp, fence)
    for link in map(Path, there):
        # a link to what was set aside: a script would stumble over it
        dead = link.is_symlink() and not link.exists()
        if dead and not link.name.startswith("."):
            _hide(link, last.attempt, stamp_of(link), fence)


def _meant(path: Path, folder: Path) -> Path:
    """A checkpoint, or what it links to, where that lies in the folder as well."""
    target = Path(os.path.realpath(path))
    inside = path.is_symlink() and target.is_relative_to(os.path.realpath(folder))
    return target if inside else path


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


def _hide(path: Path, attempt: int, stamp: tuple[int, int, int] | None, fence: Callable[[], object]) -> None:
    hidden = path.with_name(f".bad-{attempt}-{path.name}")
    if not os.path.lexists(hidden):  # else another coordinator, superseded or not, has just done it
        rename_that(path, hidden, stamp, fence=fence)
