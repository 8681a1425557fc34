"""Every pruner in a real study: its decisions are those of Optuna, Azure ML or W&B over the same reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import optuna
import pytest
from optuna import pruners

from lab.pruning import FIRST, Lab, decisions, pruned_at
from lab.trainings.paced import score

pytestmark = pytest.mark.slow
EPOCHS = 12
Given = dict[int, int | None]  # trial → the step at which it is given up


def by_optuna(pruner: pruners.BasePruner) -> Given:
    """What Optuna itself decides when the trials come one after the other."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="outlast", direction="maximize", pruner=pruner)
    given: Given = {}
    for number, x in enumerate(FIRST):
        trial = study.ask()
        given[number] = None
        for epoch in range(1, EPOCHS + 1):
            trial.report(round(score(x, epoch), 9), epoch)
            if trial.should_prune():
                given[number] = epoch
                break
        state = None if given[number] is None else optuna.trial.TrialState.PRUNED
        study.tell(trial, None if state else round(score(x, EPOCHS), 9), state=state)
    return given


def one_by_one(judge: Callable[[list[float], list[list[float]]], bool]) -> Given:
    """What a policy decides, given a trial's scores so far and those of the trials before it."""
    given: Given = {}
    before: list[list[float]] = []
    for number, x in enumerate(FIRST):
        mine: list[float] = []
        given[number] = None
        for epoch in range(1, EPOCHS + 1):
            mine.append(round(score(x, epoch), 9))
            if judge(mine, before):
                given[number] = epoch
                break
        before.append(mine)
    return given


def azure_bandit(mine: list[float], before: list[list[float]]) -> bool:
    """Every second report from the fourth on: not within a slack factor of 0.2 of the best at that time."""
    interval = len(mine)
    rivals = [max(other[:interval]) for other in before if len(other) >= interval]
    return interval >= 4 and interval % 2 == 0 and bool(rivals) and max(mine) < max(rivals) / 1.2


def wandb_bands(mine: list[float], before: list[list[float]]) -> bool:
    """Bands 3, 6 and 12 of ``min_iter: 3, eta: 2``, from 0: among the best half at the highest band that was reached."""
    reached = [band for band in (3, 6, 12) if band < len(mine)]
    if not reached:
        return False
    at_band = sorted(-line[reached[-1]] for line in (mine, *before) if len(line) > reached[-1])
    return -max(mine) > at_band[int(len(at_band) / 2)]


HALVING = {"min_resource": 1, "reduction_factor": 2}
CASES: list[tuple[Any, Callable[[], Given]]] = [
    ({"name": "asha", **HALVING}, lambda: by_optuna(pruners.SuccessiveHalvingPruner(**HALVING))),
    # `auto` is 1 here, known from the first trial's end on, and that trial's own reports count at once
    ("asha", lambda: by_optuna(pruners.SuccessiveHalvingPruner(min_resource=1))),
    (
        {"name": "hyperband", "max_resource": 9, "reduction_factor": 3},
        lambda: by_optuna(pruners.HyperbandPruner(max_resource=9, reduction_factor=3)),
    ),
    ({"name": "median", "n_startup_trials": 2}, lambda: by_optuna(pruners.MedianPruner(n_startup_trials=2))),
    (
        {"name": "percentile", "percentile": 60.0, "n_startup_trials": 1, "n_warmup_steps": 3},
        lambda: by_optuna(pruners.PercentilePruner(60.0, n_startup_trials=1, n_warmup_steps=3)),
    ),
    ({"name": "patient", "patience": 2}, lambda: by_optuna(pruners.PatientPruner(None, 2))),
    (
        {"name": "patient", "patience": 1, "wrapped_pruner": {"name": "median", "n_startup_trials": 2}},
        lambda: by_optuna(pruners.PatientPruner(pruners.MedianPruner(n_startup_trials=2), 1)),
    ),
    ({"name": "wilcoxon", "p_threshold": 0.1}, lambda: by_optuna(pruners.WilcoxonPruner(p_threshold=0.1))),
    (
        {"name": "optuna.pruners.ThresholdPruner", "lower": 0.15},
        lambda: by_optuna(pruners.ThresholdPruner(lower=0.15)),
    ),
    (
        {"name": "optuna.pruners.SuccessiveHalvingPruner", **HALVING},
        lambda: by_optuna(pruners.SuccessiveHalvingPruner(**HALVING)),
    ),
    (
        {"name": "bandit", "slack_factor": 0.2, "evaluation_interval": 2, "delay_evaluation": 4},
        lambda: one_by_one(azure_bandit),
    ),
    ({"name": "wandb_hyperband", "min_iter": 3, "eta": 2}, lambda: one_by_one(wandb_bands)),
]


def names(cases: Sequence[tuple[Any, Any]]) -> list[str]:
    return [json.dumps(pruner) for pruner, _ in cases]


@pytest.mark.parametrize(("pruner", "expected"), CASES, ids=names(CASES))
def test_a_pruner_decides_in_a_real_study_as_it_does_where_it_comes_from(
    pruner: Any, expected: Callable[[], Given], make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(epochs=EPOCHS, seconds=0.0, ahead=0)
    study = lab.run(pruner)
    wanted = expected()
    assert any(wanted.values()), "a case that prunes nothing shows nothing"
    for number, step in wanted.items():
        trial = study.trials[number]
        assert (trial.state.value, pruned_at(trial)) == ("complete" if step is None else "pruned", step)
        assert lab.epochs_of(number) == list(range(1, len(lab.epochs_of(number)) + 1))
        assert step is None or set(trial.curve()) >= set(range(1, step + 1)), "the curve is kept"


def test_a_sweep_file_of_wandb_prunes_by_its_bands(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(epochs=EPOCHS, seconds=0.0, ahead=0)
    lab.place.mkdir()
    sweep = {
        "name": "lab",
        "command": [word.replace("${args}", "--x=${x}") for word in lab.command],
        "program": "unused.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"values": list(FIRST)}},
        "early_terminate": {"type": "hyperband", "min_iter": 3, "eta": 3},
        "run_cap": len(FIRST),
    }
    sweep["command"] = lab.command
    del sweep["program"]
    (lab.place / "study.yaml").write_text(json.dumps(sweep))
    study = lab.finish(lab.start("--parallel", "1"))
    assert sorted(x for x, state, _ in decisions(study).values() if state == "complete")
    assert {state for _, state, _ in decisions(study).values()} == {"complete", "pruned"}
    assert all(step in (None, 4, 10) for _, _, step in decisions(study).values())
