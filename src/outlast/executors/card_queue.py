"""Whose turn a free card is, among the searches of one machine.

Every search that uses cards keeps one small file in the folder of the locks and holds an flock on it as long as it lives. The
file says how many cards it holds, how many more it could use now, since when it waits, and which cards would do. The order is:
fewest cards of the user, then fewest of the search, then who waited longest. A search leaves a free card to anyone before it
in that order, but never for longer than `PATIENCE` seconds: one that is stopped, or that waits for several cards at once,
holds up nobody for good. Nothing is taken away from a running attempt.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

#: Seconds for which a free card is left to a search that goes before.
PATIENCE = 5.0
_PREFIX = "search."
_BYTES = 8192  # every file's length: a write replaces all of it at once


@dataclass(frozen=True)
class _Place:
    """What a search says of itself."""

    uid: int
    holds: float = 0.0
    wants: int = 0
    since: float = 0.0
    cards: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: bytes) -> _Place:
        said = json.loads(text)
        cards = tuple(str(card) for card in said["cards"])
        return cls(int(said["uid"]), float(said["holds"]), int(said["wants"]), float(said["since"]), cards)

    def rank(self, everybody: Sequence[_Place]) -> tuple[float, float, float]:
        """Who has the lower one goes first."""
        return sum(other.holds for other in everybody if other.uid == self.uid), self.holds, self.since


class CardQueue:
    """This search's place in the queue.

    Args:
        clock: Seconds, the same for every process of the machine.
    """

    def __init__(self, directory: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        self._path = os.path.join(directory, f"{_PREFIX}{os.getpid()}.{uuid.uuid4().hex[:8]}")
        self._fd: int | None = None
        self._said = _Place(os.getuid())
        self._left: dict[str, float] = {}  # card → since when it is left to somebody else

    def say(self, *, holds: float, wants: int, cards: Sequence[str]) -> None:
        """Tell the others what we hold and wait for. Cheap when nothing changed.

        Args:
            holds: Cards that our attempts have now.
            wants: Attempts that could be started now if there were cards.
            cards: Those that would do.

        Raises:
            OSError: The folder of the locks cannot be written.
        """
        before = self._said
        begins = wants and (not before.wants or holds > before.holds)  # who just got a card waits anew for the next
        since = self._clock() if begins else before.since
        self._said = replace(before, holds=holds, wants=wants, since=since, cards=tuple(cards))
        if self._said != before:
            self._write(json.dumps(asdict(self._said)).encode())

    def is_our_turn(self, card: str) -> bool:
        """Whether we may try to take a card that is free: nobody goes before us, or they did not come for it."""
        everybody = [*self._others(), self._said]
        mine = self._said.rank(everybody)
        if all(mine <= other.rank(everybody) for other in everybody if other.wants and card in other.cards):
            self._left.pop(card, None)
            return True
        return self._clock() - self._left.setdefault(card, self._clock()) >= PATIENCE

    def taken(self, card: str) -> None:
        """A card found its user: the next time it is free, the waiting begins anew."""
        self._left.pop(card, None)

    def close(self) -> None:
        """Leave the queue."""
        if self._fd is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            os.close(self._fd)
            self._fd = None

    def _write(self, content: bytes) -> None:
        """The file appears with its lock held, and is replaced by one write of the same length."""
        if self._fd is None:
            beside = os.path.join(self._directory, f".{uuid.uuid4().hex}")
            self._fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            os.fchmod(self._fd, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            os.rename(beside, self._path)
        os.pwrite(self._fd, content.ljust(_BYTES), 0)

    def _others(self) -> list[_Place]:
        """What the other living searches say."""
        found = []
        for name in sorted(os.listdir(self._directory)):
            path = os.path.join(self._directory, name)
            said = _read_if_alive(path) if name.startswith(_PREFIX) and path != self._path else None
            if said is not None:
                found.append(said)
        return found


def _read_if_alive(path: str) -> _Place | None:
    """``None`` for a search that is dead; its file is removed where that is allowed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not _is_free(fd):
            said = _Place.from_text(os.read(fd, _BYTES))
            return replace(said, uid=os.fstat(fd).st_uid)  # whose search it is, the kernel says
        with contextlib.suppress(OSError):
            os.unlink(path)
    except (ValueError, KeyError, TypeError):
        return None  # of a version that says it otherwise
    finally:
        os.close(fd)
    return None


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
