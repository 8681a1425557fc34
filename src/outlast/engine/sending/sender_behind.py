"""A search is sent behind its run, by a process of its own: nobody waits for a tracker, and it outlives who began it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from outlast._system.process_behind import Behind
from outlast.config.settings import Settings
from outlast.core.file_names import StudyNames
from outlast.engine.sending.unsent import keep_unsent, read_unsent

_LAST_WORDS = 5.0  # seconds for what is sent at the end, before whoever ran the search leaves
_READ_EVERY = 5.0  # seconds between two looks at what is not sent

#: Of runs that are over, by study folder: the report that is drawn after a run is sent by the process behind it.
_LEFT: dict[Path, Behind] = {}


class SenderBehind:
    """Has a study sent to its trackers as long as somebody runs it, and its end as well. Without trackers it does nothing.

    Args:
        root: The study folder.
        settings: Its settings: to which trackers.
        say: Told once of each tracker that takes nothing, and again when it does.
    """

    def __init__(self, root: Path, settings: Settings, say: Callable[[str], object]) -> None:
        self._root, self._tracking, self._say = root, settings.tracking, say
        self._names = StudyNames(root)
        self._behind = _behind(root, settings, once=False)
        self._told: dict[str, str] = {}
        self._next_read = 0.0

    def start(self) -> None:
        """Begin. Trainings are handed nothing any more of trackers that it is no longer sent to."""
        self._take_back()
        if self._tracking:
            if (left := _LEFT.pop(self._root, None)) is not None:
                left.close(wait=0.0)
            self._behind.start()
            self._next_read = time.monotonic() + _READ_EVERY
        elif self._names.tracking.is_dir():  # an earlier version of the study file was to be sent somewhere
            keep_unsent(self._names.unsent, {})

    def _take_back(self) -> None:
        chosen = {self._names.tracker(name).environment for name in self._tracking.chosen}
        for path in {*self._names.tracking.glob("*.environment")} - chosen:
            with contextlib.suppress(OSError):
                path.unlink()

    def looked(self) -> None:
        """Begin again where the process has died, or could not be begun; say what it says."""
        if not self._tracking:
            return
        self._behind.looked()
        if time.monotonic() >= self._next_read:
            self._next_read = time.monotonic() + _READ_EVERY
            self._tell()

    def _tell(self) -> None:
        for name, unsent in read_unsent(self._names.unsent).items():
            told = name in self._told
            if unsent.trouble and not told:
                cure = f" ({unsent.cure})" if unsent.cure else ""
                self._say(
                    f"tracking: {name} takes nothing: {unsent.trouble}{cure}; the search goes on, and it is sent later"
                )
                self._told[name] = unsent.trouble
            elif told and not unsent.trouble:
                self._say(f"tracking: {name} takes what it is sent again")
                del self._told[name]

    def close(self) -> None:
        """Nobody runs it from here any more: what there is is sent without us."""
        self._behind.close(wait=0.0)

    def leave(self) -> None:
        """The run is over, and what is drawn of it comes next: `send_now` ends it after that, as does the end of our process."""
        if self._tracking:
            _LEFT[self._root] = self._behind


def still_lacking(root: Path, settings: Settings, where: str) -> list[str]:
    """A sentence for each tracker that lacks something, as far as is on record.

    Args:
        root: The study folder.
        settings: Its settings: to which trackers.
        where: The folder as a person types it.
    """
    known = read_unsent(StudyNames(root).unsent) if settings.tracking else {}
    late = {name: each for name, each in known.items() if name in settings.tracking.chosen}
    return [
        f"tracking: {name} lacks what the search has ({each.trouble}): outlast track {where} sends it once it takes it"
        if each.trouble
        else f"tracking: {name} is still sent the rest behind this; outlast track {where} says when it has everything"
        for name, each in late.items()
        if each.trouble or each.trials
    ]


def send_now(root: Path, settings: Settings, *, wait: float = _LAST_WORDS) -> None:
    """Have sent what the trackers of a study lack, by whoever sent it during the run; where nobody did, by somebody new.

    Args:
        root: The study folder.
        settings: Its settings.
        wait: Seconds for it, before whoever asks has to leave; what takes longer is sent without us.
    """
    if not settings.tracking:
        return
    behind = _LEFT.pop(root, None)
    if behind is None:
        behind = _behind(root, settings, once=True)
        behind.start()
    behind.close(wait=wait)


def _behind(root: Path, settings: Settings, *, once: bool) -> Behind:
    given = {"tracking": settings.tracking.plain, "once": once}
    return Behind(root, ["send", os.curdir], given, {**os.environ, **settings.env})
