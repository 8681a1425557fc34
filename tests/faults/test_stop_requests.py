"""A training that was asked to stop is interrupted, whatever its exit code and score; unless it said that its result counts."""

from __future__ import annotations

import pytest

from lab.faults import FaultLab
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", ["save_when_asked", "stop_when_told"])
def test_exit_0_with_a_score_after_a_request_to_stop_is_an_interruption(lab: FaultLab, fault: str) -> None:
    lab.write_study_file(fault, [2], times=1)
    said = lab.run(code=4)
    assert "stopping" in said
    trial = lab.trial(2)
    assert (trial.state, trial.cause) == (TrialState.INTERRUPTED, Cause.STOPPED)
    assert trial.ended[0].exit_code == 0 and trial.ended[0].curves[0]
    lab.check_no_orphans()
    lab.run()
    assert lab.causes(2) == ["stopped", "completed"]
    lab.check({})


def test_a_script_that_says_it_is_done_has_its_result_although_it_was_asked_to_stop(lab: FaultLab) -> None:
    lab.write_study_file("save_when_asked", [2], done=True)
    lab.run(code=4)
    assert lab.trial(2).state is TrialState.COMPLETE
    lab.run()
    lab.check({})
    assert lab.causes(2) == ["completed"]


def test_a_script_that_ignores_the_request_is_ended_after_its_grace(lab: FaultLab) -> None:
    lab.write_study_file("ask_and_ignore", [2], times=1, trial={"grace": 0.2})
    lab.run(code=4)
    first = lab.trial(2).ended[0]
    assert (first.cause, first.signal) == (Cause.STOPPED, 9)
    lab.check_no_orphans()
    lab.run()
    lab.check({})
