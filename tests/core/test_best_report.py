"""For how long a training is worth its while."""

from __future__ import annotations

import pytest

from outlast.core.length import BestReport, best_report
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.testing.studies import StudyBuilder

NAN = float("nan")


def trial(*curves: list[tuple[int, float]], **more) -> Trial:
    """A trial with an attempt for each of these curves."""
    builder = StudyBuilder()
    builder.trial({}, TrialState.CREATED)
    for index, curve in enumerate(curves):
        last = index == len(curves) - 1
        builder.attempt(0, TrialState.COMPLETE if last else TrialState.INTERRUPTED, curves=(tuple(curve),), **more)
    return builder.study.trials[0]


@pytest.mark.parametrize(
    ("curve", "goal", "found"),
    [
        ([(1, 0.1), (2, 0.5), (3, 0.4)], "maximize", BestReport(2, 2)),
        ([(0, 0.1), (1, 0.5), (2, 0.4)], "maximize", BestReport(1, 2)),
        ([(0, 0.1), (1, 0.5), (2, 0.4)], "minimize", BestReport(0, 1)),
        ([(1, 0.5), (2, 0.5)], "maximize", BestReport(1, 1)),
        ([(100, 0.1), (200, 0.5)], "maximize", BestReport(200, 200)),
        ([(4, 0.1), (9, 0.5), (14, 0.2)], "maximize", BestReport(9, 10)),
        ([(0, 0.1), (5, 0.5), (10, 0.2)], "maximize", BestReport(5, 5)),
        ([(1, NAN), (2, 0.1), (3, float("inf"))], "maximize", BestReport(2, 2)),
        ([(0, 0.7)], "maximize", BestReport(0, 1)),
        ([(1, NAN)], "maximize", None),
        ([], "maximize", None),
    ],
)
def test_the_best_report_and_how_many_epochs_that_is(curve, goal, found):
    assert best_report([trial(curve)], goal) == found


def test_a_training_that_was_resumed_is_one_training():
    assert best_report([trial([(1, 0.1), (2, 0.9)], [(2, 0.3), (3, 0.5)])], "maximize") == BestReport(3, 3)


def test_of_several_seeds_the_median_counts():
    trials = [trial([(step, float(step == best)) for step in range(1, 9)]) for best in (2, 3, 8)]
    assert best_report(trials, "maximize") == BestReport(3, 3)
    assert best_report(trials[:2], "maximize") == BestReport(2, 2)


def test_what_came_after_the_trial_was_given_up_is_not_counted():
    assert best_report([trial([(1, 0.1), (2, 0.2), (3, 0.9)], pruned_at=2)], "maximize") == BestReport(2, 2)


def test_each_fold_is_a_training():
    builder = StudyBuilder()
    builder.trial({}, TrialState.CREATED)
    for part, best in enumerate((2, 4, 5)):
        state = TrialState.COMPLETE if part == 2 else TrialState.INTERRUPTED
        builder.attempt(0, state, curves=(tuple((s, -abs(s - best)) for s in range(1, 7)),), part=part)
    assert best_report([builder.study.trials[0]], "maximize") == BestReport(4, 4)
