"""Fabricated studies: folded from real ledger events, without a folder, a process or a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from outlast.core.fold import Study
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    RevisionMade,
    RunStarted,
    StudyCreated,
    StudyEnded,
    TrialCreated,
    Warned,
)
from outlast.core.states import Cause, TrialState

__all__ = ["StudyBuilder"]

_CAUSES = {
    TrialState.COMPLETE: Cause.COMPLETED,
    TrialState.PRUNED: Cause.PRUNED,
    TrialState.FAILED: Cause.CRASH,
    TrialState.INFEASIBLE: Cause.GPU_OUT_OF_MEMORY,
    TrialState.INTERRUPTED: Cause.PREEMPTED,
}


class StudyBuilder:
    """Writes the events of a study that never ran. Times are seconds after `start`; `gpus` are ``resources.gpus`` of its file."""

    def __init__(self, name: str = "digits", start: datetime | None = None, *, gpus: float = 0.0) -> None:
        self.study = Study()  # the fold of the events so far
        self.start = start or datetime(2026, 1, 5, 10, 0, tzinfo=timezone.utc)
        self.study.apply(StudyCreated(name, self.at(0), study_seed=1))
        self.study.apply(RevisionMade(1, self.at(0), {"resources": {"gpus": gpus}} if gpus else {}))

    def at(self, seconds: float) -> str:
        """That many seconds after the start, as a record says it."""
        return self.moment(seconds).isoformat(timespec="milliseconds")

    def moment(self, seconds: float) -> datetime:
        """The same as a datetime."""
        return self.start + timedelta(seconds=seconds)

    def run(self, at: float = 0, *, trials: int | None = None, host: str = "box", pid: int = 4242) -> None:
        """Somebody runs the study."""
        self.study.apply(RunStarted(self.at(at), host, pid, trials))

    def end(self, at: float, state: str = "stopped", reason: str = "", elapsed: float = 0.0) -> None:
        """The run came to rest."""
        self.study.apply(StudyEnded(self.at(at), state, reason, elapsed))

    def warn(self, text: str, key: str = "") -> None:
        """The coordinator said something once."""
        self.study.apply(Warned(self.at(0), text, key))

    def trial(
        self,
        params: Mapping[str, Any] | None = None,
        state: TrialState = TrialState.COMPLETE,
        *,
        at: float = 0,
        seconds: float = 60.0,
        values: Sequence[float] | float | None = None,
        number: int | None = None,
        source: str = "sampler",
        **outcome: Any,
    ) -> int:
        """One trial with one attempt from `at` on, ended after `seconds` unless `state` is running or created.

        `values`: one, or one per objective. `number`: the next free one by default; it is returned. `outcome`: further fields of
        its `AttemptEnded`, such as cause, reason, signature, curves, metrics, last_step.
        """
        number = self.study.next_number if number is None else number
        self.study.apply(TrialCreated(number, self.at(at), dict(params or {}), seed=100 + number, source=source))
        if state is TrialState.CREATED:
            return number
        self.attempt(number, state, at=at, seconds=seconds, values=values, **outcome)
        return number

    def attempt(
        self,
        number: int,
        state: TrialState = TrialState.COMPLETE,
        *,
        at: float = 0,
        seconds: float = 60.0,
        values: Sequence[float] | float | None = None,
        resumed: bool | None = None,
        gpus: Sequence[str] = (),
        **outcome: Any,
    ) -> None:
        """One more attempt of a trial; the arguments are those of `trial`.

        By default every attempt but the first is `resumed`, beginning from a checkpoint. `gpus` are its cards.
        """
        trial = self.study.trials[number]
        attempt = len(trial.attempts) + 1
        resumed = attempt > 1 if resumed is None else resumed
        self.study.apply(AttemptOpened(number, attempt, self.at(at), "local:0", resumed, gpus=tuple(gpus)))
        if state is not TrialState.RUNNING:
            self.finish(number, state, at=at + seconds, seconds=seconds, values=values, **outcome)

    def finish(
        self,
        number: int,
        state: TrialState = TrialState.COMPLETE,
        *,
        at: float = 60.0,
        seconds: float = 60.0,
        values: Sequence[float] | float | None = None,
        **outcome: Any,
    ) -> None:
        """The end of a trial's running attempt, taken in at `at`."""
        given = (values,) if isinstance(values, (int, float)) else values
        outcome.setdefault("cause", _CAUSES[state])
        outcome.setdefault("host", "box")
        fields = {"values": None if given is None else tuple(given), "seconds": seconds, **outcome}
        attempt = self.study.trials[number].attempts[-1].number
        self.study.apply(AttemptEnded(number, attempt, self.at(at), state, **fields))
