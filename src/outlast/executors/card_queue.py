"""Whose turn a free card is, among the searches of one machine.

Every search that uses cards keeps one small file in the folder of the locks and holds an flock on it as long as it lives. The
file says how many cards it holds, how many more it could use now, since when it waits, and which cards would do. The order is:
fewest cards of the user, then fewest of the campaign (a search of its own is one), then within a campaign as it shares its slots
(`outlast.core.sharing`), otherwise who waited longest. A search leaves a free card to anyone before it in that order, but never
for longer than `PATIENCE` seconds: one that is stopped, or that waits for several cards at once, holds up nobody for good.
Nothing is taken away from a running attempt.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from outlast.core.sharing import Claim, Share, rank
from outlast.executors.places import OwnPlace, read_place

#: Seconds for which a free card is left to a search that goes before.
PATIENCE = 5.0
_PREFIX = "search."


class Standing(msgspec.Struct, frozen=True):
    """What a study of a campaign is among the others of it."""

    campaign: str  # its folder
    share: Share
    claim: Claim


class _Place(msgspec.Struct, frozen=True):
    """What a search says of itself."""

    uid: int
    holds: float = 0.0
    wants: int = 0
    since: float = 0.0
    cards: tuple[str, ...] = ()
    standing: Standing | None = None

    def goes_before(self, other: _Place, everybody: Sequence[_Place], now: float) -> bool:
        """Whether it has the lower rank."""
        mine, theirs = self._of_its_user(everybody), other._of_its_user(everybody)
        if mine != theirs:
            return mine < theirs
        group = self._group(everybody)
        if self.standing is not None and other in group:
            claims = [place.standing.claim for place in group if place.standing is not None]
            ranks = [
                rank(place.standing.claim, claims, now, self.standing.share)
                for place in (self, other)
                if place.standing
            ]
            return ranks[0] < ranks[1]
        return (_cards(group), self.since) < (_cards(other._group(everybody)), other.since)

    def _of_its_user(self, everybody: Sequence[_Place]) -> float:
        return _cards([other for other in everybody if other.uid == self.uid])

    def _group(self, everybody: Sequence[_Place]) -> Sequence[_Place]:
        """The searches of its campaign."""
        if self.standing is None:
            return [self]
        return [
            other
            for other in everybody
            if other.uid == self.uid
            and other.standing is not None
            and other.standing.campaign == self.standing.campaign
        ]


def _cards(places: Sequence[_Place]) -> float:
    return sum(place.holds for place in places)


class CardQueue:
    """This search's place in the queue.

    Args:
        clock: Seconds, the same for every process of the machine.
    """

    def __init__(self, directory: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        self._own = OwnPlace(os.path.join(directory, f"{_PREFIX}{os.getpid()}.{uuid.uuid4().hex[:8]}"))
        self._said = _Place(os.getuid())
        self._left: dict[str, float] = {}  # card → since when it is left to somebody else

    def say(self, *, holds: float, wants: int, cards: Sequence[str], standing: Standing | None = None) -> None:
        """Tell the others what we hold and wait for. Cheap when nothing changed.

        Args:
            holds: Cards that our attempts have now.
            wants: Attempts that could be started now if there were cards.
            cards: Those that would do.
            standing: Ours in our campaign, if we belong to one.

        Raises:
            OSError: The folder of the locks cannot be written.
        """
        before = self._said
        begins = wants and (not before.wants or holds > before.holds)  # who just got a card waits anew for the next
        since = self._clock() if begins else before.since
        self._said = replace(before, holds=holds, wants=wants, since=since, cards=tuple(cards), standing=standing)
        if self._said != before:
            self._own.write(msgspec.json.encode(self._said))

    def is_our_turn(self, card: str) -> bool:
        """Whether we may try to take a card that is free: nobody goes before us, or they did not come for it."""
        everybody = [*self._others(), self._said]
        now, rivals = self._clock(), [other for other in everybody[:-1] if other.wants and card in other.cards]
        if not any(other.goes_before(self._said, everybody, now) for other in rivals):
            self._left.pop(card, None)
            return True
        return self._clock() - self._left.setdefault(card, self._clock()) >= PATIENCE

    def taken(self, card: str) -> None:
        """A card found its user: the next time it is free, the waiting begins anew."""
        self._left.pop(card, None)

    def close(self) -> None:
        """Leave the queue."""
        self._own.close()

    def _others(self) -> list[_Place]:
        """What the other living searches say."""
        found = []
        for name in sorted(os.listdir(self._directory)):
            path = os.path.join(self._directory, name)
            said = _read_if_alive(path) if name.startswith(_PREFIX) and path != self._own.path else None
            if said is not None:
                found.append(said)
        return found


def _read_if_alive(path: str) -> _Place | None:
    """``None`` for a search that is dead; its file is removed where that is allowed."""
    said = read_place(path)
    if said is None:
        return None
    if not said.alive:
        with contextlib.suppress(OSError):
            os.unlink(path)
        return None
    try:
        return replace(msgspec.json.decode(said.content.rstrip(b" \0"), type=_Place), uid=said.uid)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # of a version that says it otherwise
