from __future__ import annotations

import math

import pytest

from outlast.config.settings import MetricSettings
from outlast.core.best import best_trial, best_trials, is_best, ranked, table_value
from outlast.core.fold import Study
from outlast.core.records import AttributeSet
from outlast.core.states import Cause, TrialState
from outlast.testing.studies import StudyBuilder

UP = (MetricSettings(name="acc", goal="maximize"),)
DOWN = (MetricSettings(name="loss", goal="minimize"),)
BOTH = (MetricSettings(name="f1", goal="maximize"), MetricSettings(name="ece", goal="minimize"))


def test_an_empty_study_has_no_best_trial() -> None:
    study = StudyBuilder().study
    assert best_trial(study, UP) is None
    assert best_trials(study, UP) == [] == best_trials(study, BOTH)
    assert ranked(study, UP) == []


@pytest.mark.parametrize(("metrics", "number"), [(UP, 2), (DOWN, 0)])
def test_the_goal_is_obeyed(metrics: tuple[MetricSettings, ...], number: int) -> None:
    build = StudyBuilder()
    for value in (0.1, 0.5, 0.9):
        build.trial(values=value)
    best = best_trial(build.study, metrics)
    assert best is not None and best.number == number


def test_among_equal_trials_the_lowest_number_is_best() -> None:
    build = StudyBuilder()
    build.trial(values=0.5, number=3)
    build.trial(values=0.5, number=1)
    build.trial(values=0.4, number=0)
    best = best_trial(build.study, UP)
    assert best is not None and best.number == 1


def test_only_complete_trials_with_a_finite_value_can_be_best() -> None:
    build = StudyBuilder()
    build.trial(values=0.99, state=TrialState.PRUNED)
    build.trial(values=0.99, state=TrialState.FAILED)
    build.trial(values=0.99, state=TrialState.INFEASIBLE)
    build.trial(values=math.inf)
    build.trial(values=math.nan)
    build.trial(state=TrialState.RUNNING)
    assert best_trial(build.study, UP) is None
    build.trial(values=0.1)
    best = best_trial(build.study, UP)
    assert best is not None and best.number == 6


@pytest.mark.parametrize(("metrics", "number"), [(UP, 2), (DOWN, 1)])
@pytest.mark.parametrize("resumed", [False, True])
def test_the_best_of_a_long_study_is_known_without_its_scores(
    metrics: tuple[MetricSettings, ...], number: int, resumed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = StudyBuilder()
    for value in (0.5, 0.1, 0.9, 0.9, 0.1):
        build.trial(values=value)
    study = Study.resumed(*build.study.kept()) if resumed else build.study
    monkeypatch.setattr(Study, "scores", None)
    best = best_trial(study, metrics)
    assert best is not None and best.number == number
    assert [each for each in range(5) if is_best(study, study.trials[each], metrics)] == [number]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_the_first_of_a_ranking_are_those_of_the_whole(limit: int) -> None:
    build = StudyBuilder()
    for value in (0.1, 0.5, 0.9, 0.7):
        build.trial(values=value)
    build.study.apply(AttributeSet(2, "constraints", "[1.0]", system=True))
    assert ranked(build.study, UP, limit) == ranked(build.study, UP)[:limit]


@pytest.mark.parametrize("broken", [True, False])
def test_a_constraint_that_is_set_after_the_end_counts(broken: bool) -> None:
    build = StudyBuilder()
    for value in (0.9, 0.5):
        build.trial(values=value)
    build.study.apply(AttributeSet(0, "constraints", "[1.0]", system=True))
    assert build.study.extreme_values == (0.5, 0.5)
    assert (best_trial(build.study, UP) or build.study.trials[0]).number == 1
    if not broken:
        build.study.apply(AttributeSet(0, "constraints", "[-1.0]", system=True))
        assert build.study.extreme_values == (0.5, 0.9)
        assert (best_trial(build.study, UP) or build.study.trials[1]).number == 0


def test_a_retried_best_trial_is_best_no_longer() -> None:
    from outlast.core.records import TrialRetried

    build = StudyBuilder()
    build.trial(values=0.9)
    build.trial(values=0.5)
    build.study.apply(TrialRetried(0, build.at(100)))
    best = best_trial(build.study, UP)
    assert best is not None and best.number == 1


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    build = StudyBuilder()
    for values in [(0.9, 0.3), (0.8, 0.1), (0.7, 0.2), (0.9, 0.4), (0.5, 0.05), (0.9, 0.3)]:
        build.trial(values=values)
    assert [trial.number for trial in best_trials(build.study, BOTH)] == [0, 1, 4, 5]
    best = best_trial(build.study, BOTH)
    assert best is not None and best.number == 0, "the front's best in the first objective, lowest number"


def test_the_front_agrees_with_the_definition_on_a_grid() -> None:
    build = StudyBuilder()
    points = [((i * 7) % 5 / 4, (i * 3) % 7 / 6) for i in range(35)]
    for point in points:
        build.trial(values=point)

    def beaten(a: tuple[float, float]) -> bool:
        return any(b != a and b[0] >= a[0] and b[1] <= a[1] for b in points)

    expected = [number for number, point in enumerate(points) if not beaten(point)]
    assert [trial.number for trial in best_trials(build.study, BOTH)] == expected


def test_trials_without_all_objectives_are_not_on_the_front() -> None:
    build = StudyBuilder()
    build.trial(values=(0.9,))
    build.trial(values=(0.1, 0.9))
    assert [trial.number for trial in best_trials(build.study, BOTH)] == [1]


def test_ranking_puts_complete_before_pruned_before_failed_before_unfinished() -> None:
    build = StudyBuilder()
    build.trial(state=TrialState.RUNNING)
    build.trial(state=TrialState.FAILED)
    build.trial(state=TrialState.PRUNED, curves=(((0, 0.99),),))
    build.trial(values=0.2)
    build.trial(values=0.7)
    build.trial(state=TrialState.INFEASIBLE)
    assert [trial.number for trial in ranked(build.study, UP)] == [4, 3, 2, 1, 5, 0]
    assert [trial.number for trial in ranked(build.study, UP, 2)] == [4, 3]


def test_failed_trials_take_the_worst_value_in_tables() -> None:
    build = StudyBuilder()
    build.trial(state=TrialState.FAILED, cause=Cause.DIVERGED)
    build.trial(state=TrialState.INFEASIBLE)
    build.trial(state=TrialState.INTERRUPTED)
    failed, infeasible, interrupted = build.study.trials.values()
    assert table_value(failed, UP) == -math.inf and table_value(infeasible, DOWN) == math.inf
    assert table_value(interrupted, UP) is None


def test_a_pruned_trial_shows_its_last_report() -> None:
    build = StudyBuilder()
    build.trial(state=TrialState.PRUNED, curves=(((0, 0.5), (1, 0.4)),))
    build.trial(state=TrialState.PRUNED)
    assert table_value(build.study.trials[0], UP) == 0.4
    assert table_value(build.study.trials[1], UP) is None
