"""A training that was asked to stop is interrupted, whatever its exit code and score; unless it said that its result counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.faults import FaultLab
from outlast._system.clock import Clock
from outlast.core.file_names import AttemptPaths
from outlast.core.states import Cause, TrialState
from outlast.runner.spec import RunnerSpec
from outlast.runner.stopping import Stopping, Stopwatch


@pytest.mark.parametrize(
    ("left", "reason", "given_up"),
    [
        ({"reason": "user", "grace": 60.0}, "pruned", False),
        ({"reason": "user", "grace": 60.0, "now": True}, "user", False),
        ({"given_up": True}, "", True),
    ],
)
def test_whoever_takes_over_may_leave_less_time_than_was_told(
    tmp_path: Path, left: dict[str, Any], reason: str, given_up: bool
) -> None:
    files = AttemptPaths(tmp_path)
    spec = RunnerSpec(0, 1, ("true",), "", "", "", "", ())
    stopping, training = Stopping(spec, files, shared=True), Any
    told = {"reason": "pruned", "grace": 60.0}
    stopping.look(Stopwatch(Clock()), training, told)  # type: ignore[arg-type]
    files.asked.write_text(json.dumps(left))
    stopping.look(Stopwatch(Clock()), training, told)  # type: ignore[arg-type]
    assert (stopping.reason, stopping.given_up) == (reason, given_up)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_script_that_says_it_is_done_has_its_result_although_it_was_asked_to_stop(lab: FaultLab) -> None:
    lab.write_study_file("save_when_asked", [2], done=True)
    lab.run(code=4)
    assert lab.trial(2).state is TrialState.COMPLETE
    lab.run()
    lab.check({})
    assert lab.causes(2) == ["completed"]


@pytest.mark.slow
def test_a_script_that_ignores_the_request_is_ended_after_its_grace(lab: FaultLab) -> None:
    lab.write_study_file("ask_and_ignore", [2], times=1, trial={"grace": 0.2})
    lab.run(code=4)
    first = lab.trial(2).ended[0]
    assert (first.cause, first.signal) == (Cause.STOPPED, 9)
    lab.check_no_orphans()
    lab.run()
    lab.check({})
