from __future__ import annotations

import pytest

from outlast.core.states import TrialState
from outlast.monitor.rate import busy_seconds, rate_per_hour
from outlast.testing.studies import StudyBuilder

COUNT = ("complete", "pruned", "infeasible")


def lanes(build: StudyBuilder, slots: int, rounds: int, seconds: float, *, start: float = 0) -> None:
    """`slots` trials side by side, `rounds` times one after another."""
    for at in range(rounds):
        for _ in range(slots):
            build.trial(at=start + at * seconds, seconds=seconds, values=0.5)


def test_without_a_finished_trial_there_is_no_rate() -> None:
    build = StudyBuilder()
    build.trial(state=TrialState.RUNNING)
    assert rate_per_hour(build.study, COUNT, now=build.moment(500), live=True) is None


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_slots_side_by_side_add_up(slots: int) -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, slots, 6, 100)
    rate = rate_per_hour(build.study, COUNT, now=build.moment(600), live=True, slots=slots)
    assert rate == pytest.approx(36 * slots)


def test_only_trials_that_count_are_counted() -> None:
    build = StudyBuilder()
    lanes(build, 1, 4, 100)
    build.trial(state=TrialState.FAILED, at=100, seconds=100)
    assert rate_per_hour(build.study, COUNT, now=build.moment(400)) == pytest.approx(36)


def test_a_pause_between_two_runs_is_left_out() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 3, 600)
    build.end(1800)
    build.run(90_000)
    lanes(build, 1, 3, 600, start=90_000)
    rate = rate_per_hour(build.study, COUNT, now=build.moment(91_800), live=True)
    assert rate == pytest.approx(6)


def test_a_night_after_the_machine_died_is_left_out() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 3, 600)
    number = build.trial(state=TrialState.RUNNING, at=1800)
    build.run(50_000)
    build.finish(number, TrialState.INTERRUPTED, at=50_000, seconds=0)  # lost: nobody knows for how long it ran
    build.attempt(number, at=50_000, seconds=600, values=0.5)
    rate = rate_per_hour(build.study, COUNT, now=build.moment(50_600), live=True)
    assert rate == pytest.approx(6)


def test_a_trial_taken_in_the_next_morning_ended_when_its_training_did() -> None:
    build = StudyBuilder()
    lanes(build, 1, 3, 600)
    number = build.trial(state=TrialState.RUNNING, at=1800)
    build.finish(number, at=50_000, seconds=600, values=0.5)
    assert rate_per_hour(build.study, COUNT, now=build.moment(50_000)) == pytest.approx(6)


def test_a_run_on_other_hardware_is_measured_by_itself() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 10, 1000)
    build.run(20_000)
    lanes(build, 1, 6, 100, start=20_000)
    assert rate_per_hour(build.study, COUNT, now=build.moment(20_600), live=True) == pytest.approx(36)


def test_the_recent_trials_tell_the_speed() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 50, 1000)
    lanes(build, 1, 31, 100, start=50_000)
    assert rate_per_hour(build.study, COUNT, now=build.moment(53_100), live=True) == pytest.approx(36, rel=0.05)


def test_many_slots_are_measured_over_several_rounds_of_them() -> None:
    """Thirty trials are not even two rounds of twenty slots, and the last round was quick."""
    build = StudyBuilder()
    build.run(0)
    lanes(build, 20, 4, 1000)
    lanes(build, 20, 1, 100, start=4000)
    now = build.moment(4100)
    many = rate_per_hour(build.study, COUNT, now=now, live=True, slots=20)
    assert many == pytest.approx(100 / 4100 * 3600)
    few = rate_per_hour(build.study, COUNT, now=now, live=True, slots=1)
    assert few is not None and few > 1.5 * many, "with one slot they count as thirty in a row"


def test_a_run_is_measured_by_itself_once_each_of_its_slots_has_ended_two() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 10, 1000)
    build.run(20_000)
    lanes(build, 8, 1, 100, start=20_000)
    both = rate_per_hour(build.study, COUNT, now=build.moment(20_100), live=True, slots=8)
    assert both == pytest.approx(18 / 10_100 * 3600)
    lanes(build, 8, 1, 100, start=20_100)
    alone = rate_per_hour(build.study, COUNT, now=build.moment(20_200), live=True, slots=8)
    assert alone == pytest.approx(16 / 200 * 3600)


def test_the_time_between_trials_belongs_to_the_speed() -> None:
    build = StudyBuilder()
    for i in range(10):
        build.trial(at=i * 2.0, seconds=0.1, values=0.5)  # two seconds each, nearly all of it starting up
    assert rate_per_hour(build.study, COUNT, now=build.moment(20)) == pytest.approx(1800, rel=0.15)


def test_slots_that_train_side_by_side_are_not_late_before_a_round_of_them_is() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 4, 4, 100)
    for _ in range(4):
        build.trial(state=TrialState.RUNNING, at=400)
    assert rate_per_hour(build.study, COUNT, now=build.moment(480), live=True, slots=4) == pytest.approx(144)
    late = rate_per_hour(build.study, COUNT, now=build.moment(800), live=True, slots=4)
    assert late is not None and late < 90


def test_the_rate_falls_when_nothing_ends_for_long() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 4, 100)
    build.trial(state=TrialState.RUNNING, at=400)
    soon = rate_per_hour(build.study, COUNT, now=build.moment(450), live=True)
    late = rate_per_hour(build.study, COUNT, now=build.moment(4000), live=True)
    assert soon == pytest.approx(36) and late is not None and late < 5


def test_imported_trials_say_nothing_about_this_machine() -> None:
    build = StudyBuilder()
    build.trial(values=0.5, source="imported", seconds=1)
    assert rate_per_hour(build.study, COUNT, now=build.moment(10)) is None


def test_overlapping_spans_count_once_and_short_gaps_count() -> None:
    at = StudyBuilder().moment
    spans = [(at(0), at(100)), (at(50), at(80)), (at(130), at(200)), (at(1000), at(1100)), (at(5000), None)]
    assert busy_seconds(spans, until=at(2000)) == 300
    assert busy_seconds(spans, until=at(1050)) == 250
    assert busy_seconds(spans, until=at(5200), open_until=at(5200)) == 500


def test_the_rate_of_a_study_at_rest_is_that_of_all_its_trials_whoever_opens_it_again() -> None:
    build = StudyBuilder()
    build.run(0)
    lanes(build, 1, 40, 1000)
    lanes(build, 2, 40, 10, start=40_000)
    build.end(40_400, "done")
    told = rate_per_hour(build.study, COUNT, now=build.moment(40_500))
    assert told == pytest.approx(120 / 40_400 * 3600)
    build.run(90_000)
    build.end(90_001, "done")
    assert rate_per_hour(build.study, COUNT, now=build.moment(99_000), slots=8) == told
