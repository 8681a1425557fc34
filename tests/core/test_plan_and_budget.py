"""The budget is a total and exact; starts and ends follow from it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outlast.core.budget import counted, in_flight, remaining, room_for_new
from outlast.core.fold import Study
from outlast.core.plan import Limits, backoff, plan_starts, used_up, verdict
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
    end = verdict(study_of([TrialState.INTERRUPTED]), limits, elapsed=61.0)
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
    end = verdict(gpu_study(1800), limits, elapsed=0)
    assert end is not None and end.state is StudyState.DONE and end.reason == "the GPU hour budget is used up"


def test_what_runs_now_counts_against_the_gpu_hours() -> None:
    study, limits = gpu_study(900), Limits(50, gpu_hours=1.0)
    assert used_up(study, limits, 0.0, 1799.0) is None
    assert used_up(study, limits, 0.0, 1800.0) == "GPU hour"
    assert used_up(study, Limits(50), 1e9, 1e9) is None


def test_raised_gpu_hours_set_the_study_going_again() -> None:
    assert verdict(gpu_study(1800), Limits(50, gpu_hours=2.0), elapsed=0) is None
