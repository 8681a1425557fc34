"""When the finisher submits no further array. Pure."""

from __future__ import annotations

import pytest

from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, JobSubmitted, RunStarted, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.cluster.finish import in_vain

AT = "2026-01-05T10:00:00+00:00"


def study(*ends: tuple[TrialState, Cause], tasks: int = 4, array: str = "12") -> Study:
    """An array whose first tasks took a trial each that ended so."""
    found = Study()
    found.apply(JobSubmitted(array, AT, "array", tasks=tasks))
    found.apply(JobSubmitted("13", AT, "finisher"))
    for number, (state, cause) in enumerate(ends):
        found.apply(TrialCreated(number, AT))
        found.apply(AttemptOpened(number, 1, AT, "worker:n1:7:x", job=f"{array}_{number}"))
        found.apply(AttemptEnded(number, 1, AT, state, cause))
    return found


DONE = (TrialState.COMPLETE, Cause.COMPLETED)
CANCELLED = (TrialState.INTERRUPTED, Cause.STOPPED)
PREEMPTED = (TrialState.INTERRUPTED, Cause.PREEMPTED)


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ((), "halted"),  # a setup line that fails, a node without our environment
        ((DONE, DONE, DONE, DONE), None),  # the budget was raised
        ((DONE, DONE, PREEMPTED), None),
        ((DONE, DONE), None),  # the others were cancelled to make room for the finisher
        ((DONE, DONE, DONE, CANCELLED), None),  # one task: its trial goes on
        ((DONE, CANCELLED), "stopped"),  # and two that waited: the whole array
        ((CANCELLED, PREEMPTED), None),
    ],
)
def test_another_array_is_submitted_only_where_it_can_do_better(
    ends: tuple[tuple[TrialState, Cause], ...], says: str | None
) -> None:
    end = in_vain(study(*ends))
    assert (None if end is None else end.state.value) == says


def test_a_cancelled_array_is_followed_by_another_once_somebody_said_that_it_goes_on() -> None:
    found = study(DONE, CANCELLED)
    found.apply(RunStarted("2026-01-05T10:30:00+00:00", "login1", 7))
    assert in_vain(found) is None


def test_a_study_that_no_array_ran_is_not_judged() -> None:
    assert in_vain(Study()) is None
