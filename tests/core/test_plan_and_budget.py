"""The budget is a total and exact; starts and ends follow from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.core.budget import counted, in_flight, remaining, room_for_new
from outlast.core.fold import Study
from outlast.core.plan import Limits, Verdict, backoff, no_room, plan_starts, used_up, verdict
from outlast.core.records import AttemptEnded, AttemptOpened, RunStarted, TrialCreated
from outlast.core.states import Cause, StudyState, TrialState
from outlast.testing.studies import StudyBuilder

COUNT = ("complete", "pruned", "infeasible")
NOW = "2026-01-01T00:00:00+00:00"
states = st.lists(st.sampled_from(list(TrialState)), max_size=30)


def study_of(trial_states: list[TrialState], signatures: dict[int, str] | None = None) -> Study:
    study = Study()
    study.apply(RunStarted(NOW))
    for number, state in enumerate(trial_states):
        study.apply(TrialCreated(number, NOW))
        if state is TrialState.CREATED:
            continue
        study.apply(AttemptOpened(number, 1, NOW))
        if state is not TrialState.RUNNING:
            values = (1.0,) if state is TrialState.COMPLETE else None
            signature = (signatures or {}).get(number, "")
            study.apply(AttemptEnded(number, 1, NOW, state, Cause.CRASH, values=values, signature=signature))
    return study


@given(states, st.integers(0, 40), st.integers(0, 8))
def test_counted_and_in_flight_never_exceed_the_target_by_a_new_trial(
    found: list[TrialState], target: int, slots: int
) -> None:
    study = study_of(found)
    starts = plan_starts(study, Limits(target), slots)
    if starts.new:
        assert counted(study, COUNT) + in_flight(study) + starts.new <= target
    assert len(starts.existing) + starts.new <= slots


@given(states, st.integers(0, 40))
def test_every_open_slot_is_filled_while_the_budget_has_room(found: list[TrialState], target: int) -> None:
    study = study_of(found)
    room = room_for_new(study, target, COUNT)
    waiting = len(study.in_state(TrialState.INTERRUPTED, TrialState.CREATED))
    starts = plan_starts(study, Limits(target), 5)
    assert len(starts.existing) + starts.new == min(5, waiting + (room or 0))


def test_interrupted_trials_go_before_created_and_new_ones() -> None:
    study = study_of([TrialState.CREATED, TrialState.INTERRUPTED])
    assert plan_starts(study, Limits(5), 3).existing == (1, 0)


def test_a_resting_trial_is_not_started_before_its_time() -> None:
    study = study_of([TrialState.INTERRUPTED])
    assert plan_starts(study, Limits(1), 1, not_before={0: 10.0}, now=9.0).existing == ()
    assert plan_starts(study, Limits(1), 1, not_before={0: 10.0}, now=10.0).existing == (0,)


def test_failed_trials_are_replaced_so_that_the_target_is_met() -> None:
    study = study_of([TrialState.COMPLETE, TrialState.FAILED])
    assert remaining(study, 2, COUNT) == 1 and plan_starts(study, Limits(2), 4).new == 1


def test_a_study_is_done_when_the_counted_trials_fill_the_target() -> None:
    end = verdict(study_of([TrialState.COMPLETE, TrialState.PRUNED]), Limits(2), elapsed=0.0)
    assert end is not None and end.state is StudyState.DONE


def test_a_study_with_a_trial_in_flight_is_not_done() -> None:
    assert verdict(study_of([TrialState.COMPLETE, TrialState.INTERRUPTED]), Limits(1), elapsed=0.0) is None


def test_the_time_budget_ends_the_study_once_nothing_runs() -> None:
    limits = Limits(10, time=60.0)
    assert verdict(study_of([TrialState.RUNNING]), limits, elapsed=61.0) is None
    end = verdict(study_of([TrialState.COMPLETE, TrialState.INTERRUPTED]), limits, elapsed=61.0)
    assert end is not None and end.state is StudyState.DONE


def test_three_first_failures_alike_halt() -> None:
    alike = {0: "ValueError a", 1: "ValueError a", 2: "ValueError a"}
    end = verdict(study_of([TrialState.FAILED] * 3, alike), Limits(10), elapsed=0.0)
    assert end is not None and end.state is StudyState.HALTED


def test_three_failures_that_differ_do_not_halt() -> None:
    different = {0: "ValueError a", 1: "ValueError a", 2: "KeyError b"}
    assert verdict(study_of([TrialState.FAILED] * 3, different), Limits(10), elapsed=0.0) is None


def test_max_failures_halts() -> None:
    end = verdict(study_of([TrialState.COMPLETE, TrialState.FAILED]), Limits(10, max_failures=1), elapsed=0.0)
    assert end is not None and end.state is StudyState.HALTED


def test_a_new_run_by_a_person_starts_the_fail_fast_count_anew() -> None:
    study = study_of([TrialState.FAILED] * 3, {0: "a", 1: "a", 2: "a"})
    study.apply(RunStarted(NOW))
    assert verdict(study, Limits(10), elapsed=0.0) is None


def test_the_target_value_of_the_metric_ends_the_study_in_its_own_direction() -> None:
    done = study_of([TrialState.COMPLETE])  # value 1.0
    assert verdict(done, Limits(10, target_value=0.9), elapsed=0.0) is not None
    assert verdict(done, Limits(10, target_value=0.9, maximize=False), elapsed=0.0) is None


def test_backoff_doubles_and_is_bounded() -> None:
    assert [backoff(n) for n in range(4)] == [0.0, 1.0, 2.0, 4.0]
    assert backoff(60) == 300.0


def gpu_study(seconds: float, state: TrialState = TrialState.INTERRUPTED) -> Study:
    build = StudyBuilder(gpus=2)
    build.run()
    build.trial(state=state, seconds=seconds)
    return build.study


def test_a_study_whose_gpu_hours_are_used_up_is_done_although_trials_wait() -> None:
    limits = Limits(50, gpu_hours=1.0)
    assert verdict(gpu_study(1799), limits, elapsed=0) is None
    study = gpu_study(1800)
    study.apply(TrialCreated(1, NOW))
    study.apply(AttemptEnded(1, 1, NOW, TrialState.COMPLETE, Cause.COMPLETED, values=(1.0,)))
    assert verdict(study, limits, elapsed=0) == Verdict(StudyState.DONE, "the GPU hour budget is used up")


def test_what_runs_now_counts_against_the_gpu_hours() -> None:
    study, limits = gpu_study(900), Limits(50, gpu_hours=1.0)
    assert used_up(study, limits, 0.0, 1799.0) is None
    assert used_up(study, limits, 0.0, 1800.0) == "GPU hour"
    assert used_up(study, Limits(50), 1e9, 1e9) is None


def test_raised_gpu_hours_set_the_study_going_again() -> None:
    assert verdict(gpu_study(1800), Limits(50, gpu_hours=2.0), elapsed=0) is None


FAILED, PRUNED, INFEASIBLE = TrialState.FAILED, TrialState.PRUNED, TrialState.INFEASIBLE


@pytest.mark.parametrize(
    ("found", "limits", "elapsed", "exhausted"),
    [
        ([FAILED] * 2, Limits(None), 0.0, True),  # a grid that failed throughout
        ([INFEASIBLE] * 4, Limits(4), 0.0, False),  # every trial out of memory
        ([PRUNED] * 4, Limits(4), 0.0, False),
        ([PRUNED, INFEASIBLE, FAILED], Limits(2), 0.0, False),
        ([FAILED], Limits(1, count=("failed",)), 0.0, False),
        ([TrialState.INTERRUPTED], Limits(9, time=60.0), 61.0, False),
        ([], Limits(9, time=60.0), 61.0, False),
        ([], Limits(None), 0.0, True),  # no configuration was there to try
    ],
)
def test_a_search_that_ends_without_a_result_is_halted(
    found: list[TrialState], limits: Limits, elapsed: float, exhausted: bool
) -> None:
    end = verdict(study_of(found), limits, elapsed=elapsed, exhausted=exhausted)
    assert end is not None and end.state is StudyState.HALTED and "no trial gave a result" in end.reason
    better = verdict(study_of([*found, TrialState.COMPLETE]), limits, elapsed=elapsed, exhausted=exhausted)
    assert better is not None and better.state is StudyState.DONE and "no trial gave a result" not in better.reason


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ([], "all 3 trials are finished"),
        ([FAILED] * 4, "the target of 3 trials is reached"),
        ([PRUNED], "the target of 3 trials"),
    ],
)
def test_all_trials_are_only_said_to_be_finished_where_they_are_all(beside: list[TrialState], says: str) -> None:
    end = verdict(study_of([TrialState.COMPLETE] * 3 + beside), Limits(3), elapsed=0.0)
    assert end is not None and end.reason.startswith(says)


def test_a_search_without_a_result_says_what_became_of_its_trials() -> None:
    study = Study()
    for number, state in enumerate([PRUNED, INFEASIBLE, INFEASIBLE]):
        study.apply(TrialCreated(number, NOW))
        reason = "pruned: hopeless" if state is PRUNED else "CUDA out of memory"
        study.apply(AttemptEnded(number, 1, NOW, state, Cause.GPU_OUT_OF_MEMORY, reason))
    end = verdict(study, Limits(3), elapsed=0.0)
    assert end is not None
    assert end.reason == (
        "all 3 trials are finished, and no trial gave a result: 2 infeasible, 1 pruned; the first: CUDA out of memory"
    )


def test_a_search_that_was_asked_for_no_trial_is_done() -> None:
    assert verdict(Study(), Limits(0), elapsed=0.0) == Verdict(StudyState.DONE, "all 0 trials are finished")


def test_ten_trials_that_could_not_run_halt_as_ten_that_failed() -> None:
    mixed = [FAILED, INFEASIBLE] * 5
    different = {number: str(number) for number in range(10)}
    assert verdict(study_of(mixed[:9], different), Limits(50), elapsed=0.0) is None
    end = verdict(study_of(mixed, different), Limits(50), elapsed=0.0)
    assert end is not None and end.state is StudyState.HALTED
    assert verdict(study_of([TrialState.COMPLETE, *mixed], different), Limits(50), elapsed=0.0) is None


def test_three_trials_that_are_too_large_alike_do_not_halt() -> None:
    assert verdict(study_of([INFEASIBLE] * 3, dict.fromkeys(range(3), "OutOfMemory")), Limits(50), elapsed=0.0) is None


def test_draws_that_the_derive_hook_ruled_out_are_no_failures() -> None:
    study = study_of([])
    for number in range(20):
        study.apply(TrialCreated(number, NOW))
        study.apply(AttemptEnded(number, 1, NOW, INFEASIBLE, Cause.CONSTRAINT, "ruled out"))
    assert verdict(study, Limits(50), elapsed=0.0) is None


def later(study: Study, number: int, state: TrialState, cause: Cause = Cause.CRASH) -> None:
    at = f"2026-01-01T{1 + number // 60:02d}:{number % 60:02d}:00+00:00"
    study.apply(TrialCreated(number, at))
    values = (1.0,) if state is TrialState.COMPLETE else None
    study.apply(AttemptEnded(number, 1, at, state, cause, "no data set", values=values, signature=str(number)))


def test_fifty_failures_in_a_row_halt_a_search_that_went_well_before() -> None:
    """Nobody would end it otherwise: failed trials do not count, and the data set may be gone."""
    study = study_of([])
    for number in range(50):
        later(study, number, TrialState.COMPLETE if number == 0 else FAILED)
    assert verdict(study, Limits(None), elapsed=0.0) is None
    later(study, 50, FAILED)
    end = verdict(study, Limits(None), elapsed=0.0)
    assert end is not None and end.state is StudyState.HALTED and "last 50 trials" in end.reason
    assert verdict(study, Limits(None, max_failures=100), elapsed=0.0) is None, "a person said how many"
    later(study, 51, TrialState.COMPLETE)
    assert verdict(study, Limits(None), elapsed=0.0) is None


def test_a_derive_hook_that_rules_everything_out_ends_the_search() -> None:
    study, limits = study_of([]), Limits(2, count=("complete",))
    for number in range(1000):
        assert verdict(study, limits, elapsed=0.0) is None
        study.apply(TrialCreated(number, NOW))
        study.apply(AttemptOpened(number, 1, NOW, "none"))
        study.apply(AttemptEnded(number, 1, NOW, INFEASIBLE, Cause.CONSTRAINT, "ruled out by the derive hook"))
    end = verdict(study, limits, elapsed=0.0)
    assert end is not None and end.state is StudyState.HALTED and "derive" in end.reason


@given(states, st.lists(st.sampled_from([s.value for s in TrialState if s.finished]), max_size=6))
def test_a_state_that_is_listed_twice_counts_once(found: list[TrialState], count: list[str]) -> None:
    assert counted(study_of(found), count) == counted(study_of(found), sorted(set(count)))
    assert counted(study_of(found), count) == sum(state.value in count for state in found)


MB, GB = 2**20, 2**30


@pytest.mark.parametrize(
    ("free", "size", "lacks"),
    [
        (64 * MB, 1000 * GB, False),  # of a large disk 64 MB are enough, however small a share that is
        (64 * MB - 1, 1000 * GB, True),
        (10 * MB, 1000 * MB, False),  # of a small one a hundredth
        (10 * MB - 1, 1000 * MB, True),
    ],
)
def test_a_disk_lacks_room_below_the_smaller_of_two_floors(free: int, size: int, lacks: bool) -> None:
    assert (no_room(free, size, 0, 0) is not None) is lacks


@pytest.mark.parametrize(
    ("free", "inodes", "lacks"),
    [(256, 10**9, False), (255, 10**9, True), (100, 10_000, False), (99, 10_000, True), (0, 0, False)],
)
def test_a_disk_lacks_inodes_below_the_smaller_of_two_floors(free: int, inodes: int, lacks: bool) -> None:
    assert (no_room(GB, GB, free, inodes) is not None) is lacks
