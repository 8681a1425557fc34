"""Trials in parts: seeds, folds, and both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.core.fold import Study, fold
from outlast.core.parts import Part, draw_folds, next_part, parts, with_part
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    RevisionMade,
    TrialCreated,
    TrialRetried,
    from_json,
    to_json,
)
from outlast.core.states import Cause, TrialState

AT = "2026-01-01T00:00:00+00:00"


def test_a_trial_without_seeds_and_folds_is_whole() -> None:
    assert parts((), None) == ()


def test_every_seed_runs_on_every_fold() -> None:
    assert parts((1, 2), 2) == (Part(0, 1, 0), Part(1, 1, 1), Part(2, 2, 0), Part(3, 2, 1))
    assert parts((5,), None) == (Part(0, 5, None),)


def run_parts(values: list[float | None]) -> Study:
    """One trial of three seeds whose attempts end with these values; ``None`` is a lost attempt."""
    whole, study = parts((1, 2, 3), None), Study()
    study.apply(TrialCreated(0, AT))
    for number, value in enumerate(values, 1):
        study.apply(AttemptOpened(0, number, AT))
        trial = study.trials[0]
        part = next_part(trial, whole)
        assert part is not None
        state, cause = (
            (TrialState.COMPLETE, Cause.COMPLETED) if value is not None else (TrialState.INTERRUPTED, Cause.LOST)
        )
        event = AttemptEnded(0, number, AT, state, cause, values=None if value is None else (value,))
        study.apply(with_part(event, trial, part, whole, ["acc"]))
    return study


def test_the_value_is_the_mean_and_the_spread_is_kept() -> None:
    trial = run_parts([1.0, 2.0, 3.0]).trials[0]
    assert (trial.state, trial.value, trial.metrics) == (TrialState.COMPLETE, 2.0, {"acc.std": 1.0})
    assert trial.curve() == {0: 1.0, 1: 2.0, 2: 3.0}


def test_a_trial_with_parts_to_go_waits_for_its_next_attempt() -> None:
    trial = run_parts([1.0, 2.0]).trials[0]
    assert trial.state is TrialState.INTERRUPTED and trial.cause is Cause.PART


def test_an_interrupted_trial_repeats_only_its_unfinished_part() -> None:
    study = run_parts([1.0, None, None, 2.0, 3.0])
    assert study.trials[0].value == 2.0
    assert [outcome.part for outcome in study.trials[0].ended] == [0, 1, 1, 1, 2]


@pytest.mark.parametrize("scores", [[(), (), ()], [(0.5,), (), (0.7,)], [(0.5,), (0.6,), ()]])
def test_where_no_score_is_asked_for_every_part_is_run_and_the_trial_has_a_value_only_if_all_have(
    scores: list[tuple[float, ...]],
) -> None:
    whole, study = parts((1, 2, 3), None), Study()
    study.apply(TrialCreated(0, AT))
    for number, values in enumerate(scores, 1):
        study.apply(AttemptOpened(0, number, AT))
        trial = study.trials[0]
        assert next_part(trial, whole) == whole[number - 1]
        event = AttemptEnded(0, number, AT, TrialState.COMPLETE, Cause.COMPLETED, values=values or None)
        event = with_part(event, trial, whole[number - 1], whole, ["acc"])
        assert from_json(json.loads(json.dumps(to_json(event)))) == event
        study.apply(event)
        assert trial.state is (TrialState.COMPLETE if number == 3 else TrialState.INTERRUPTED)
    assert trial.values is None and next_part(trial, whole) is None
    assert trial.curve() == {number: values[0] for number, values in enumerate(scores) if values}


def test_a_failed_part_fails_the_trial() -> None:
    whole, study = parts((1, 2), None), Study()
    study.apply(TrialCreated(0, AT))
    event = AttemptEnded(0, 1, AT, TrialState.FAILED, Cause.CRASH)
    assert with_part(event, study.trials[0], whole[0], whole, ["acc"]).state is TrialState.FAILED


@pytest.mark.parametrize(
    ("values", "asked"), [([1.0, 2.0, 3.0], False), ([1.0, 2.0, 3.0], True), ([1.0, 2.0, None], True)]
)
def test_a_trial_that_is_retried_from_scratch_or_after_its_last_part_runs_all_parts_again_and_counts_no_old_value(
    values: list[float | None], asked: bool
) -> None:
    study = run_parts(values)
    study.apply(TrialRetried(0, AT, from_scratch=asked))
    whole = parts((1, 2, 3), None)
    for number, value in enumerate((5.0, 6.0, 7.0), 4):
        study.apply(AttemptOpened(0, number, AT))
        trial = study.trials[0]
        part = next_part(trial, whole)
        assert part == whole[number - 4]
        event = AttemptEnded(0, number, AT, TrialState.COMPLETE, Cause.COMPLETED, values=(value,))
        study.apply(with_part(event, trial, whole[number - 4], whole, ["acc"]))
    trial = study.trials[0]
    assert (trial.state, trial.value, trial.curve()) == (TrialState.COMPLETE, 6.0, {0: 5.0, 1: 6.0, 2: 7.0})
    assert fold(trial.events()).trials[0] == trial


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ({"folds": {"n": 3}}, 0),
        ({"seeds": [1, 2, 3]}, 0),
        ({"folds": {"n": 2}, "timeout": 60}, 1),
        ({"folds": {"n": 2}}, 1),
    ],
)
def test_with_other_seeds_or_folds_a_trial_that_waits_for_its_next_part_begins_with_its_first(
    now: dict[str, Any], first: int
) -> None:
    study, whole = Study(), parts((), 2)
    study.apply(RevisionMade(1, AT, {"trial": {"folds": {"n": 2}}}))
    study.apply(TrialCreated(0, AT))
    study.apply(AttemptOpened(0, 1, AT))
    event = AttemptEnded(0, 1, AT, TrialState.COMPLETE, Cause.COMPLETED, values=(0.5,))
    study.apply(with_part(event, study.trials[0], whole[0], whole, ["acc"]))
    study.apply(RevisionMade(2, AT, {"trial": now}))
    part = next_part(study.trials[0], parts((), 3))
    assert part is not None and part.number == first


rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=10, max_size=60).map(
    lambda found: [{"id": i, "label": label, "patient": patient} for i, (label, patient) in enumerate(found)]
)


@given(rows, st.integers(2, 5), st.integers(0, 99))
def test_every_id_is_in_exactly_one_fold(examples: list[dict[str, object]], n: int, seed: int) -> None:
    folds = draw_folds(examples, n, seed=seed)
    assert sorted(x for fold in folds for x in fold) == [row["id"] for row in examples]
    assert draw_folds(examples, n, seed=seed) == folds


@given(rows, st.integers(2, 5), st.integers(0, 99))
def test_strata_are_spread_evenly(examples: list[dict[str, object]], n: int, seed: int) -> None:
    folds = draw_folds(examples, n, seed=seed, stratify="label")
    for label in "abc":
        sizes = [sum(examples[i]["label"] == label for i in fold) for fold in folds]
        assert max(sizes) - min(sizes) <= 1


@given(rows, st.integers(0, 99))
def test_groups_stay_together(examples: list[dict[str, object]], seed: int) -> None:
    if len({row["patient"] for row in examples}) < 2:
        return
    folds = draw_folds(examples, 2, seed=seed, group="patient")
    assert not {examples[i]["patient"] for i in folds[0]} & {examples[i]["patient"] for i in folds[1]}


def test_fewer_examples_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="2 examples cannot make 3 folds"):
        draw_folds([{"id": 1}, {"id": 2}], 3, seed=0)
