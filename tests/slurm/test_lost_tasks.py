"""Tasks of an array that were lost are made up for while the others run on."""

from __future__ import annotations

import pytest

from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.cluster.topup import lacking
from outlast.executors.slurm.parse import Job

AT = "2026-01-05T10:00:00+00:00"
LOST, CANCELLED = (TrialState.INTERRUPTED, Cause.LOST), (TrialState.INTERRUPTED, Cause.STOPPED)
PREEMPTED, WALLTIME = (TrialState.INTERRUPTED, Cause.PREEMPTED), (TrialState.INTERRUPTED, Cause.WALLTIME)
DONE, RUNNING = (TrialState.COMPLETE, Cause.COMPLETED), None


def study(*ends: tuple[TrialState, Cause] | None) -> Study:
    """Trial N ran in task N of array 12, and ended so or runs on."""
    found = Study()
    for number, end in enumerate(ends):
        found.apply(TrialCreated(number, AT))
        found.apply(AttemptOpened(number, 1, AT, "worker:n1:7:x", job=f"12_{number}"))
        if end is not None:
            found.apply(AttemptEnded(number, 1, AT, *end))
    return found


def tasks(*states: str) -> list[Job]:
    """What the queue holds, by task; a task without a word is not in it."""
    return [Job(f"12_{at}", "12", at, state) for at, state in enumerate(states) if state]


@pytest.mark.parametrize(
    ("ends", "queue", "missing"),
    [
        ((LOST, RUNNING, RUNNING), ("", "RUNNING", "RUNNING"), 1),
        ((PREEMPTED, WALLTIME, RUNNING), ("", "", "RUNNING"), 2),  # cancelled for good; not requeued
        ((LOST, DONE, RUNNING), ("", "", "RUNNING"), 1),
        ((LOST, RUNNING, RUNNING), ("PENDING", "RUNNING", "RUNNING"), 0),  # requeued: it goes on by itself
        ((LOST, RUNNING, RUNNING), ("", "RUNNING", "RUNNING", "PENDING"), 0),  # the next task takes it
        ((LOST, RUNNING, RUNNING), ("", "RUNNING", "RUNNING", "RUNNING"), 0),  # that one is about to ask
        ((WALLTIME, RUNNING, RUNNING), ("COMPLETING", "RUNNING", "RUNNING"), 0),  # it may be requeued just now
        ((LOST, RUNNING, RUNNING), ("RUNNING", "RUNNING", "RUNNING"), 0),  # its own task lives: it will ask again
        ((CANCELLED, RUNNING, RUNNING), ("", "RUNNING", "RUNNING"), 0),  # somebody's wish
        ((LOST, CANCELLED, RUNNING), ("", "", "RUNNING"), 1),
        ((RUNNING, RUNNING, RUNNING), ("RUNNING", "RUNNING", "RUNNING"), 0),
        ((DONE, DONE, RUNNING), ("", "", "RUNNING"), 0),
        ((LOST, LOST, LOST), ("", "", ""), 3),
    ],
)
def test_what_was_lost_is_made_up_for_and_nothing_else(
    ends: tuple[tuple[TrialState, Cause] | None, ...], queue: tuple[str, ...], missing: int
) -> None:
    found = study(*ends)
    wanted = len(found.in_state(TrialState.INTERRUPTED))
    assert lacking(found, wanted, tasks(*queue), each=1, at_once=None) == missing


def test_no_more_tasks_than_may_run_side_by_side() -> None:
    found = study(LOST, LOST, LOST, RUNNING, RUNNING)
    queue = tasks("", "", "", "RUNNING", "RUNNING")
    assert [lacking(found, 3, queue, each=1, at_once=many) for many in (2, 3, 4, 6, None)] == [0, 1, 2, 3, 3]


def test_a_task_of_several_trials_takes_what_was_lost_as_its_next() -> None:
    found = study(LOST, LOST, LOST, RUNNING)
    queue = tasks("", "", "", "RUNNING")
    assert lacking(found, 3, queue, each=4, at_once=None) == 0
    assert lacking(found, 3, queue, each=3, at_once=None) == 1, "two by that one, and a task for the last"


def test_trials_that_the_budget_lacks_for_another_reason_are_left_to_the_finisher() -> None:
    """MaxArraySize allowed no more at once, say."""
    assert lacking(study(LOST, RUNNING), 7, tasks("", "RUNNING"), each=1, at_once=None) == 1
