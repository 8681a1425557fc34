"""What a sampler makes of configurations that cannot run: told as Optuna would, and as Outlast tells it.

Two spaces of three parameters. In one the largest 30% of one parameter cannot run (out of memory); in the other half of
the space diverges (a rate that is too large). In both the score rises towards that part, as it does in life, so that a
sampler that learns nothing from failures is drawn into it. Printed per sampler: the share of suggestions after a third of
the budget that fall into that part, when failures are left out of what it sees (a failed row of Optuna's), and when it is
taught; and the best score that was found.

    python benchmarks/failure_feedback.py [--trials 100] [--seeds 5] [--json FILE] [tpe cmaes nsga2 gp]

``gp`` needs PyTorch (``pip install 'outlast[torch]'``).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from outlast.config.settings import MetricSettings, SamplerSettings, Settings
from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, StudyCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.sampling import Optimizer
from outlast.space.definitions import define


@dataclass(frozen=True)
class Space:
    """A cube in which nothing runs beyond an edge of its first parameter."""

    name: str
    edge: float
    state: TrialState
    cause: Cause


SPACES = (
    Space("30% cannot run", 0.7, TrialState.INFEASIBLE, Cause.GPU_OUT_OF_MEMORY),
    Space("half diverges", 0.5, TrialState.FAILED, Cause.DIVERGED),
)


@dataclass(frozen=True)
class Searched:
    """What one search came to."""

    inside: float  # share of later suggestions where nothing runs
    best: float


def search(space: Space, sampler: str, seed: int, trials: int, *, taught: bool) -> Searched:
    """Suggest, score and tell, as often as the budget says."""
    settings = Settings(
        name="failure-feedback",
        command=("true",),
        metrics=(MetricSettings(name="score"),),
        parameters=tuple(define(name, {"min": 0.0, "max": 1.0}) for name in ("size", "lr", "drop")),
        sampler=SamplerSettings(name=sampler, options={"population_size": 10} if sampler == "nsga2" else {}),
    )
    optimizer = Optimizer(settings, fold([StudyCreated("failure-feedback", "", study_seed=seed)]))
    noise, inside, best = random.Random(seed), [], float("-inf")
    for number in range(trials):
        draw = optimizer.ask(number)
        if draw is None:
            break
        size, lr = draw.params["size"], draw.params["lr"]
        optimizer.apply(draw.created(number, "", 1))
        if size < space.edge:
            score = size - (lr - 0.3) ** 2 + 0.01 * noise.random()
            best = max(best, score)
            ended = AttemptEnded(number, 1, "", TrialState.COMPLETE, Cause.COMPLETED, values=(score,))
        elif taught:
            ended = AttemptEnded(number, 1, "", space.state, space.cause)
        else:
            # A lost trial is what Optuna's failed row is: left out of what the sampler sees.
            ended = AttemptEnded(number, 1, "", TrialState.FAILED, Cause.LOST)
        optimizer.apply(ended)
        if number >= trials // 3:
            inside.append(size >= space.edge)
    return Searched(mean(inside), best)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samplers", nargs="*", default=["tpe", "cmaes", "nsga2", "gp"])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    kept: dict[str, dict[str, dict[str, float]]] = {}
    print(
        f"{args.trials} trials, {args.seeds} seeds: share of later suggestions where nothing runs, and the best score"
    )
    print(f"{'space':14}  {'sampler':7}  {'left out':>8}  {'taught':>8}  {'best, left out':>14}  {'best, taught':>12}")
    for space in SPACES:
        for sampler in args.samplers:
            if sampler == "gp" and importlib.util.find_spec("torch") is None:
                print(f"{space.name:14}  {sampler:7}  needs PyTorch: pip install 'outlast[torch]'")
                continue
            left_out, taught = (
                [search(space, sampler, seed, args.trials, taught=taught) for seed in range(args.seeds)]
                for taught in (False, True)
            )
            figures = {
                "left_out": mean(s.inside for s in left_out),
                "taught": mean(s.inside for s in taught),
                "best_left_out": mean(s.best for s in left_out),
                "best_taught": mean(s.best for s in taught),
            }
            kept.setdefault(space.name, {})[sampler] = figures
            print(
                f"{space.name:14}  {sampler:7}  {figures['left_out']:8.1%}  {figures['taught']:8.1%}"
                f"  {figures['best_left_out']:14.3f}  {figures['best_taught']:12.3f}",
                flush=True,
            )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
