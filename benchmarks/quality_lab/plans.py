"""How much is run: plans from minutes to days.

What a search costs decides how many there are: tables and cheap methods have many seeds, trainings and models that take a
second a suggestion have few. Methods are compared over the pairs of task and seed that all of them have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from quality_lab.searches import Job, jobs_of
from quality_lab.tasks import all_tasks

#: Half a processor second a search of 100 trials, or less.
CHEAP = (
    "ours_tpe", "ours_qmc", "optuna_tpe", "optuna_random", "optuna_qmc", "optuna_cmaes", "ray",
)  # fmt: skip
#: Seconds.
MODELS = ("ours", "ours_gaussian", "optuna_auto", "optuna_gp")
#: From half a minute to minutes.
DEAR = ("smac", "syne_tune", "neps", "hebo")
METHODS = (*MODELS, *CHEAP, *DEAR)


@dataclass(frozen=True)
class Part:
    """Seeds of methods on tasks of these kinds."""

    methods: Sequence[str]
    kinds: Sequence[str]
    seeds: int
    workers: Sequence[int] = (1, 8)


@dataclass(frozen=True)
class Plan:
    """Parts, over these tasks."""

    parts: Sequence[Part]
    tasks: Sequence[str] | None = None

    @property
    def all_methods(self) -> list[str]:
        """Every method of it, once."""
        return list(dict.fromkeys(method for part in self.parts for method in part.methods))

    def only(
        self,
        *,
        tasks: Sequence[str] | None,
        methods: Sequence[str] | None,
        seeds: int | None,
        workers: Sequence[int] | None,
    ) -> Plan:
        """The same with these tasks, methods, seeds and numbers of workers, where they are given."""
        parts = [
            replace(part, methods=methods or part.methods, seeds=seeds or part.seeds, workers=workers or part.workers)
            for part in self.parts
        ]
        return replace(self, parts=parts, tasks=tasks or self.tasks)

    def jobs(self, methods: Sequence[str]) -> list[Job]:
        """Its searches by these methods."""
        jobs: dict[str, Job] = {}
        for part in self.parts:
            names = [
                t.name
                for t in all_tasks().values()
                if t.kind in part.kinds and (not self.tasks or t.name in self.tasks)
            ]
            chosen = [method for method in part.methods if method in methods]
            jobs |= {job.key: job for job in jobs_of(names, chosen, part.workers, range(part.seeds))}
        return list(jobs.values())


QUICK_TASKS = (
    "hpobench_vehicle",
    "hpolib_parkinsons_telemonitoring",
    "nasbench201_cifar10",
    "pipeline_wine",
    "nu_svm_wine",
    "memory_segment",
)
EVERY = ("tables", "trained", "broken")
TABLES = ("tables", "broken")
PLANS: Mapping[str, Plan] = {
    "quick": Plan([Part(("ours", "optuna_tpe", "optuna_random"), EVERY, 2)], QUICK_TASKS),
    # What comes first is there when time runs out.
    "session": Plan(
        [
            Part((*CHEAP, *MODELS), TABLES, 4),
            Part((*CHEAP, *MODELS), ("trained",), 1),
            Part(("smac",), TABLES, 1),
            Part(("syne_tune", "neps", "hebo"), ("tables",), 1, workers=(1,)),
            Part(CHEAP, TABLES, 10),
            Part((*CHEAP, *MODELS), ("trained",), 2),
        ]
    ),
    "full": Plan(
        [
            Part((*CHEAP, *MODELS), TABLES, 20),
            Part((*CHEAP, *MODELS), ("trained",), 5),
            Part(DEAR, TABLES, 5),
            Part(DEAR, ("trained",), 2),
        ]
    ),
}
