"""Pruning decisions: Optuna's and W&B's own, and the same after any restart."""

from __future__ import annotations

import math
import random
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config.native import PRUNERS
from outlast.core.records import TrialCreated, TrialRetried
from outlast.core.states import TrialState
from outlast.errors import StudyFileError
from outlast.optimizer.pruners.pruning import Pruning
from outlast.optimizer.pruners.pruning_fields import Fields
from outlast.optimizer.pruners.pruning_rules import Curve, Known, Rule, bandit, wandb_bands, wandb_hyperband

STEPS = 27
CASES: list[tuple[str, dict[str, Any]]] = [
    ("asha", {}),
    ("asha", {"min_resource": 1, "reduction_factor": 3}),
    ("hyperband", {"min_resource": 1, "max_resource": 27, "reduction_factor": 3}),
    ("hyperband", {}),
    ("median", {"n_startup_trials": 3}),
    ("percentile", {"percentile": 40.0, "n_startup_trials": 3}),
    ("patient", {"patience": 2}),
    ("wilcoxon", {}),
    ("bandit", {"slack_factor": 0.1, "delay_evaluation": 3}),
    ("wandb_hyperband", {"min_iter": 3}),
    ("optuna.pruners.SuccessiveHalvingPruner", {"min_resource": 1, "reduction_factor": 3}),
    ("none", {}),
]


def curve_of(number: int) -> list[float]:
    noise = random.Random(number)
    level = noise.random()
    return [level * (1 - 0.8**step) + 0.02 * noise.random() for step in range(1, STEPS + 1)]


def search(lab: Any, name: str, options: dict[str, Any], *, killed: bool, slots: int = 4) -> list[tuple[int, int]]:
    """Where each of 24 trials was pruned, when `slots` of them report in turn; `killed` rebuilds before every report."""
    settings = lab.settings(pruner=name, pruner_options=options)
    study = lab.study()
    pruning = Pruning(settings, study)
    running: dict[int, list[tuple[int, float]]] = {}
    numbers, pruned = iter(range(24)), []
    while True:
        while len(running) < slots and (number := next(numbers, None)) is not None:
            study.apply(TrialCreated(number, "t"))
            running[number] = []
        if not running:
            return pruned
        for number in list(running):
            if killed:
                pruning = Pruning(settings, study)
                for other, reports in running.items():
                    pruning.replay(other, reports)
            step = len(running[number]) + 1
            value = curve_of(number)[step - 1]
            running[number].append((step, value))
            stop = pruning.should_prune(number, step, value)
            if not stop and step < STEPS:
                continue
            if stop:
                pruned.append((number, step))
            reports = tuple(running.pop(number))
            state = TrialState.PRUNED if stop else TrialState.COMPLETE
            event = lab.ended(number, state, values=None if stop else (value,), curve=reports)
            study.apply(event)
            pruning.apply(event)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_decisions_are_the_same_when_the_coordinator_is_killed_before_every_report(
    lab: Any, name: str, options: dict[str, Any]
) -> None:
    whole = search(lab, name, options, killed=False)
    assert search(lab, name, options, killed=True) == whole
    assert bool(whole) == (name != "none")


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("name", ["asha", "optuna.pruners.SuccessiveHalvingPruner"])
def test_asha_agrees_with_optunas_successive_halving_where_every_step_is_reported(
    lab: Any, name: str, eta: int, goal: str
) -> None:
    options = {"min_resource": 1, "reduction_factor": eta}
    theirs = optuna.pruners.SuccessiveHalvingPruner(**options)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=goal, pruner=theirs, sampler=optuna.samplers.RandomSampler(seed=0))
    pruning = Pruning(lab.settings(pruner=name, pruner_options=options, goals=(goal,)), lab.study())
    for number in range(40):
        trial = study.ask()
        for step, value in enumerate(curve_of(number), start=1):
            trial.report(value, step)
            expected = trial.should_prune()
            assert pruning.should_prune(number, step, value) == expected
            if expected:
                break
        study.tell(
            trial, state=optuna.trial.TrialState.PRUNED if expected else None, values=None if expected else value
        )


@pytest.mark.parametrize(("name", "options"), CASES)
def test_what_a_script_reports_after_it_was_given_up_changes_no_later_decision(
    lab: Any, name: str, options: dict[str, Any]
) -> None:
    """Trial 2 is given up at step 4; how far it goes on until it notices depends on the moment."""
    decided = []
    for further in (0, 3, 20):
        study = lab.study()
        for number in range(3):
            study.apply(TrialCreated(number, "t"))
            curve = tuple(enumerate(curve_of(number), 1))
            event = lab.ended(number, values=(curve[-1][1],), curve=curve)
            if number == 2:
                event = lab.ended(number, TrialState.PRUNED, curve=curve[: 4 + further], pruned_at=4)
            study.apply(event)
        pruning = Pruning(lab.settings(pruner=name, pruner_options=options), study)
        decided.append([pruning.should_prune(9, step, value / 2) for step, value in enumerate(curve_of(9), 1)])
        assert study.trials[2].curve().keys() == set(range(1, 5 + further))
    assert decided[0] == decided[1] == decided[2]


def test_resources_are_those_of_the_trial_that_completed_first_for_good(lab: Any) -> None:
    """With 300 steps the lowest rung is 3. That a person retries the trial does not move it, nor does a restart."""
    settings = lab.settings(pruner="asha", goals=("minimize",))
    study = lab.study()
    pruning = Pruning(settings, study)
    events = [
        TrialCreated(0, "t"),
        lab.ended(0, values=(0.1,), curve=tuple((step, 0.1) for step in range(1, 301))),
        TrialRetried(0, "t"),
        TrialCreated(1, "t"),
        lab.ended(1, values=(0.1,), curve=tuple((step, 0.1) for step in range(1, 10))),
    ]
    for event in events:
        study.apply(event)
        pruning.apply(event)
    for asked in (pruning, Pruning(settings, study)):
        assert [asked.should_prune(2, step, 0.9) for step in (1, 2, 3)] == [False, False, True]


def test_a_pruner_of_somebody_elses_that_fails_prunes_nothing_and_says_so(lab: Any) -> None:
    pruning = Pruning(lab.settings(pruner=f"{__name__}.Broken"), lab.study())
    assert pruning.should_prune(0, 1, 0.5) is False
    assert "Broken fails" in pruning.trouble and "ZeroDivisionError" in pruning.trouble


class Broken(optuna.pruners.BasePruner):
    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return bool(1 // 0)


@given(st.lists(st.tuples(st.integers(0, 12), st.floats(-5, 5) | st.just(math.nan)), max_size=30))
def test_a_curve_is_its_points_in_order_however_they_come(points: list[tuple[int, float]]) -> None:
    curve, known = Curve(), {}
    for step, value in points:
        known[step] = value
        assert curve.steps[curve.add(step, value)] == step
    assert curve.steps == sorted(known)
    assert list(map(str, curve.values)) == [str(known[step]) for step in sorted(known)]
    assert curve.best == [
        min((v for v in curve.values[: i + 1] if not math.isnan(v)), default=math.inf) for i in range(len(known))
    ]
    for resource in range(14):
        later = [str(known[step]) for step in sorted(known) if step >= resource]
        assert str(curve.at(resource)) == (later[0] if later else "None")


def test_a_repeated_step_after_a_resume_is_judged_by_what_led_up_to_it(lab: Any) -> None:
    options = {"min_resource": 1, "reduction_factor": 2}
    pruning = Pruning(lab.settings(pruner="asha", pruner_options=options), lab.study())
    for number, value in enumerate((0.9, 0.8, 0.7)):
        pruning.replay(number, [(1, value), (2, value)])
    assert pruning.should_prune(9, 1, 0.1) is True
    assert pruning.should_prune(9, 1, 0.95) is False


def judge(rule: Rule, mine: dict[int, float], others: dict[int, dict[int, float]], number: int = 9) -> bool:
    """What a rule says of the last report of a trial."""
    curves = {n: Curve(points) for n, points in {**others, number: mine}.items()}
    return rule(Known(number, len(mine), curves, None, Fields(curves)))


def test_the_bandit_stops_what_is_worse_than_the_best_by_more_than_its_slack() -> None:
    rule = bandit(slack_factor=0.2, evaluation_interval=2, delay_evaluation=2)
    best = {0: {1: -0.5, 2: -0.8, 3: -0.9, 4: -0.9}}  # scores of 0.5 … turned, the smaller the better

    def judged(*scores: float) -> bool:
        return judge(rule, {i: -score for i, score in enumerate(scores, 1)}, best)

    assert judged(0.1) is False  # before the delay
    assert judged(0.1, 0.66) is True  # 0.8 / 1.2 = 0.667
    assert judged(0.1, 0.67) is False
    assert judged(0.1, 0.1, 0.1) is False  # not an interval


def test_wandb_bands_are_those_of_the_rule() -> None:
    assert wandb_bands(None, 27, 2, 3) == [3, 9]
    assert wandb_bands(3, None, None, 3)[:4] == [3, 9, 27, 81]


@pytest.mark.parametrize(("strict", "stopped"), [(False, False), (True, True)])
def test_wandbs_rule_compares_the_best_so_far_unless_strict(strict: bool, stopped: bool) -> None:
    others = {n: {0: 5.0, 1: 5.0, 2: 5.0, 3: loss} for n, loss in enumerate((1.0, 2.0, 3.0, 4.0))}
    rule = wandb_hyperband(min_iter=3, eta=2, strict=strict)
    assert judge(rule, {0: 0.5, 1: 9.0, 2: 9.0}, others) is False  # band 3 is the fourth line
    assert judge(rule, {0: 0.5, 1: 9.0, 2: 9.0, 3: 9.0}, others) is stopped


def test_wandbs_example_is_decided_as_wandb_does() -> None:
    """The example in the docstring of W&B's own rule: ``max_iter: 5, eta: 2, s: 2`` makes bands 1 and 2, counted from 0.

    The thresholds are 8 and 7. b does not pass band 1; c does, and does not pass band 2; d passes both.
    """
    lines = {0: [10, 9], 1: [10, 10], 2: [10, 8, 8], 3: [10, 7, 7], 4: [10, 6, 6]}
    curves = {n: dict(enumerate(map(float, line), 1)) for n, line in lines.items()}
    rule = wandb_hyperband(max_iter=5, eta=2, s=2)
    assert [judge(rule, curves[n], curves, number=n) for n in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ashaa", {}, "did you mean `asha`?"),
        ("asha", {"reduction": 3}, "reduction_factor (4)"),
        ("asha", {"reduction_factor": 1}, "reduction_factor"),
        ("bandit", {}, "slack_factor"),
        ("patient", {"wrapped_pruner": "asha"}, "optuna.pruners.SuccessiveHalvingPruner"),
        ("patient", {"wrapped_pruner": {"name": "median", "startup": 3}}, "n_startup_trials (5)"),
        ("wandb_hyperband", {"max_iter": 27}, "needs s"),
        ("median", {"n_startup_trials": -1}, "cannot be negative"),
        ("median", {"n_startup_trials": "few"}, "must be a whole number, not 'few'"),
        ("hyperband", {"max_resource": -3}, "max_resource"),
        ("hyperband", {"reduction_factor": "x"}, "must be a whole number, not 'x'"),
        ("percentile", {"percentile": "half"}, "must be a number, not 'half'"),
        ("optuna.pruners.Nothing", {}, "cannot be imported"),
    ],
)
def test_wrong_pruners_are_refused_with_what_would_be_right(
    lab: Any, name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        Pruning(lab.settings(pruner=name, pruner_options=options), lab.study())
    assert said in str(caught.value)


def test_every_named_pruner_can_be_made_and_compares_one_metric_only(lab: Any) -> None:
    needed = {"bandit": {"slack_amount": 0.1}, "wandb_hyperband": {"min_iter": 3}}
    for name in PRUNERS:
        Pruning(lab.settings(pruner=name, pruner_options=needed.get(name)), lab.study())
    with pytest.raises(StudyFileError, match="several"):
        Pruning(lab.settings(pruner="asha", goals=("maximize", "minimize")), lab.study())


@pytest.mark.parametrize("seed", range(5))
def test_numbers_kept_in_order_are_those_of_all_reports_whatever_is_reported_again(seed: int) -> None:
    numbers = random.Random(seed)
    curves = {number: Curve() for number in range(12)}
    fields: Fields[Curve] = Fields(curves)
    for _ in range(300):
        number = numbers.randrange(12)
        if numbers.random() < 0.1:
            curves[number] = Curve({step: numbers.choice([0.5, 1.0, 2.0]) for step in range(numbers.randrange(5))})
        else:
            curves[number].add(numbers.randrange(6), numbers.choice([0.5, 1.0, 2.0, math.inf]))
        fields.reported(number)
        rung, asked = numbers.randrange(6), numbers.randrange(12)
        found = fields.get(rung, lambda _, curve, rung=rung: curve.at(rung)).others(asked)
        expected = [curve.at(rung) for n, curve in curves.items() if n != asked]
        assert list(found) == sorted(value for value in expected if value is not None)
