"""The cards of this machine for one search: which it may use, which are free, and locks on those that it gives to attempts.

`GpuPool.take` is called when attempts could be started. It never waits: what cannot be had now is asked for again later. The
rules are told in ``docs/gpus.md``.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from outlast._system.card_locks import UNITS, CardLock, Holder, holders_of, lock_directory, make_lock_directory
from outlast._system.nvml import Card, Reading, read_cards, use_of
from outlast.core.faults import NEGLIGIBLE_GPU_MEMORY
from outlast.errors import StorageError, UsageError
from outlast.executors.card_queue import CardQueue, Standing

_LOOK_EVERY = 0.5  # seconds between two questions to the driver


class Need(Struct, frozen=True):
    """What one attempt needs: some whole cards, or a share of one."""

    cards: int
    units: int  # of each card

    @classmethod
    def of(cls, gpus: float) -> Need:
        """From `resources.gpus`. More than one card means whole cards: 1.5 is 2."""
        return cls(1, math.ceil(round(gpus * UNITS, 6))) if gpus < 1 else cls(math.ceil(gpus), UNITS)

    @property
    def amount(self) -> float:
        """In cards."""
        return self.cards * self.units / UNITS

    def fits(self, cards: int) -> int:
        """How many attempts that many cards hold."""
        return cards * (UNITS // self.units) // self.cards


class Grant(Struct, frozen=True):
    """Cards for one attempt, held by locks."""

    locks: tuple[CardLock, ...]

    def close(self) -> None:
        """Close our descriptors: the locks go, or belong to the attempt alone if it has been started."""
        for lock in self.locks:
            lock.close()


def visible_cards(cards: Sequence[Card], visible: str | None) -> list[Card]:
    """The cards that CUDA_VISIBLE_DEVICES allows, in its order.

    Entries are indices as nvidia-smi shows them, UUIDs, or the beginning of one. As CUDA does, everything from the first entry
    on that names no card is left out.

    Args:
        visible: The variable; ``None`` if it is not set: every card.
    """
    if visible is None:
        return list(cards)
    found: list[Card] = []
    for entry in (part.strip() for part in visible.split(",")):
        named = [card for card in cards if entry and (card.index == entry or card.uuid.startswith(entry))]
        exact = [card for card in named if entry in (card.index, card.uuid)] or named
        whole = [card for card in cards if card.mig and card.index.split(":")[0] == entry]  # a card split by MIG
        chosen = exact if len(exact) == 1 else whole
        if not chosen:
            break
        found += [card for card in chosen if card not in found]
    return found


class GpuPool:
    """The cards that one search may use.

    Args:
        gpus: What one attempt needs, as in `resources.gpus`.
        visible: CUDA_VISIBLE_DEVICES as it limits this search; ``None``: every card.
        clock: Seconds, the same for all processes of the machine.
    """

    def __init__(
        self,
        gpus: float,
        say: Callable[[str], object],
        *,
        visible: str | None = None,
        directory: str | None = None,
        read: Callable[[], Reading] = read_cards,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.need = Need.of(gpus)  # what an attempt needs
        self._say, self._visible, self._read, self._clock = say, visible, read, clock
        self._directory = directory or lock_directory()
        self._queue = CardQueue(self._directory, clock)
        self._ready = False
        self._looked_at = -math.inf
        self._error, self._blind = "", False
        self.pool: list[Card] = []  # for this search, used or not; empty also while the driver does not answer
        self._held: set[str] = set()  # cards with locks when we looked last
        self._unclear: dict[str, float] = {}  # card → since when its memory is used and nobody is seen to use it
        self._told: set[str] = set()
        self._look()

    @property
    def is_empty_handed(self) -> bool:
        """Whether this machine shows no trace of a card and nobody named one: there is nothing to give or to wait for."""
        return self._blind and not len(self.pool) and self._visible is None

    def check(self) -> None:
        """Refuse a need that these cards can never meet.

        Raises:
            UsageError: With what there is.
        """
        if self._error or self.need.fits(len(self.pool)):
            return
        may = "none" if len(self.pool) == 0 else f"only {len(self.pool)}"
        limit = "" if self._visible is None else f" (CUDA_VISIBLE_DEVICES={self._visible})"
        many = "a GPU" if self.need.cards == 1 else f"{self.need.cards} GPUs"
        fact = f"a trial needs {many}; this session may use {may}{limit}"
        raise UsageError(fact, cure="change resources.gpus in the study file, or CUDA_VISIBLE_DEVICES")

    def take(
        self, wanted: int, *, running: int = 0, avoid: Collection[str] = (), standing: Standing | None = None
    ) -> list[Grant]:
        """Lock cards for attempts that would be started now.

        Args:
            wanted: For how many; 0 tells the other searches that we wait for nothing.
            running: Attempts of ours that run here with cards.
            avoid: Cards that are taken last.
            standing: Ours in our campaign, if we belong to one.

        Returns:
            A grant each, as many as can be had.

        Raises:
            StorageError: Nothing can be locked on this machine.
        """
        try:
            return self._take(wanted, running, avoid, standing)
        except OSError as error:
            fact = f"cannot lock GPUs in {self._directory}: {error.strerror}"
            cure = "OUTLAST_GPU_LOCK_DIR names another folder, the same for all users of this machine"
            raise StorageError(fact, cure=cure) from error

    def close(self) -> None:
        """Tell the others that we are gone. Locks of running attempts are theirs."""
        self._queue.close()

    # -- choosing -----------------------------------------------------------------------------------------------------

    def _take(self, wanted: int, running: int, avoid: Collection[str], standing: Standing | None) -> list[Grant]:
        if not self._ready and wanted:
            make_lock_directory(self._directory)
            self._ready = True
        if not self._ready:
            return []
        held = running * self.need.amount
        usable = self._usable() if wanted else []
        usable.sort(key=lambda card: card.uuid in avoid)
        grants: list[Grant] = []
        while True:
            self._queue.say(
                holds=held + len(grants) * self.need.amount,
                wants=wanted - len(grants),
                cards=[card.uuid for card in usable],
                standing=standing,
            )
            grant = self._one(usable) if len(grants) < wanted else None
            if grant is None:
                break
            grants.append(grant)
        self._say_if_waiting(wanted, running + len(grants), usable)
        return grants

    def _one(self, usable: Sequence[Card]) -> Grant | None:
        locks: list[CardLock] = []
        for card in self._packed(usable):
            if len(locks) == self.need.cards:
                break
            lock = self._lock(card)
            if lock is not None:
                locks.append(lock)
        if len(locks) == self.need.cards:
            for lock in locks:
                self._told.discard(lock.uuid)
            return Grant(tuple(locks))
        Grant(tuple(locks)).close()
        return None

    def _packed(self, usable: Sequence[Card]) -> list[Card]:
        """For shares: cards that are shared already come first, so that whole ones stay free."""
        if self.need.units == UNITS:
            return list(usable)
        return sorted(usable, key=lambda card: not self._holders(card))

    def _lock(self, card: Card) -> CardLock | None:
        if not self._has_room(card):
            self._queue.taken(card.uuid)
            return None
        if not self._queue.is_our_turn(card.uuid):
            return None
        lock = CardLock.take(self._directory, card.uuid, self.need.units)
        self._queue.taken(card.uuid)
        return lock

    def _holders(self, card: Card) -> list[Holder]:
        return holders_of(self._directory, card.uuid)

    def _has_room(self, card: Card) -> bool:
        return sum(holder.units for holder in self._holders(card)) + self.need.units <= UNITS

    # -- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._looked_at = self._clock()
        reading = self._read()
        self._error = reading.error
        if reading.error:
            self.pool = []
            if "driver" not in self._told:
                self._told.add("driver")
                self._say(f"the GPUs cannot be read ({reading.error}): no trial is started until they answer")
            return
        self._told.discard("driver")
        self._blind = not reading.cards
        if self._blind:
            self.pool = [Card(name, name) for name in _named_without_driver(self._visible)]
        else:
            found = visible_cards(reading.cards, self._visible)
            self.pool = [card for card in found if not (card.mig and self.need.cards > 1)]  # CUDA takes one MIG device
        self._held = {card.uuid for card in self.pool if card.uuid and self._holders(card)}

    def _usable(self) -> list[Card]:
        """The cards that nobody outside uses, those included that attempts use. What is not known is not usable."""
        freed = any(card.uuid in self._held and not self._holders(card) for card in self.pool)
        if freed or self._clock() - self._looked_at >= _LOOK_EVERY:
            self._look()
        return [card for card in self.pool if self._is_usable(card)]

    def _is_usable(self, card: Card) -> bool:
        if not card.uuid:
            self._tell(card, f"cannot be read ({card.error}): skipped; taken when it answers")
            return False
        if self._blind or not self._has_room(card):
            return True
        use = use_of(card, [holder.pid for holder in self._holders(card)])
        if use.foreign is None:
            self._tell(card, f"cannot be read ({card.error or 'its use is not told'}): skipped; taken when it answers")
            return False
        if use.foreign <= NEGLIGIBLE_GPU_MEMORY:
            self._unclear.pop(card.uuid, None)
            return True
        since = self._unclear.setdefault(card.uuid, self._looked_at)
        seen = [str(pid) for pid in use.pids[:3] if os.path.exists(f"/proc/{pid}")]
        if seen or since < self._looked_at:  # otherwise it may be what a process leaves that is just ending
            who = f"pid {', '.join(seen)}, " if seen else ""
            self._tell(card, f"is used by others ({who}{_size(use.foreign)}): skipped; taken when free")
        return False

    def _tell(self, card: Card, text: str) -> None:
        """Once for each time a card is kept from us."""
        key = card.uuid or card.index
        if key not in self._told:
            self._told.add(key)
            self._say(f"GPU {card.index} {text}")

    def _say_if_waiting(self, wanted: int, running: int, usable: Sequence[Card]) -> None:
        waits = bool(wanted and usable and not running)
        if waits and "waiting" not in self._told:
            which = ", ".join(card.index for card in usable)
            self._say(f"waiting for a GPU: other searches have GPU {which}, or are next in turn")
        (self._told.add if waits else self._told.discard)("waiting")


def _named_without_driver(visible: str | None) -> list[str]:
    """Cards by the entries of CUDA_VISIBLE_DEVICES or by their device files, where the driver's library is missing."""
    if visible is None:
        names = os.listdir("/dev") if os.path.isdir("/dev") else []
        return sorted((name[6:] for name in names if name.startswith("nvidia") and name[6:].isdigit()), key=int)
    found: list[str] = []
    for entry in (part.strip() for part in visible.split(",")):
        if entry in ("", "-1", "NoDevFiles"):
            break
        found.append(entry)
    return list(dict.fromkeys(found))


def _size(count: int) -> str:
    gigabytes = count / 2**30
    return f"{gigabytes:.0f} GB" if gigabytes >= 9.95 else f"{gigabytes:.1f} GB"
