"""What workers and people can want of whoever holds a study, as a round is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


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
    """A person wants the study to come to rest (see `ComingToRest.ask`)."""

    drain: bool = False
    now: bool = False


Wanted: TypeAlias = WorkersAsk | EndWanted | RetryWanted | RestWanted
