"""A sink: somebody else's tracker, and what it is given.

A sink is given *state*: the study, and each trial that is otherwise now than when the sink last took it. Whatever it must
remember to send nothing twice it keeps in its `Memory`, which lasts. It may be ended at any moment, between any two calls of its
tracker, and is then opened again with the same memory and given again whatever it had not taken to the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from outlast.core.states import StudyState, TrialState


class SinkError(Exception):
    """The tracker did not take something; its text says why, without secrets.

    Args:
        reason: For people, a line.
        cure: What helps, if anything is known to.
        lasting: Trying again helps nothing until somebody does something: a missing package, a wrong credential.
    """

    def __init__(self, reason: str, *, cure: str = "", lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.cure, self.lasting = reason, cure, lasting


class EverythingAgain(SinkError):
    """The tracker no longer has what it took: it was set up anew, or is another one. The sink has cleared its memory; it is
    opened again, and then given all trials.
    """


class TrackedMetric(Struct, frozen=True):
    """One objective of a study."""

    name: str
    maximize: bool


class TrackedPoint(Struct, frozen=True):
    """What a training reported at one moment."""

    step: int
    at: float  # seconds since 1970, UTC, when it was reported; the same whenever it is asked for
    metrics: Mapping[str, float]  # of a trial in parts by the part's name: ``fold_1/loss``, ``part_3/loss``
    via: str = ""  # as in the protocol: "mlflow" or "wandb" where an unchanged script logged it there itself
    part: int | None = None  # of a trial in parts (seeds, folds): which one; each counts its steps from 0


class TrackedTrial(Struct, frozen=True):
    """A trial as it is now."""

    number: int
    state: TrialState
    params: Mapping[str, Any]  # what the training gets, constants included
    began: float | None = None  # seconds since 1970, UTC
    ended: float | None = None
    values: tuple[float, ...] | None = None  # one an objective, of a trial that has a result
    points: tuple[TrackedPoint, ...] = ()  # in the order of the reports, all attempts
    metrics: Mapping[str, float] = {}  # whatever else it reported at its end
    attributes: Mapping[str, Any] = {}  # what an objective noted about it
    cause: str = ""  # of an end that is no completion
    reason: str = ""  # the same for people
    attempts: int = 0
    host: str = ""
    files: Mapping[str, str] = {}  # what it is called -> where it lies: output.log, error.log, config.yaml, …

    @property
    def is_over(self) -> bool:
        """Whether it has its outcome."""
        return self.ended is not None and self.state not in (TrialState.RUNNING, TrialState.INTERRUPTED)


class TrackedStudy(Struct, frozen=True):
    """A study as it is now."""

    identity: str  # the same wherever its folder lies, and no other study's
    name: str
    folder: str  # absolute
    cwd: str  # absolute: where its trainings run, and from where relative addresses of a tracker are meant
    state: StudyState
    created: float  # seconds since 1970, UTC
    metrics: tuple[TrackedMetric, ...]
    max_trials: int | None
    runs: int  # how often somebody began to run it: more than one, and it was resumed
    index: str | None  # absolute path or masked address of its Optuna study; None: nothing is kept
    auto_resume: bool = True
    settings: Mapping[str, Any] = {}  # the resolved study file, secrets left out
    constants: Mapping[str, Any] = {}  # parameters that have one value
    counts: Mapping[TrialState, int] = {}
    best: int | None = None  # its number
    best_value: float | None = None
    ended: float | None = None
    upcoming: Sequence[int] = ()  # numbers that the next trials will have, as many as may begin soon
    files: Mapping[str, str] = {}  # its tables, best files and report: name -> where it lies


class Memory(Protocol):
    """What a sink remembers of what it sent; survives whatever happens between two calls of `keep`.

    What stands under ``"environment"``, trial number as text → variable → value, is given to that trial's trainings, unless the
    user has set the variable: so they log into the run that the sink made for them. No secret may stand there.
    """

    data: dict[str, Any]

    def keep(self) -> None:
        """Make `data` durable."""


class Sink(Protocol):
    """Somebody else's tracker. Its methods are called one at a time, in a process of their own, which waits for each."""

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        """Begin, or go on with what was begun.

        Raises:
            SinkError: It cannot; it is tried again later.
        """

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        """Take what the study is now, and these trials, by number. Returning means that all of it has arrived.

        Raises:
            SinkError: Something did not; the same trials, or what has become of them, come again later.
        """

    def close(self, study: TrackedStudy) -> None:
        """The study has come to rest, or whoever sends has to leave: what is buffered is sent.

        Raises:
            SinkError: As with `send`.
        """
