"""Long histories: what a suggestion of TPE, the first one of a study that is opened, and a decision to prune cost.

    python benchmarks/bench.py history

Both sides suggest from the same trials with the same seeds. Ours are meant to be the very suggestions of Optuna's sampler, so
that nothing is to be said about their quality: how many differ is counted. Seconds are the processor's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import optuna
from _figures import Figure, Mark
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as Row

from outlast.config.settings import MetricSettings, PrunerSettings, SamplerSettings, Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, StudyCreated, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.proposals import stable_seed
from outlast.optimizer.pruners.pruning import Pruning
from outlast.optimizer.sampling import Optimizer
from outlast.space.definitions import define

ABOUT = (
    "Processor time of a suggestion by TPE (ten parameters: seven floats, one of them on a log scale, two whole numbers, one of "
    "three choices) after so many trials; of opening a study and suggesting once; of a decision to prune with 64 trials running."
)
LENGTHS = (100, 1_000, 10_000, 50_000)
AT = "2024-05-01T00:00:00+00:00"
SEED = 3
SPACE: dict[str, BaseDistribution] = {
    **{f"x{at}": FloatDistribution(0.0, 1.0) for at in range(6)},
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "n": IntDistribution(1, 64),
    "m": IntDistribution(1, 6),
    "c": CategoricalDistribution(["a", "b", "c"]),
}
DEFINED = {
    **{f"x{at}": {"min": 0.0, "max": 1.0} for at in range(6)},
    "lr": {"min": 1e-5, "max": 1.0, "distribution": "log_uniform_values"},
    "n": {"min": 1, "max": 64},
    "m": {"min": 1, "max": 6},
    "c": {"values": ["a", "b", "c"]},
}


def score(params: dict[str, float], noise: random.Random) -> float:
    """A bowl with noise."""
    return sum((float(params[f"x{at}"]) - 0.3) ** 2 for at in range(6)) + noise.gauss(0, 0.05)


@lru_cache(maxsize=1)
def history(trials: int) -> list[tuple[dict[str, float], float]]:
    """Configurations as a search has them, more and more of them near the best, and their scores."""
    drawn, found = random.Random(SEED), []
    for number in range(trials):
        width = 1.0 if number % 4 == 0 else 0.2
        params: dict[str, float] = {f"x{at}": min(1.0, max(0.0, drawn.gauss(0.3, width))) for at in range(6)}
        params |= {"lr": 10 ** -drawn.uniform(0, 5), "n": drawn.randint(1, 64), "m": drawn.randint(1, 6)}
        params["c"] = drawn.choice("abc")  # type: ignore[assignment]
        found.append((params, score(params, drawn)))
    return found


def settings(sampler: str = "tpe", pruner: str = "none") -> Settings:
    """Of a study that minimises."""
    return Settings(
        name="long",
        command=("true",),
        metrics=(MetricSettings(name="loss", goal="minimize"),),
        parameters=tuple(define(name, each) for name, each in DEFINED.items()),
        sampler=SamplerSettings(name=sampler),
        pruner=PrunerSettings(name=pruner),
    )


@lru_cache(maxsize=1)
def folded(trials: int) -> Study:
    """The history as a ledger adds up to it."""
    study = Study()
    study.apply(StudyCreated("long", AT, study_seed=SEED))
    for number, (params, value) in enumerate(history(trials)):
        study.apply(TrialCreated(number, AT, params=params))
        study.apply(AttemptOpened(number, 1, AT))
        study.apply(AttemptEnded(number, 1, AT, TrialState.COMPLETE, Cause.COMPLETED, values=(value,)))
    return study


@lru_cache(maxsize=1)
def optunas(trials: int) -> optuna.Study:
    """The history in Optuna's own storage in memory."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for params, value in history(trials):
        made = optuna.trial.create_trial(state=Row.COMPLETE, params=params, distributions=SPACE, value=value)
        study._storage.create_new_trial(study._study_id, made)
    return study


def ours(
    trials: int, asked: int, told: Callable[[dict[str, float]], float] = lambda _: 1.0
) -> tuple[float, list[object]]:
    """Milliseconds of a suggestion after so many trials, each of which is told before the next; and the suggestions."""
    optimizer = Optimizer(settings(), folded(trials))
    optimizer.ask(trials)  # what is read once is measured elsewhere
    spent, found = 0.0, []
    for number in range(trials, trials + asked):
        began = time.process_time()
        draw = optimizer.ask(number)
        assert draw is not None
        optimizer.apply(draw.created(number, AT, 1))
        value = told(draw.params)
        optimizer.apply(AttemptEnded(number, 1, AT, TrialState.COMPLETE, Cause.COMPLETED, values=(value,)))
        spent += time.process_time() - began
        found.append(dict(sorted(draw.params.items())))
    return 1e3 * spent / asked, found


def theirs(
    trials: int, asked: int, told: Callable[[dict[str, float]], float] = lambda _: 1.0
) -> tuple[float, list[object]]:
    """The same by Optuna: its default sampler, seeded for each trial as ours is."""
    study = optunas(trials)
    spent, found = 0.0, []
    for number in range(trials, trials + asked):
        study.sampler = optuna.samplers.TPESampler(seed=stable_seed(SEED, "sampler", number), multivariate=True)
        began = time.process_time()
        trial = study.ask(SPACE)
        study.tell(trial, told(trial.params))
        spent += time.process_time() - began
        found.append(dict(sorted(trial.params.items())))
    optunas.cache_clear()  # it has more trials now
    return 1e3 * spent / asked, found


def differing(trials: int, asked: int) -> float:
    """How many suggestions differ from Optuna's, with scores that depend on them."""
    sides = [side(trials, asked, lambda params: score(params, random.Random(1)))[1] for side in (ours, theirs)]
    return float(sum(one != other for one, other in zip(*sides, strict=True)))


def opening(trials: int) -> float:
    """Seconds from a fold to its first suggestion."""
    study = folded(trials)
    study.counts()  # known by whoever holds it
    began = time.process_time()
    Optimizer(settings(), study).ask(trials)
    return time.process_time() - began


def pruning(rule: str, trials: int) -> float:
    """Milliseconds of a decision about 64 trials with 20 reports each, the 95th percentile: at most steps ASHA has none."""
    drawn, study = random.Random(SEED), Study()
    study.apply(StudyCreated("long", AT, study_seed=SEED))
    for number in range(trials):
        curve = tuple((step, drawn.random()) for step in range(1, 21 if number % 3 == 0 else drawn.choice((2, 5, 17))))
        state = TrialState.COMPLETE if len(curve) == 20 else TrialState.PRUNED
        study.apply(TrialCreated(number, AT))
        study.apply(AttemptOpened(number, 1, AT))
        values = (curve[-1][1],) if state is TrialState.COMPLETE else None
        study.apply(AttemptEnded(number, 1, AT, state, Cause.COMPLETED, values=values, curves=(curve,)))
    judge, spent = Pruning(settings(pruner=rule), study), []
    for step in range(1, 21):
        for number in range(trials, trials + 64):
            began = time.process_time()
            judge.should_prune(number, step, drawn.random())
            spent.append(time.process_time() - began)
    return 1e3 * sorted(spent)[int(0.95 * len(spent))]


def figures(place: Path, quick: bool) -> list[Figure]:
    """Of this part; nothing is written into `place`."""
    found = []
    for trials in (2_000,) if quick else LENGTHS:
        asked = 4 if trials >= 10_000 else 12
        found.append(
            Figure(
                f"suggestion after {trials}",
                f"a suggestion after {trials:,} trials",
                "ms",
                lambda _, trials=trials, asked=asked: ours(trials, asked)[0],
                lambda _, trials=trials, asked=asked: theirs(trials, asked)[0],
                "Optuna",
                Mark(0.2, of="ratio") if trials >= 10_000 else None,
                quick=quick,
            )
        )
    if quick:
        return found
    found += [
        Figure(
            f"others after {trials}",
            f"suggestions that differ from Optuna's, of 12 after {trials:,} trials",
            "suggestions",
            lambda _, trials=trials: differing(trials, 12),
            mark=Mark(0),
        )
        for trials in (1_000, 10_000)
    ]
    found += [
        Figure(
            f"opening {trials}",
            f"the first suggestion of a study of {trials:,} trials that is opened",
            "s",
            lambda _, trials=trials: opening(trials),
            mark=Mark(1.0) if trials == 100_000 else None,
        )
        for trials in (10_000, 100_000)
    ]
    found += [
        Figure(
            f"pruning {rule}",
            f"a decision of `{rule}` with 64 trials running after 5,000",
            "ms",
            lambda _, rule=rule: pruning(rule, 5_000),
            mark=Mark(1.0),
        )
        for rule in ("asha", "hyperband", "median", "percentile")
    ]
    return found
