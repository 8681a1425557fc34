"""Pruners at equal epochs: which searches there are, and what they come to."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from outlast.config.settings import PrunerSettings, SamplerSettings
from quality_lab.comparison import best_known, rows_of
from quality_lab.epochs_clock import PrunedSearch
from quality_lab.figures import regret
from quality_lab.searches import worker
from quality_lab.simulated_clock import Params
from quality_lab.tasks import Bench, Task, all_tasks
from quality_lab.trained_spaces import TRAINED

#: The epochs of so many whole trials.
BUDGETS = (10, 20, 40)
PRUNERS: Mapping[str, PrunerSettings] = {
    "none": PrunerSettings(name="none"),
    "median": PrunerSettings(name="median"),
    "hyperband": PrunerSettings(name="hyperband"),
    "asha": PrunerSettings(name="asha"),
    "asha_3": PrunerSettings(name="asha", options={"reduction_factor": 3}),
    "asha_2": PrunerSettings(name="asha", options={"reduction_factor": 2}),
    "asha_late": PrunerSettings(name="asha", options={"min_early_stopping_rate": 1}),
}
LABELS = {
    "none": "`none`", "median": "`median`", "hyperband": "`hyperband`", "asha": "`asha`", "asha_3": "`asha`, reduction_factor 3",
    "asha_2": "`asha`, reduction_factor 2", "asha_late": "`asha`, min_early_stopping_rate 1",
}  # fmt: skip


@dataclass(frozen=True)
class PrunedJob:
    """One search with a pruner."""

    task: str
    pruner: str
    sampler: str
    workers: int
    seed: int

    @property
    def key(self) -> str:
        """Its name in the file of results."""
        return f"{self.task} {self.pruner} {self.sampler} {self.workers} {self.seed}"


def jobs_of(
    pruners: Iterable[str],
    samplers: Iterable[str],
    workers: Sequence[int],
    seeds: int,
    tasks: Sequence[str] | None = None,
) -> list[PrunedJob]:
    """Searches on every task whose trainings report, those with the first seeds first."""
    names = [t.name for t in all_tasks().values() if t.data in TRAINED and TRAINED[t.data].epochs > 1]
    return [
        PrunedJob(task, pruner, sampler, many, seed)
        for seed in range(seeds)
        for task in names
        if not tasks or task in tasks
        for sampler in samplers
        for pruner in pruners
        for many in workers
    ]


def pruned_search(job: PrunedJob) -> dict[str, Any]:
    """One search, in a process of the pool."""
    return searched(job, worker().bench)


def searched(job: PrunedJob, bench: Bench) -> dict[str, Any]:
    """One search: what it had chosen each time that a budget was spent."""
    task = all_tasks()[job.task]
    said = {**asdict(job), "kind": task.kind, "set_aside": task.set_aside}
    try:
        return {**said, **_searched(job, task, bench)}
    except Exception:
        return {**said, "error": traceback.format_exc()[-1500:]}


def _searched(job: PrunedJob, task: Task, bench: Bench) -> dict[str, Any]:
    trained, began = TRAINED[task.data], time.perf_counter()

    def curves(params: Params) -> tuple[Sequence[float | None], float]:
        curve = bench.curve(task, params, bench.seed_of(task, params, job.seed))
        return curve, trained.seconds(params) / trained.epochs

    search = PrunedSearch(
        task.space, SamplerSettings(name=job.sampler), PRUNERS[job.pruner], curves, seed=job.seed, workers=job.workers
    )
    checkpoints = {}
    for whole, spent in zip(BUDGETS, search.run([whole * trained.epochs for whole in BUDGETS]), strict=True):
        params = None if spent.best is None else spent.best[1]
        truth = None if params is None else bench.truth(task, params)
        counts = {"complete": spent.complete, "pruned": spent.pruned, "failed": spent.failed}
        checkpoints[str(whole)] = {"truth": truth, "params": params, **counts}
    seconds = round(time.perf_counter() - began, 3)
    return {"checkpoints": checkpoints, "usual": bench.usual(task), "best": None, "seconds": seconds}


#: Learners of which slow ones win late: what leads after the first of their rounds is what learns fastest.
BOOSTING = frozenset(name for name in TRAINED if name.startswith(("boosting_", "lightgbm_")))


def page(lines: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], *, set_aside: Sequence[bool]) -> str:
    """All tables. `others`: results of searches without pruners, which may know better configurations."""
    best, said = best_known([*lines, *others]), []
    for sampler in sorted({line["sampler"] for line in lines}) if len(set_aside) == 2 else ():
        said += _by_learner([line for line in lines if line["sampler"] == sampler], sampler, best)
    for aside in set_aside:
        for sampler in sorted({line["sampler"] for line in lines}):
            for workers in sorted({line["workers"] for line in lines}):
                for whole in BUDGETS:
                    chosen = [
                        line for line in lines
                        if (line["set_aside"], line["sampler"], line["workers"]) == (aside, sampler, workers)
                    ]  # fmt: skip
                    if chosen:
                        side = "set aside" if aside else "looked at"
                        said += [f"### `{sampler}`, {side}: the epochs of {whole} trials, {workers} at once", ""]
                        said += [*_table(chosen, best, str(whole)), ""]
    return "\n".join(said)


def _by_learner(lines: Sequence[Mapping[str, Any]], sampler: str, best: Mapping[str, float]) -> list[str]:
    """The tables over everything, and over what boosts and what does not; with one at once and with eight are two tasks."""
    apart = [{**line, "task": f"{line['task']}, {line['workers']}"} for line in lines]
    best = {each["task"]: best[line["task"]] for line, each in zip(lines, apart, strict=True)}
    said: list[str] = []
    for title, chosen in (
        ("all", apart),
        ("boosting", [each for line, each in zip(lines, apart, strict=True) if line["task"] in BOOSTING]),
        ("the others", [each for line, each in zip(lines, apart, strict=True) if line["task"] not in BOOSTING]),
    ):
        for whole in BUDGETS:
            if chosen:
                said += [
                    f"### `{sampler}`, {title}: the epochs of {whole} trials",
                    "",
                    *_table(chosen, best, str(whole)),
                    "",
                ]
    return said


def _table(lines: Sequence[Mapping[str, Any]], best: Mapping[str, float], whole: str) -> list[str]:
    values: dict[str, dict[tuple[str, int], float]] = {}
    trials: dict[str, list[int]] = {}
    for line in lines:
        point = line["checkpoints"][whole]
        found = regret(point["truth"], best[line["task"]], line["usual"])
        values.setdefault(line["pruner"], {})[line["task"], line["seed"]] = found
        trials.setdefault(line["pruner"], []).append(point["complete"] + point["pruned"] + point["failed"])
    more = {pruner: f"{mean(each):.0f}" for pruner, each in trials.items()}
    return rows_of(values, LABELS, against="none", more=("trials", more))
