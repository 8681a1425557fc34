"""What a round can ask for, and what workers and people can want of it.

Some of what it asks for is done at once; the rest acts on decisions, and waits until they are durable.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from msgspec import Struct

from outlast.core.plan import Verdict
from outlast.core.records import Event

# -- at once: decides further; or rests on what was durable before; or asks for an end, which is decided about when it comes


class Record(Struct, frozen=True):
    """Take a decision in; it is durable with the round's ledger line."""

    event: Event


class Say(Struct, frozen=True):
    """Tell the person."""

    text: str


class LockSlots(Struct, frozen=True):
    """Lock slots for so many attempts, and say which there are; these cards last."""

    wanted: int
    now: float
    avoid: Collection[str] = ()


class Open(Struct, frozen=True):
    """Open an attempt in a slot that is locked: of this trial, or of a new one (see `Round.fill`)."""

    slot: str
    trial: int | None = None


class TakeReserve(Struct, frozen=True):
    """See whether the disk has room for the ledger's reserve again."""


class HandOver(Struct, frozen=True):
    """Tell a worker once more which attempt is its own: its answer may not have reached it."""

    attempt: str


class TurnAway(Struct, frozen=True):
    """This request is done with."""

    slot: str


class Void(Struct, frozen=True):
    """See to it that nobody claims an attempt that was never laid out."""

    attempt: str


class AskToEnd(Struct, frozen=True):
    """Ask a running attempt to end; for its own reason, if it was asked before."""

    trial: int
    attempt: int
    reason: str
    now: bool = False  # without any grace, and if nobody has begun it, it need not


class Prune(Struct, frozen=True):
    """Give a trial up, unless its running attempt was asked to end before."""

    trial: int
    attempt: int


# -- once durable -----------------------------------------------------------------------------------------------------


class PutAway(Struct, frozen=True):
    """Bring the files of an ended attempt into their final form."""

    trial: int
    attempt: int


class PutAwayLeft(Struct, frozen=True):
    """Put away what had to wait for room on the disk."""


class LetWait(Struct, frozen=True):
    """Workers that got nothing ask again: `soon` where a trial that waits now will be theirs."""

    soon: bool
    lacking: str = ""


class SendAway(Struct, frozen=True):
    """Workers need not ask again."""

    for_good: bool = False  # nor will anybody read what is left of their answers


class Leave(Struct, frozen=True):
    """The study has come to rest."""

    end: Verdict


AtOnce: TypeAlias = Record | Say | LockSlots | TakeReserve | HandOver | TurnAway | Void | AskToEnd | Prune
OnceDurable: TypeAlias = PutAway | PutAwayLeft | LetWait | SendAway | Leave
Instruction: TypeAlias = AtOnce | OnceDurable


# -- what is wanted ---------------------------------------------------------------------------------------------------


class Worker(Struct, frozen=True):
    """A worker that lives and waits for an answer; and the running attempt that was opened for this request, if one was."""

    slot: str
    attempt: str = ""  # 0007.2
    claimed: bool = False  # by a runner: the worker has had its answer
    laid_out: bool = False  # its files are there, so that it can be claimed


class WorkersAsk(Struct, frozen=True):
    """These workers ask for a trial each."""

    workers: tuple[Worker, ...]


class EndWanted(Struct, frozen=True):
    """A person wants one trial to end for good."""

    trial: int


class RetryWanted(Struct, frozen=True):
    """A person wants finished trials to have another attempt."""

    trials: tuple[int, ...]
    from_scratch: bool
    at: str


class RestWanted(Struct, frozen=True):
    """A person wants the study to come to rest (see `ComingToRest.ask`)."""

    drain: bool = False
    now: bool = False


Wanted: TypeAlias = WorkersAsk | EndWanted | RetryWanted | RestWanted
