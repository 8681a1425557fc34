"""Whose turn a free slot is, among studies that share a machine: values in, an order out.

Time is shared as start-time fair queueing shares a link (Goyal, Vin, Cheng, IEEE/ACM Transactions on Networking 5(5), 1997), in
the form for a server that serves several requests at once (SFQ(D): Jin, Chase, Kaur, SIGMETRICS 2004). A study's tag is the slot
time that it was given by its weight; the lowest goes first. Nobody knows how long an attempt will take: it is charged what
attempts of its study took on average when it begins, and what it took in fact once it ended. Who was not waiting joins at the
tag at which the others were served last, so that nobody saves up time that he could not use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

#: Slot time by weight, or strictly by priority, or so that all are likely to finish at the same time.
Share: TypeAlias = Literal["weight", "priority", "together"]
_RECENT = 50  # attempts, from which it is expected how long the next one takes


class Claim(Struct, frozen=True):
    """What a study has had of the slots, holds, and wants. Times are seconds of the machine's monotonic clock."""

    study: str
    weight: float = 1.0
    priority: int = 0
    size: float = 1.0  # of one of its attempts: the part of the machine that it takes
    charged: float = 0.0  # for attempts that ended: seconds of the whole machine, by weight
    since: tuple[float, ...] = ()  # when those began that run now
    expected: float = 0.0  # seconds of an attempt; 0 while none has ended
    ended: int = 0  # attempts
    wants: int = 0  # attempts that could begin now
    start: float = 0.0  # its tag when it was given its last slot
    trials: int | None = None  # that are still to begin, for `together`; None: nobody knows

    def tag(self, now: float) -> float:
        """Slot time by weight, running attempts charged for what they are expected to take."""
        running = sum(max(self.expected, now - since) for since in self.since)
        return self.charged + self.cost(running)

    def cost(self, seconds: float) -> float:
        """What an attempt of so many seconds is charged."""
        return seconds * self.size / self.weight

    @property
    def is_active(self) -> bool:
        """Whether it is served, or waits to be."""
        return bool(self.since or self.wants)


def joining(claim: Claim, others: Iterable[Claim], now: float) -> Claim:
    """The claim of a study that begins to wait: it is not owed what it did not wait for.

    Where nobody is served, it joins behind everybody who was, as nothing is owed between busy times either.
    """
    others = list(others)
    served = [other.start for other in others if other.is_active] or [other.tag(now) for other in others]
    lacking = max(served, default=0.0) - claim.tag(now)
    return replace(claim, charged=claim.charged + lacking) if lacking > 0 else claim


def given(claim: Claim, now: float) -> Claim:
    """The claim of a study that is given a slot."""
    return replace(claim, start=claim.tag(now), since=(*claim.since, now), wants=max(0, claim.wants - 1))


def over(claim: Claim, since: float, seconds: float) -> Claim:
    """The claim of a study after an attempt that began then ended, having taken so many seconds."""
    ended = claim.ended + 1
    expected = claim.expected + (seconds - claim.expected) / min(ended, _RECENT)
    charged = claim.charged + claim.cost(max(0.0, seconds))
    return replace(unused(claim, since), charged=charged, expected=expected, ended=ended)


def unused(claim: Claim, since: float) -> Claim:
    """The claim of a study that did not use the slot that it was given then."""
    left = list(claim.since)
    left.remove(since)
    return replace(claim, since=tuple(left))


def goes_first(claim: Claim, others: Collection[Claim], now: float, share: Share) -> bool:
    """Whether nobody who waits goes before."""
    everybody = [*others, claim]
    mine = rank(claim, everybody, now, share)
    return all(mine <= rank(other, everybody, now, share) for other in others if other.wants)


def rank(claim: Claim, everybody: Collection[Claim], now: float, share: Share) -> tuple[float, float, str]:
    """Who has the lowest goes first; the name decides between equals, so that all see one order."""
    first = 0.0
    if share == "priority":
        first = -float(claim.priority)
    elif share == "together":
        first = -_finish(claim, everybody, now)
    return first, claim.tag(now), claim.study


def _finish(claim: Claim, everybody: Collection[Claim], now: float) -> float:
    """Seconds to the study's end if it is given one slot more and keeps them all.

    What has no number of trials is taken to need as long as the others on average, which gives it as much of the slots.
    """
    known = [_alone(each, everybody, now) for each in everybody if each.trials is not None]
    work = _alone(claim, everybody, now) if claim.trials is not None else sum(known) / max(1, len(known))
    return work / (len(claim.since) + 1)


def _alone(claim: Claim, everybody: Collection[Claim], now: float) -> float:
    """Seconds of slots that a study still needs."""
    known = [each.expected for each in everybody if each.expected]
    expected = claim.expected or (sum(known) / len(known) if known else 1.0)
    running = sum(max(0.0, expected - (now - since)) for since in claim.since)
    return running + (claim.trials or 0) * expected
