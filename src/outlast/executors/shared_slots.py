"""The slots of one machine for the studies of a campaign: whose turn a free one is, and locks on those that attempts have.

The machine is a range of bytes of one file; an attempt locks its part of it (`outlast._system.range_locks`), and its processes
inherit that, so that a slot is busy as long as its attempt lives, whoever else died. Each study keeps a small file with its claim
(`outlast.core.sharing`) in the same folder, and holds an flock on it as long as its coordinator lives. The file stays when that
ends: the next coordinator goes on with its account. All of it can be made again: who finds nothing joins as a new study does.

A free slot is left to the study whose turn it is as long as that shows that it lives, which it does every second while it waits.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from outlast._system.file_events import CLOSED, WRITTEN, FolderEvents
from outlast._system.locks import lock_folder
from outlast._system.range_locks import gaps, lock_range, locked_ranges
from outlast.core.sharing import Claim, Share, given, goes_first, joining, over, unused
from outlast.executors.card_queue import Standing
from outlast.executors.places import OwnPlace, read_place

#: Seconds for which a free slot is left to a study that goes before and is not heard of.
PATIENCE = 2.0
_HEARTBEAT = 0.5  # seconds after which one that waits says again that it does
_LEAST = 1e-6  # of the machine: less than any attempt takes
_MACHINE = "machine"
_PREFIX = "study."
_BYTES = 1 << 40  # of the machine's file, none of which is there: any number of equal parts fits, and not one more


class Sharing(msgspec.Struct, frozen=True):
    """How one study takes part in its campaign's slots. Can be pickled.

    Attributes:
        folder: The campaign's folder of slots; made where it is not there.
        study: The study's name, of which there is one in the campaign.
        weight: Its part of the slots' time, as compared with the others'.
        priority: Higher ones go first, with `share` ``priority``.
        parallel: Attempts side by side of all studies; ``None``: as many as the machine holds, each as large as it needs.
    """

    folder: str
    study: str
    weight: float = 1.0
    priority: int = 0
    share: Share = "weight"
    parallel: int | None = None


class _Place(msgspec.Struct, frozen=True):
    """A study's file."""

    claim: Claim
    began: dict[str, float] = {}  # slot → when its attempt began
    heard: float = 0.0  # when it last said that it waits, or anything else


class SharedSlots:
    """One study's side of it; see the module.

    Args:
        parts: So many attempts of this study fill the machine.
        clock: Seconds, the same for every process of the machine.
    """

    def __init__(self, sharing: Sharing, parts: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.sharing = sharing
        self.parts = parts
        self.clock = clock
        self._began: dict[str, float] = {}  # slot → when its attempt began
        self._granted: list[float] = []  # when slots were taken that no attempt has yet
        self._looked = -PATIENCE
        self._late: float | None = None  # since when somebody has not noticed that an attempt is over
        self._folder = lock_folder(self.sharing.folder)  # on a network filesystem one of this host
        self._own = OwnPlace(self._path_of(self.sharing.study))
        before = _read(self._own.path)
        # When it was heard may be of before a reboot: what we say first is said anew, and with a lock of ours.
        self._said = _Place(Claim(self.sharing.study)) if before is None else replace(before, heard=-PATIENCE)
        self._before = dict(self._said.began)  # attempts of an earlier coordinator
        part = {"weight": self.sharing.weight, "priority": self.sharing.priority, "size": 1 / self.parts}
        self._claim = replace(self._said.claim, since=(), wants=0, **part)
        self._machine = self._opened_machine()
        self._removed: list[int] = []  # earlier files of the machine, on which attempts still have locks
        self._events = FolderEvents(self._folder)

    @property
    def wake_fd(self) -> int | None:
        """Readable when a slot that we wait for may be ours; ``None`` where the kernel does not tell."""
        return self._events.fd

    @property
    def standing(self) -> Standing:
        """What decides whose turn it is among the studies of the campaign, where something else is shared as well."""
        return Standing(os.path.realpath(self.sharing.folder), self.sharing.share, self._claim)

    def still_to_begin(self, trials: int | None) -> None:
        """So many trials of the study are; ``None``: nobody knows."""
        self._claim = replace(self._claim, trials=trials)

    def room(self, wanted: int) -> int:
        """How many of these attempts there is room for now, whoever's turn it is."""
        return min(wanted, sum(length for _, length in self._free()) // self._part) if wanted else 0

    def take(self, wanted: int) -> list[int]:
        """Take slots for attempts that would be started now, as many as are free and ours in turn. Never waits.

        Returns:
            Descriptors that hold a slot each, to be inherited by its attempt.
        """
        now = self.clock()
        self._make_again()
        self._events.forget()
        if not wanted:
            self._events.ask_for(0)
            self._say(now, 0)
            return []
        self._settle(now)
        if not self._claim.wants or now - self._looked > PATIENCE:
            self._claim = joining(self._claim, [place.claim for place in self._others()], now)
        self._looked = now
        self._events.ask_for(CLOSED)
        self._say(now, wanted)
        taken: list[int] = []
        while self._claim.wants and self.room(1):
            self._events.ask_for(CLOSED | WRITTEN)  # before we look: what is written from now on wakes us
            lock = self._lock() if self._is_our_turn(now) else None
            if lock is None:
                break
            taken.append(lock)
            self._granted.append(now)
            self._claim = given(self._claim, now)
            self._say(now, self._claim.wants)
        if not self._claim.wants:
            self._events.ask_for(0)
        return taken

    def give_back(self, lock: int) -> None:
        """A slot is not used after all."""
        os.close(lock)
        if self._granted:
            self._claim = unused(self._claim, self._granted.pop())

    def began(self, slot: str) -> None:
        """An attempt has this slot of ours: one that was taken just now, or by an earlier coordinator, or from nobody."""
        now = self.clock()
        if self._granted:
            self._began[slot] = self._granted.pop()
            return
        self._began[slot] = min(self._before.pop(slot, now), now)
        self._claim = replace(self._claim, since=(*self._claim.since, self._began[slot]))

    def ended(self, slot: str) -> None:
        """Its attempt is over."""
        since = self._began.pop(slot, None)
        if since is not None:
            now = self.clock()
            self._claim = over(self._claim, since, now - since)
            # The others need not wonder whose slot that is; and the next trial is decided about before its slot is asked for.
            self._say(now, max(self._claim.wants, int(self._claim.trials != 0)))

    def close(self) -> None:
        """Leave the queue. Locks of running attempts are theirs."""
        if self._own.is_taken:  # who never waited says nothing: the study may be another coordinator's
            with contextlib.suppress(OSError):
                self._say(self.clock(), 0)
        self._own.close(keep=True)
        self._events.close()
        for machine in (self._machine, *self._removed):
            os.close(machine)

    # -- the machine --------------------------------------------------------------------------------------------------

    @property
    def _part(self) -> int:
        return _BYTES // self.parts

    def _busy(self) -> list[tuple[int, int]]:
        return [each for fd in (self._machine, *self._removed) for each in locked_ranges(fd, 0, _BYTES)]

    def _free(self) -> list[tuple[int, int]]:
        return list(gaps(self._busy(), 0, _BYTES))

    def _opened_machine(self) -> int:
        """For reading: its closing wakes nobody."""
        machine = os.path.join(self._folder, _MACHINE)
        os.close(os.open(machine, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        return os.open(machine, os.O_RDONLY | os.O_CLOEXEC)

    def _make_again(self) -> None:
        """What somebody removed is made anew; what attempts hold of the machine's earlier file stays theirs."""
        for fd in [each for each in self._removed if not locked_ranges(each, 0, _BYTES)]:
            self._removed.remove(fd)
            os.close(fd)
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(os.path.join(self._folder, _MACHINE)), os.fstat(self._machine)):
                return
        with contextlib.suppress(OSError):  # if it cannot be made now, then in the next round
            self._folder = lock_folder(self.sharing.folder)
            machine = self._opened_machine()
            self._removed.append(self._machine)
            self._machine = machine
            self._events.begin_anew()
            self._own.close(keep=True)
            self._own = OwnPlace(self._path_of(self.sharing.study))
            self._own.write(msgspec.json.encode(self._said))

    def _lock(self) -> int | None:
        """Our part of what is free, in pieces if need be; ``None`` if somebody was faster."""
        try:
            lock, lacking = os.open(os.path.join(self._folder, _MACHINE), os.O_RDWR | os.O_CLOEXEC), self._part
        except FileNotFoundError:  # removed just now
            return None
        for start, length in self._free():
            piece = min(length, lacking)
            if not lock_range(lock, start, piece):
                break
            lacking -= piece
            if not lacking:
                return lock
        os.close(lock)
        return None

    # -- the queue ----------------------------------------------------------------------------------------------------

    def _path_of(self, study: str) -> str:
        return os.path.join(self._folder, _PREFIX + study)

    def _settle(self, now: float) -> None:
        """Charge what ended while nobody held the study: how long it took is not known."""
        for since in self._before.values():
            self._claim = replace(
                self._claim, charged=self._claim.charged + self._claim.cost(_unseen(self._claim, since, now))
            )
        self._before = {}

    def _is_our_turn(self, now: float) -> bool:
        others = self._others()
        waiting = [place.claim for place in others if now - place.heard <= PATIENCE]
        return goes_first(self._claim, [*waiting, *self._about_to_want(others, now)], now, self.sharing.share)

    def _about_to_want(self, others: Sequence[_Place], now: float) -> list[Claim]:
        """Studies that had all the slots that they can use, and one of which has not noticed yet that an attempt is over."""
        told = sum(len(claim.since) * claim.size for claim in (self._claim, *(place.claim for place in others)))
        if told - sum(length for _, length in self._busy()) / _BYTES < _LEAST:
            self._late = None
            return []
        self._late = now if self._late is None else self._late
        if now - self._late > PATIENCE:
            return []
        full = (place.claim for place in others if place.claim.since and not place.claim.wants)
        return [replace(claim, wants=1) for claim in full if claim.trials != 0]

    def _others(self) -> list[_Place]:
        """What the other studies said last."""
        names: list[str] = []
        with contextlib.suppress(FileNotFoundError):  # removed just now
            names = os.listdir(self._folder)
        paths = (os.path.join(self._folder, name) for name in names if name.startswith(_PREFIX))
        found = [_read(path, self.clock()) for path in paths if path != self._own.path]
        return [place for place in found if place is not None]

    def _say(self, now: float, wants: int) -> None:
        """Tell the others, if anything changed, or if it is time to show that we still wait."""
        self._claim = replace(self._claim, wants=wants)
        waits = bool(wants) and now - self._said.heard >= _HEARTBEAT
        if self._claim != self._said.claim or self._began != self._said.began or waits:
            self._said = _Place(self._claim, dict(self._began), now)
            with contextlib.suppress(FileNotFoundError):  # the folder was removed just now
                self._own.write(msgspec.json.encode(self._said))


def _read(path: str, now: float | None = None) -> _Place | None:
    """A study's place. Of one whose coordinator is dead, nothing waits or is served at this time, if one is given."""
    said = read_place(path)
    if said is None:
        return None
    try:
        place = msgspec.json.decode(said.content.rstrip(b" \0"), type=_Place)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    claim = place.claim
    if said.alive or now is None:
        return place
    seconds = sum(_unseen(claim, since, now) for since in claim.since)
    return replace(place, claim=replace(claim, since=(), wants=0, charged=claim.charged + claim.cost(seconds)))


def _unseen(claim: Claim, since: float, now: float) -> float:
    """Seconds of an attempt whose end nobody saw."""
    lasted = max(0.0, now - since)  # the machine may have been started anew
    return min(lasted, claim.expected) if claim.expected else lasted
