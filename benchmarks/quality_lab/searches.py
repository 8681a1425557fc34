"""The searches of a plan: which there are, running them on a pool, and what is known already.

What is known already is not run again, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from quality_lab.methods import METHODS, Peers, begin
from quality_lab.places import Places
from quality_lab.remembered import Trainings
from quality_lab.results import Results
from quality_lab.simulated_clock import Ended, chosen, run
from quality_lab.tasks import Bench, Task, all_tasks

BUDGETS = (25, 50, 100)
#: Searches with neighbouring seeds run one after the other, so that what is there at any time is balanced over methods.
_SEEDS_AT_ONCE = 2


J = TypeVar("J", bound="Keyed")


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


class Worker:
    """What a process of the pool keeps between searches."""

    def __init__(self, places: Places) -> None:
        log = places.logs / f"{os.getpid()}.txt"
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
        checkpoints = {n: self._found(task, ended[:n]) for n in BUDGETS if n <= job.trials}
        return {
            "checkpoints": checkpoints, "usual": self.bench.usual(task), "best": self.bench.best(task),
            "failed": sum(trial.value is None for trial in ended) / max(1, len(ended)), "simulated": ended[-1].at if ended else 0,
            "asked": round(asked, 3), "seconds": round(time.perf_counter() - began, 3),
            "trained": self.trainings.trained - trained,
        }  # fmt: skip

    def _found(self, task: Task, ended: Sequence[Ended]) -> dict[str, Any]:
        """What would be chosen after these trials, and its true value."""
        params = chosen(ended)
        return {"truth": None if params is None else self.bench.truth(task, params), "params": params}


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


_worker: Worker | None = None


def _begin_worker(folder: str) -> None:
    global _worker
    _worker = Worker(Places(Path(folder)))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed benchmark leaves nobody behind; peers end with their input."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def worker() -> Worker:
    """What this process of the pool keeps."""
    assert _worker is not None
    return _worker


def search(job: Job) -> dict[str, Any]:
    """One search, in a process of the pool."""
    return worker().search(job)


class Keyed(Protocol):
    """A search that a plan has; its class is a dataclass."""

    @property
    def key(self) -> str:
        """Its name in the file of results."""


def _tell(text: str) -> None:
    print(text, flush=True)


def run_all(
    jobs: Sequence[J],
    work: Callable[[J], dict[str, Any]],
    places: Places,
    results: Results,
    *,
    processes: int,
    minutes: float,
    anew: bool = False,
) -> int:
    """Run what is not known yet, each result a line as soon as it is there; returns how many are left.

    Args:
        work: What a process of the pool does with one, and returns a line that has the fields of the job.
        minutes: After so many no other search begins.
        anew: What is on record counts for nothing, only what was run here.
    """
    kind = type(jobs[0]) if jobs else Job
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    done = {kind(*(line[name] for name in names)).key for line in results.lines(only_here=anew)}
    left = [job for job in jobs if job.key not in done]
    _tell(f"{len(jobs)} searches, {len(jobs) - len(left)} known")
    until, waiting = time.monotonic() + 60 * minutes, list(reversed(left))
    # One thread each, said before they load NumPy: threads that wait for each other cost more than they bring.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_worker, (str(places.folder),)) as pool:
        running: set[Future[dict[str, Any]]] = set()
        while waiting or running:
            while waiting and len(running) < processes and time.monotonic() < until:
                running.add(pool.submit(work, waiting.pop()))
            if not running:
                break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                line = future.result()
                results.add(line)
                if "error" in line:
                    _tell(f"{line['task']}, seed {line['seed']}: {line['error'].strip().splitlines()[-1][:200]}")
    return len(waiting)
