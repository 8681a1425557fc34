"""Which trials' checkpoints are kept, and how the others go.

A trial without an outcome keeps its checkpoints, whatever the study file says. Of the finished ones the best
`checkpoints.keep` do. The others' folders are renamed away by whoever holds the lease, once the outcomes that put them out are
durable, and deleted behind its back: after the checkpoints that are kept are on the disk for certain, because a script
need not have synced them.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from outlast._system.files import remove, remove_tree, rename_that, stamp_of
from outlast._system.reading import read_json
from outlast._system.syncing import settle_tree
from outlast.config.settings import Settings
from outlast.core.best import ranked
from outlast.core.fold import Study
from outlast.core.states import UNFINISHED
from outlast.study.layout import StudyPaths

_CLOSE_WITHIN = 60.0

#: In `checkpoints.dir` elsewhere: whose checkpoints lie there.
OWNER = ".outlast.json"


def left_behind(paths: StudyPaths, recorded: str | None, study: Study) -> list[tuple[Path, Path]]:
    """Checkpoints that trials without an outcome would not find any more.

    Args:
        paths: With the checkpoints where the study file has them now.
        recorded: `StudyPaths.checkpoints_root` as it was.

    Returns:
        For each of those trials, where its checkpoints are and where they would be looked for.
    """
    before = StudyPaths.at(paths.root, recorded)
    unfinished = [trial.number for trial in study.in_state(*UNFINISHED)]
    places = [(before.trial(number).checkpoints, paths.trial(number).checkpoints) for number in unfinished]
    return [
        (there, here)
        for there, here in places
        if os.path.realpath(there) != os.path.realpath(here) and _holds_anything(there) and not _holds_anything(here)
    ]


def _holds_anything(checkpoints: Path) -> bool:
    """Whether a trial has left anything; what is hidden was set aside."""
    try:
        return any(not name.startswith(".") for name in os.listdir(checkpoints))
    except (FileNotFoundError, NotADirectoryError):
        return False


def owner_of(root: Path) -> str:
    """The study folder whose checkpoints lie in this folder elsewhere; empty where nobody has claimed it."""
    owner = read_json(root / OWNER)
    return str(owner.get("study", "")) if isinstance(owner, dict) else ""


def superfluous(study: Study, settings: Settings, keep: int | None) -> list[int]:
    """The finished trials whose checkpoints nobody keeps; none where `keep` is ``None``, and none that was trained for good.

    Of equals the one with the lower number is kept, so that the choice does not depend on who finished first.
    """
    if keep is None:
        return []
    kept = {trial.number for trial in ranked(study, settings.metrics)[:keep]}
    finished = [t for t in study.trials.values() if t.state.finished and t.source != "refit"]
    return [t.number for t in finished if t.number not in kept]


def leftovers_of(checkpoints: Path) -> list[Path]:
    """Folders that were renamed away beside this one and not deleted to the end."""
    prefix = f".{checkpoints.name}.deleted"
    try:
        names = sorted(os.listdir(checkpoints.parent))
    except FileNotFoundError:
        return []
    return [checkpoints.with_name(name) for name in names if name.startswith(prefix)]


class Retention:
    """Keeps to `checkpoints.keep` during a run.

    Args:
        fence: Asked right before a folder is renamed away; raises where somebody else decides by now.
    """

    def __init__(
        self, paths: StudyPaths, settings: Settings, *, fence: Callable[[], object] | None = None,
        warnings: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.warnings = [] if warnings is None else warnings  # what people should be told; whoever reads it empties it
        self._paths, self._settings, self._fence = paths, settings, fence or (lambda: None)
        self._bare: set[int] | None = None  # trials that are known to have nothing to delete; None: not looked yet
        self._work: queue.SimpleQueue[tuple[list[Path], list[Path]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def due(self, study: Study) -> list[int]:
        """The trials whose checkpoints have to go now. What an earlier run began to delete is deleted to the end."""
        wanted = superfluous(study, self._settings, self._settings.checkpoints.keep)
        first = self._bare is None
        if first:
            self._delete([place for number in wanted for place in leftovers_of(self._folder(number))], [])
        self._bare = (self._bare or set()).intersection(wanted)  # a trial that was retried may have some again
        found = [number for number in wanted if number not in self._bare and os.path.lexists(self._folder(number))]
        self._bare.update(wanted)
        return found

    def clear(self, numbers: Iterable[int], study: Study) -> list[int]:
        """Rename the checkpoints of these trials away and have them deleted. Returns the trials whose checkpoints are gone.

        Raises:
            LeaseLost: Somebody else decides by now; the rest is left alone.
        """
        gone, aside = [], []
        for number in numbers:
            folder = self._folder(number)
            place, stamp = free_name(folder), stamp_of(folder)
            self._fence()
            try:
                if not rename_that(folder, place, stamp, fence=self._fence):
                    gone.append(number)  # it was empty, and went while its trial's files were put away
                    continue
            except OSError as error:
                self._warn(f"the checkpoints of trial {number} cannot be deleted ({error.strerror})")
                continue
            gone.append(number)
            aside.append(place)
        if aside:
            keep = self._settings.checkpoints.keep or 0
            self._delete(aside, [self._folder(t.number) for t in ranked(study, self._settings.metrics)[:keep]])
        return gone

    def close(self, timeout: float = _CLOSE_WITHIN) -> None:
        """Wait until everything is deleted, but not for ever: the next run deletes what is left."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join(timeout)
            self._thread = None

    def _folder(self, number: int) -> Path:
        return self._paths.trial(number).checkpoints

    def _delete(self, places: Sequence[Path], kept: Sequence[Path]) -> None:
        if not places:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._deletes, name="outlast-retention", daemon=True)
            self._thread.start()
        self._work.put((list(places), list(kept)))

    def _deletes(self) -> None:
        synced: set[Path] = set()
        while (work := self._work.get()) is not None:
            places, kept = work
            try:
                for folder in kept:
                    if folder not in synced:
                        settle_tree(folder)
                        synced.add(folder)
                for place in places:
                    delete(place)
            except OSError as error:
                self._warn(f"{error.filename or 'checkpoints'} cannot be deleted ({error.strerror})")

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def delete(place: Path) -> None:
    """Delete what was renamed away: a folder, or the link that a script put in its place (and not what that points to)."""
    if place.is_symlink() or place.is_file():
        remove(place, durable=False)
    else:
        remove_tree(place)


def free_name(folder: Path) -> Path:
    """Where a folder is renamed to; an earlier one of the same trial may still be on its way out."""
    return unused(folder.with_name(f".{folder.name}.deleted"))


def unused(path: Path) -> Path:
    """The path, or where something is there already, the first one with a number behind it where nothing is."""
    return next(
        at for n in count(1) if not os.path.lexists(at := path if n == 1 else path.with_name(f"{path.name}-{n}"))
    )
