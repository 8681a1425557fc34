"""What can happen to a study that somebody holds, as a round is told of it. Times `now` are the holder's own seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from outlast.core.plan import Verdict
from outlast.core.records import AttemptEnded


@dataclass(frozen=True)
class AttemptOver:
    """An attempt ended, and what its evidence means is taken in."""

    ended: AttemptEnded
    now: float


@dataclass(frozen=True)
class Worker:
    """A worker that lives and waits for an answer; and the running attempt that was opened for this request, if one was."""

    slot: str
    attempt: str = ""  # 0007.2
    claimed: bool = False  # by a runner: the worker has had its answer
    laid_out: bool = False  # its files are there, so that it can be claimed


@dataclass(frozen=True)
class WorkersAsk:
    """These workers ask for a trial each."""

    workers: tuple[Worker, ...]


@dataclass(frozen=True)
class EndWanted:
    """A person wants one trial to end for good."""

    trial: int


@dataclass(frozen=True)
class RetryWanted:
    """A person wants finished trials to have another attempt."""

    trials: tuple[int, ...]
    from_scratch: bool
    at: str


@dataclass(frozen=True)
class RestWanted:
    """The study is to come to rest (see `ComingToRest.ask`)."""

    reason: str = "user"
    drain: bool = False
    now: bool = False


@dataclass(frozen=True)
class Futile:
    """Going on makes no sense: a scheduler refuses the jobs, or the study file is wrong."""

    why: str


@dataclass(frozen=True)
class DiskSeen:
    """A look at the disks, or a disk that refused."""

    now: float
    lacking: str = ""  # what they lack for certain, as a sentence
    lacked: str = ""  # what one lacked when it last refused: it may have room again


@dataclass(frozen=True)
class RoomIsBack:
    """The ledger has its reserve again."""


@dataclass(frozen=True)
class BudgetSeen:
    """The time is looked at."""

    lasted: float  # seconds of this run
    gpu_seconds: float = 0.0  # of the attempts that run now


@dataclass(frozen=True)
class SlotsSeen:
    """So many slots are free, if there are cards for all of them."""

    most: int
    now: float


@dataclass(frozen=True)
class SlotsFilled:
    """What could be opened in these slots is open; where fewer were, perhaps because the sampler has no further configuration."""

    now: float
    lasted: float  # seconds of this run
    space_used_up: bool = False


@dataclass(frozen=True)
class NothingRuns:
    """No attempt is open."""

    at: str
    lasted: float  # seconds of this run


@dataclass(frozen=True)
class TurnOver:
    """The study is about to be left to the next holder."""

    at: str
    lasted: float


@dataclass(frozen=True)
class Closed:
    """Somebody outside the rounds brings the study to rest; what runs may finish."""

    end: Verdict
    at: str
    lasted: float


Stimulus: TypeAlias = (
    AttemptOver | WorkersAsk | EndWanted | RetryWanted | RestWanted | Futile | DiskSeen | RoomIsBack
    | BudgetSeen | SlotsSeen | SlotsFilled | NothingRuns | TurnOver | Closed
)  # fmt: skip
