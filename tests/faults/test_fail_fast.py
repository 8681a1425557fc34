"""A search that fails at once ends at once: with the traceback, and with how to go on."""

from __future__ import annotations

import json

import pytest

from lab.faults import TRIALS, FaultLab
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow

EVERY = range(1000)
CRASH = (TrialState.FAILED, Cause.CRASH)


@pytest.mark.parametrize("parallel", [1, 4])
def test_the_first_three_failures_alike_halt_the_search_and_the_same_command_goes_on(
    lab: FaultLab, parallel: int
) -> None:
    lab.write_study_file("crash", EVERY, parallel=parallel)
    said = lab.run(code=3)
    assert "halted" in said and "the first 3 failures are alike" in said
    assert "Traceback (most recent call last):" in said and "suffering.py" in said
    assert "ValueError: hidden size" in said and "is not divisible by 7" in said
    assert "outlast run studies/lab" in said and "the failures so far no longer count" in said
    failed = [number for number, trial in lab.study().trials.items() if trial.state is TrialState.FAILED]
    assert 3 <= len(failed) < 3 + parallel
    lab.check_no_orphans()

    assert "the first 3 failures are alike" in lab.run(code=3)  # a person ran it again: three more, not none

    lab.heal()
    lab.run()
    failed = [number for number, trial in lab.study().trials.items() if trial.state is TrialState.FAILED]
    lab.check(dict.fromkeys(failed, CRASH))


def test_failures_after_a_trial_that_ended_well_do_not_halt_it(lab: FaultLab) -> None:
    lab.write_study_file("crash", [1, 2, 3, 4], parallel=1)
    lab.run()
    lab.check(dict.fromkeys([1, 2, 3, 4], CRASH))


def test_so_many_failures_as_the_budget_allows_halt_it(lab: FaultLab) -> None:
    lab.write_study_file("crash", [1, 3, 5], parallel=1, budget={"trials": TRIALS, "max_failures": 2})
    said = lab.run(code=3)
    assert "max_failures: 2" in said and "Traceback" in said
    lab.run()
    lab.check(dict.fromkeys([1, 3, 5], CRASH))


def test_a_search_in_which_everything_fails_without_a_word_ends_as_well(lab: FaultLab) -> None:
    lab.write_study_file("silent_crash", EVERY)
    assert "exit code 3" in lab.run(code=3)


def test_a_search_in_which_everything_diverges_ends_after_ten(lab: FaultLab) -> None:
    lab.write_study_file("nan", EVERY, parallel=1)
    assert "10 trials failed and none has ended well" in lab.run(code=3)


def test_failures_are_shown_by_what_they_have_in_common_and_tried_again_by_cause(lab: FaultLab) -> None:
    wanted = [{"x": x} for x in (0.25, 0.5, 0.75, 0.26, 0.51, 0.75, 0.75, 0.27, 0.52, 0.28, 0.53)]
    lab.write_study_file("crash", [2, 5, 6], times=1, enqueue=wanted)
    lab.run()
    groups = json.loads(lab.outlast("show", str(lab.folder), "failures", "--json"))
    assert [(g["count"], g["first"], g["trials"], g["cause"], g["shared"]) for g in groups] == [
        (3, 2, [2, 5, 6], "crash", {"x": 0.75})
    ]
    said = lab.outlast("show", "studies/lab", "failures")
    assert "3 trials  crash" in said and "first in trial 2" in said and "Traceback" in said and "x=0.75" in said
    assert "outlast retry studies/lab --cause crash" in said

    assert "no trial to retry" in lab.outlast("retry", str(lab.folder), "--cause", "timeout")
    assert "unknown cause" in lab.outlast("retry", str(lab.folder), "--cause", "crashed", code=2)
    assert "2, 5, 6" in lab.outlast("retry", str(lab.folder), "--cause", "crash")
    lab.run()
    assert [lab.causes(number) for number in (2, 5, 6)] == [["crash", "completed"]] * 3
    assert lab.study().counts()[TrialState.FAILED] == 0
    lab.check_no_orphans()


def test_what_could_not_run_is_tried_again_where_its_cause_is_named(lab: FaultLab) -> None:
    lab.write_study_file("rlimit", [2], times=1)
    lab.run()
    assert "no trial to retry" in lab.outlast("retry", str(lab.folder))
    assert "a new attempt: 2" in lab.outlast("retry", str(lab.folder), "--cause", "host_out_of_memory")
    lab.run()
    lab.check({})
    assert lab.causes(2) == ["host_out_of_memory", "completed"]


def test_a_trial_that_ran_out_of_time_has_its_whole_time_again_when_a_person_retries_it(lab: FaultLab) -> None:
    lab.write_study_file("too_slow", [2], trial={"timeout": 1.5, "grace": 0.3})
    lab.run()
    lab.outlast("retry", str(lab.folder), "2")
    lab.run()
    assert lab.causes(2) == ["timeout", "timeout"]
    assert lab.trial(2).ended[1].seconds > 1.4


def test_a_failed_trial_tells_its_story_in_error_log(lab: FaultLab) -> None:
    lab.write_study_file("crash", [2])
    lab.run()
    text = lab.paths.trial(2).error_log.read_text()
    trial = lab.trial(2)
    assert trial.last is not None
    head, _, story = text.partition("\n\n")
    assert head.splitlines() == ["trial: 2", f"time: {trial.last.at}", "cause: crash", f"reason: {trial.reason}"]
    assert story.startswith("Traceback (most recent call last):") and story.endswith("is not divisible by 7\n")
