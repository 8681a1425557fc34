"""What a trial costs us as a study grows: in trials of history, and in workers that ask for trials.

    python benchmarks/scale.py                                    both tables; about ten minutes
    python benchmarks/scale.py tasks --trials 100 1000 5000
    python benchmarks/scale.py turns --trials 1000 --workers 1 64 1000 --sampler tpe

*tasks* are real: a task of an array, from its start to its end, with a training of a shell that prints twenty scores. It takes
two turns, one to be given its trial and one to hand in what came of it. *turns* drive the code that holds a study for a turn
with workers that are this process: each asks, is given a trial, and has its result at once, so that all that is measured is ours.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from _figures import Figure, Mark
from _long_study import make_study
from _shared import environment

from outlast._system import observed
from outlast._system.files import write_once
from outlast._system.processes import my_identity
from outlast.config.load import load_study_file
from outlast.core.evidence import Evidence, Report
from outlast.core.file_names import parse_attempt_name
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.turn import Memory, take_turn
from outlast.engine.record.recorded import study_paths
from outlast.study import requests
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

ABOUT = (
    "A task of an array on studies of different lengths, from its start to its end, in processor seconds; and what a worker's "
    "trial costs where many ask in one turn."
)
EPOCHS = 20
STUDY_FILE = """\
name: scale
command: [sh, -c, "for i in $(seq 0 19); do echo epoch=$i accuracy=0.$i; done", x, "${{args}}"]
metric: {{name: accuracy, goal: maximize}}
parameters:
  lr: {{min: 1.0e-5, max: 1.0e-1, distribution: log_uniform_values}}
  layers: {{min: 1, max: 8}}
  optimizer: {{values: [adam, sgd, lamb]}}
budget: {{trials: 10000000}}
sampler: {sampler}
"""


def lay_out(place: Path, trials: int, sampler: str = "tpe") -> StudyPaths:
    """A study of so many trials with a curve each, that goes on."""
    folder = place / f"{sampler}-{trials}"
    if not folder.exists():
        make_study(folder, trials, EPOCHS, STUDY_FILE.format(sampler=sampler), ended=False, files=trials <= 10_000)
    settings = load_study_file(str(folder.with_suffix(".yaml")))
    paths = study_paths(folder, settings)
    with open_study(paths, settings):
        pass
    return paths


# -- real tasks -------------------------------------------------------------------------------------------------------


def task_seconds(paths: StudyPaths, number: int) -> float:
    """Processor seconds of one task, its runner and its training included."""
    job = {"SLURM_JOB_ID": f"{7000 + number}", "SLURM_ARRAY_JOB_ID": "7000", "SLURM_ARRAY_TASK_ID": f"{number}"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "outlast.engine.cluster.task", str(paths.root), "1", "1"], text=True, capture_output=True,
        env={**environment(), **job, "SLURMD_NODENAME": "n1"}, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"a task ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def drawn(paths: StudyPaths, *, just_now: bool) -> None:
    """Have tables and index look as if they had just been drawn, so that the task leaves them to others; or long ago."""
    if paths.index.exists():
        at = time.time() if just_now else 0.0
        os.utime(paths.index, (at, at))


# -- simulated workers ------------------------------------------------------------------------------------------------


class Crowd:
    """So many workers of a study, all of which are this process. What they are given is over at once."""

    def __init__(self, paths: StudyPaths, workers: int) -> None:
        self._paths, self._workers = paths, workers
        self._asked: list[requests.Request] = []

    def ask(self) -> None:
        """Every worker that waits for nothing asks for a trial."""
        us = my_identity().to_json()
        while len(self._asked) < self._workers:
            number = len(self._asked)
            self._asked.append(
                requests.drop(self._paths, "trial", worker=us, job=f"7000_{number}", restarts=0, task=True)
            )

    def train(self) -> int:
        """Every worker that was given a trial has its result. Returns how many those were."""
        answers = [requests.read_answer(self._paths, each) for each in self._asked]
        self._asked = [each for each, answer in zip(self._asked, answers, strict=True) if answer is None]
        given = [str(answer["attempt"]) for answer in answers if answer is not None and "attempt" in answer]
        for name in given:
            trial, number = parse_attempt_name(name) or (0, 0)
            curve = tuple(Report(step, {"accuracy": (trial * 0.618034 % 1) * step / EPOCHS}) for step in range(EPOCHS))
            score = dict(curve[-1].metrics)
            evidence = Evidence(0, seconds=60.0, host="n1", scores=score, source="output", metrics=score, reports=curve)
            write_once(self._paths.attempt(trial, number).exit, json.dumps(evidence.to_json()))
        return len(given)


def turn(paths: StudyPaths) -> tuple[float, float, Counter[str]]:
    """One turn: its processor seconds, seconds by the clock, and what it did to the disk."""
    done: Counter[str] = Counter()

    def note(operation: str, path: str, **_: Any) -> None:
        done[operation] += 1

    lease = Lease(paths.lease)
    lease.acquire()
    observed.observer, cpu, clock = note, time.process_time(), time.perf_counter()
    try:
        take_turn(paths.root, lease, Memory(), say=lambda _: None)
    finally:
        observed.observer = None
    return time.process_time() - cpu, time.perf_counter() - clock, done


def turns(paths: StudyPaths, workers: int, rounds: int) -> Iterator[dict[str, float]]:
    """What each turn costs a trial: the results of the turn before are handed in, and everybody asks again."""
    crowd = Crowd(paths, workers)
    for at in range(rounds + 1):
        crowd.ask()
        drawn(paths, just_now=True)
        cpu, clock, done = turn(paths)
        given = crowd.train()
        assert given == workers, (given, workers)
        if at:
            syncs = done["fsync"] + done["fsync_dir"] + done["append"]
            yield {
                "cpu": cpu / given,
                "clock": clock / given,
                "operations": done.total() / given,
                "syncs": syncs / given,
            }


# -- figures ----------------------------------------------------------------------------------------------------------

_WANTED = {100: 1.0, 1000: 1.5, 5000: 3.0}


def figures(place: Path, quick: bool) -> list[Figure]:
    """For `bench.py`."""

    def task(trials: int) -> Figure:
        def measure(number: int) -> float:
            paths = lay_out(place, trials)
            drawn(paths, just_now=False)
            return task_seconds(paths, number)

        title = f"a task on a study of {trials} trials, TPE, 20-point curves, two turns"
        return Figure(f"task_{trials}", title, "processor s", measure, mark=Mark(_WANTED[trials]))

    def syncs(_number: int) -> float:
        return median(each["syncs"] for each in turns(lay_out(place, 100, "random"), 64, 2))

    def operations(_number: int) -> float:
        return median(each["operations"] for each in turns(lay_out(place, 100, "random"), 64, 2))

    asked = "64 workers ask in one turn and hand in what they had"
    return [
        Figure("turn_syncs", f"{asked}: syncs a trial", "syncs", syncs, mark=Mark(1.0), quick=True),
        Figure("turn_operations", f"{asked}: changes on the disk a trial", "operations", operations, quick=True),
        *([] if quick else [task(trials) for trials in _WANTED]),
    ]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=("tasks", "turns", []), help="both by default")
    parser.add_argument("--trials", type=int, nargs="*", default=[10, 100, 1_000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 64, 1_000])
    parser.add_argument("--sampler", nargs="*", default=["random", "tpe"])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as place:
        if "tasks" in args.what or not args.what:
            print("| trials before | processor s | with tables and index |\n|--:|--:|--:|")
            for trials in args.trials:
                paths, found = lay_out(Path(place), trials), []
                for just_now in (True, False):
                    task_seconds(paths, 0)
                    seconds = []
                    for number in range(args.rounds):
                        drawn(paths, just_now=just_now)
                        seconds.append(task_seconds(paths, number))
                    found.append(median(seconds))
                print(f"| {trials:,} | {found[0]:.2f} | {found[1]:.2f} |", flush=True)
        if "turns" in args.what or not args.what:
            print("| sampler | trials before | workers | processor ms a trial | clock ms | disk operations | syncs |")
            print("|---|--:|--:|--:|--:|--:|--:|")
            for sampler in args.sampler:
                for trials in args.trials:
                    for workers in args.workers:
                        costs = list(turns(lay_out(Path(place), trials, sampler), workers, args.rounds))
                        cpu, clock, done, syncs = (
                            median(each[of] for each in costs) for of in ("cpu", "clock", "operations", "syncs")
                        )
                        print(
                            f"| {sampler} | {trials:,} | {workers:,} | {1000 * cpu:.1f} | {1000 * clock:.1f} | {done:.1f} | "
                            f"{syncs:.2f} |",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
