"""The searches of a plan: which there are, running them on a pool, and what is known already.

A result is a line of JSON in one file. What is there is not run again, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quality_lab.methods import METHODS, Peers, begin
from quality_lab.places import Places
from quality_lab.remembered import Trainings
from quality_lab.simulated_clock import chosen, run
from quality_lab.tasks import Bench, Task, all_tasks

BUDGETS = (25, 50, 100)
#: Searches with neighbouring seeds run one after the other, so that what is there at any time is balanced over methods.
_SEEDS_AT_ONCE = 2


@dataclass(frozen=True)
class Job:
    """One search. Of a method that does not ask how many trials there will be, one search tells of every smaller budget."""

    task: str
    method: str
    workers: int
    seed: int
    trials: int

    @property
    def key(self) -> str:
        """Its name in the file of results."""
        return f"{self.task} {self.method} {self.workers} {self.seed} {self.trials}"


def jobs_of(
    tasks: Iterable[str],
    methods: Iterable[str],
    workers: Sequence[int],
    seeds: Sequence[int],
    budgets: Sequence[int] = BUDGETS,
) -> list[Job]:
    """All of them, those with the first seeds first."""
    made = [
        Job(task, method, many, seed, trials)
        for task in tasks
        for method in methods
        for many in workers
        for seed in seeds
        for trials in (budgets if METHODS[method].knows_budget else (max(budgets),))
    ]
    names = list(METHODS)
    return sorted(
        made, key=lambda j: (j.seed // _SEEDS_AT_ONCE, names.index(j.method), j.task, j.workers, j.seed, j.trials)
    )


class _Worker:
    """What a process of the pool keeps between searches."""

    def __init__(self, places: Places) -> None:
        log = places.folder / f"log-{os.getpid()}.txt"
        self.trainings = Trainings(places.trainings, places.environments, log)
        self.bench = Bench(places.environments, self.trainings)
        self.peers = Peers(places.environments, log)

    def search(self, job: Job) -> dict[str, Any]:
        """One search, and what it would have chosen after each budget."""
        task = all_tasks()[job.task]
        said = {**asdict(job), "kind": task.kind, "set_aside": task.set_aside}
        try:
            return {**said, **self._searched(job, task)}
        except Exception:
            self.peers.drop(METHODS[job.method].environment)
            return {**said, "error": traceback.format_exc()[-1500:]}

    def _searched(self, job: Job, task: Task) -> dict[str, Any]:
        environment = METHODS[job.method].environment
        asking, began, trained = _Timed(self.peers, environment), time.perf_counter(), self.trainings.trained
        before = asking.processor_seconds()
        searcher = begin(job.method, task.space, self.peers, seed=job.seed, trials=job.trials, workers=job.workers)
        ended = run(
            asking.around(searcher), lambda number, params: self.bench.train(task, params, job.seed),
            trials=job.trials, workers=job.workers,
        )  # fmt: skip
        asked = asking.processor_seconds() - before if environment else asking.own_seconds
        checkpoints = {}
        for trials in (n for n in BUDGETS if n <= job.trials):
            params = chosen(ended[:trials])
            truth = None if params is None else self.bench.truth(task, params)
            checkpoints[trials] = {"truth": truth, "params": params}
        return {
            "checkpoints": checkpoints, "usual": self.bench.usual(task), "best": self.bench.best(task),
            "failed": sum(trial.value is None for trial in ended) / max(1, len(ended)), "simulated": ended[-1].at if ended else 0,
            "asked": round(asked, 3), "seconds": round(time.perf_counter() - began, 3),
            "trained": self.trainings.trained - trained,
        }  # fmt: skip


class _Timed:
    """The processor seconds that asking and telling cost."""

    def __init__(self, peers: Peers, environment: str) -> None:
        self._peers, self._environment, self.own_seconds = peers, environment, 0.0

    def processor_seconds(self) -> float:
        """Of the peer's process, since it began."""
        return self._peers.of(self._environment).processor_seconds if self._environment else 0.0

    def around(self, searcher: Any) -> Any:
        """The searcher, measured if it works in this process."""
        if self._environment:
            return searcher
        self._searcher = searcher
        return self

    def ask(self) -> Any:
        """See `Searcher`."""
        return self._measured(self._searcher.ask)

    def tell(self, handle: Any, value: float | None) -> None:
        """See `Searcher`."""
        self._measured(lambda: self._searcher.tell(handle, value))

    def _measured(self, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        try:
            return call()
        finally:
            self.own_seconds += time.process_time() - began


_worker: _Worker | None = None


def _begin_worker(folder: str) -> None:
    global _worker
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    _worker = _Worker(Places(Path(folder)))


def _search(job: Job) -> dict[str, Any]:
    assert _worker is not None
    return _worker.search(job)


def known(file: Path) -> Iterator[dict[str, Any]]:
    """The results that are there; a line that an interruption tore is none."""
    if file.is_file():
        for line in file.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


def run_all(jobs: Sequence[Job], places: Places, *, processes: int, minutes: float, told: Callable[[str], None]) -> int:
    """Run what is not known yet, each result a line as soon as it is there; returns how many are left.

    Args:
        minutes: After so many no other search begins.
    """
    done = {
        Job(*(line[name] for name in Job.__dataclass_fields__)).key
        for line in known(places.results)
        if "error" not in line
    }
    left = [job for job in jobs if job.key not in done]
    told(f"{len(jobs)} searches, {len(jobs) - len(left)} known")
    until, waiting = time.monotonic() + 60 * minutes, list(reversed(left))
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, context, _begin_worker, (str(places.folder),)) as pool,
        places.results.open("a") as file,
    ):
        running: set[Future[dict[str, Any]]] = set()
        while waiting or running:
            while waiting and len(running) < processes and time.monotonic() < until:
                running.add(pool.submit(_search, waiting.pop()))
            if not running:
                break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                line = future.result()
                file.write(json.dumps(line) + "\n")
                file.flush()
                if "error" in line:
                    told(
                        f"{line['task']} {line['method']} {line['seed']}: {line['error'].strip().splitlines()[-1][:200]}"
                    )
    return len(waiting)
