"""How long a training is, is known only where all that are like it agree."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.core.fold import Study
from outlast.core.length import usual_length
from outlast.core.states import Cause, TrialState
from outlast.testing.studies import StudyBuilder


def study(*completed: tuple[int | None, dict[str, Any]], params: dict[str, Any]) -> Study:
    """These completed trials with their last steps and parameters, and one more that is asked about."""
    builder = StudyBuilder()
    for last, its in completed:
        builder.trial(its, values=0.5, last_step=last)
    builder.trial(params, state=TrialState.INTERRUPTED, cause=Cause.STOPPED)
    return builder.study


@pytest.mark.parametrize(
    ("completed", "params", "length"),
    [
        ([(9, {"lr": 0.1}), (9, {"lr": 0.2})], {"lr": 0.3}, 9),
        ([(9, {"lr": 0.1})], {"lr": 0.3}, None),
        ([], {"lr": 0.3}, None),
        ([(9, {}), (9, {}), (4, {})], {}, None),
        ([(None, {}), (None, {})], {}, None),
        ([(9, {}), (None, {})], {}, None),
        ([(9, {"epochs": 10}), (9, {"epochs": 10}), (19, {"epochs": 20})], {"epochs": 10}, 9),
        ([(9, {"epochs": 10}), (9, {"epochs": 10}), (19, {"epochs": 20})], {"epochs": 20}, None),
        ([(9, {"model.max_steps": 10}), (9, {"model.max_steps": 10})], {"model.max_steps": 20}, None),
        ([(99, {"batch_size": 8}), (99, {"batch_size": 8})], {"batch_size": 16}, None),
    ],
)
def test_the_last_step_of_all_trials_like_it(
    completed: list[tuple[int | None, dict[str, Any]]], params: dict[str, Any], length: int | None
) -> None:
    found = study(*completed, params=params)
    assert usual_length(found, found.trials[len(completed)]) == length
