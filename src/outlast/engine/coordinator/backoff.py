"""Interrupted trials that wait for their next attempt: lost to the machine, or with files in doubt."""

from __future__ import annotations

import math

from outlast.core.fold import Study, seconds_between
from outlast.core.plan import backoff, false_starts, setbacks_in_a_row
from outlast.core.records import AttemptEnded
from outlast.core.states import Cause, TrialState

#: Seconds before a trial's next attempt after the first setback of such a kind; doubled with each further one.
_FIRST_WAIT = {
    Cause.LOST: 1.0,
    Cause.PREEMPTED: 1.0,
    Cause.GPU_OUT_OF_MEMORY: 1.0,
    Cause.HOST_OUT_OF_MEMORY: 10.0,
    Cause.DISK_FULL: 30.0,  # it may be a disk that nobody here watches
    Cause.TRANSIENT: 10.0,  # a hub that answers 429 wants to be left alone for a while
}
_SOON_AGAIN = 5.0  # seconds, at most, before a start that never was is tried again


class Backoff:
    """When each of them may go on.

    Args:
        first_wait: In seconds, instead of what the cause calls for.
    """

    def __init__(self, study: Study, first_wait: float | None = None) -> None:
        self._study, self._first_wait = study, first_wait
        self.not_before: dict[int, float] = {}  # trial → time on the coordinator's own clock

    def note(self, event: AttemptEnded, now: float) -> None:
        """A trial that was lost to the machine is not started again at once; one whose files are in doubt not in this round."""
        if event.state is not TrialState.INTERRUPTED:
            return
        if event.cause in _FIRST_WAIT:
            setbacks = setbacks_in_a_row(self._study.trials[event.trial], _FIRST_WAIT)
            first = _FIRST_WAIT[event.cause] if self._first_wait is None else self._first_wait
            self.not_before[event.trial] = now + backoff(setbacks, first=first)
        elif event.cause is Cause.NEVER_STARTED:  # once is no matter; again and again it must not go as fast as it can
            again = false_starts(self._study.trials[event.trial]) - 1
            self.not_before[event.trial] = now + backoff(again, most=_SOON_AGAIN)
        elif event.cause is Cause.BAD_CHECKPOINT:
            self.not_before[event.trial] = math.nextafter(now, math.inf)

    def recall(self, now: float, here: str) -> None:
        """Trials that were told to wait under an earlier holder do so still (by two clocks, which is no matter here)."""
        for trial in self._study.in_state(TrialState.INTERRUPTED):
            if trial.last is not None:
                self.note(trial.last, now - seconds_between(trial.last.at, here))

    def any_after(self, now: float) -> bool:
        """Whether a trial waits still."""
        return any(at > now for at in self.not_before.values())
