"""A command as a training: how many trials a second, what a trial costs in system calls, and how long a slot stays empty.

    python benchmarks/bench.py command

The training is ``sh ./t.sh``, which prints a score and is done: what is left is what we cost. The other side starts the same
command, as often and as many at once, and reads what it prints; it decides, records and survives nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from _figures import Figure, Mark
from _shared import OUTLAST, beyond, call, strace

ABOUT = (
    "A command that prints a score and ends, `sh ./t.sh`, two at once; beside it the same command started as often by a "
    "loop that does nothing else."
)
STUDY_FILE = """\
name: quick
command: [sh, ./t.sh]
metric: {{name: score, goal: maximize}}
parameters:
  x: {{min: 0.0, max: 1.0}}
  y: {{min: 0.0, max: 1.0}}
budget: {{trials: {trials}}}
parallel: {parallel}
sampler: {sampler}
"""
SCRIPT = "echo score=0.5\n"
#: Notes when it began and when it was over, so that the time between two trainings of one slot can be told.
NOTING = "a=$(date +%s%N); echo score=0.5; echo $a $(date +%s%N) >>times\n"


def lay_out(
    place: Path, name: str, *, trials: int, parallel: int = 2, sampler: str = "random", script: str = SCRIPT
) -> Path:
    """A folder with study file and script."""
    folder = place / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "t.sh").write_text(script)
    (folder / "study.yaml").write_text(STUDY_FILE.format(trials=trials, parallel=parallel, sampler=sampler))
    return folder


def run_study(folder: Path, *words: str) -> float:
    """Seconds that ``outlast run`` takes."""
    began = time.perf_counter()
    call([*OUTLAST, "run", "study.yaml", "--dir", "study", *words], cwd=folder)
    return time.perf_counter() - began


def rate(place: Path, few: int, many: int) -> float:
    """Trials a second of a run that has begun: of two runs that differ in their length only."""
    seconds = [run_study(lay_out(place, f"rate-{trials}", trials=trials)) for trials in (few, many)]
    return (many - few) / beyond(*seconds)


def bare(place: Path, trials: int) -> float:
    """Commands a second of a loop that starts them, two at once."""
    folder = lay_out(place, "bare", trials=trials)
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda _: subprocess.check_output(["sh", "./t.sh"], cwd=folder), range(trials)))
    assert all(float(output.partition(b"=")[2]) == 0.5 for output in outputs)
    return trials / (time.perf_counter() - began)


def calls(place: Path, few: int, many: int, only: str = "") -> float:
    """System calls a trial of coordinator, fork server and runners, all or these; those of the trainings are not ours."""
    counts = []
    for trials in (few, many):
        folder = lay_out(place, f"calls-{trials}", trials=trials)
        argv = [*OUTLAST, "run", "study.yaml", "--dir", "study"]
        found = strace(argv, cwd=folder, training=("/sh",), only=only)
        counts.append(sum(found[name] for name in only.split(",")) if only else found["all"])
    return (counts[1] - counts[0]) / (many - few)


def empty_slot(place: Path, history: int, trials: int) -> float:
    """Milliseconds from one training's end to the beginning of the next in one slot, median: TPE, so many trials before."""
    folder = lay_out(place, f"gap-{history}", trials=history, parallel=1, sampler="tpe")
    run_study(folder)
    (folder / "t.sh").write_text(NOTING)
    run_study(folder, "--trials", str(history + trials))
    return _between(folder / "times")


def empty_slot_bare(place: Path, trials: int) -> float:
    """The same between commands that a loop starts one after the other."""
    folder = lay_out(place, "gap-bare", trials=trials, script=NOTING)
    for _ in range(trials):
        subprocess.check_output(["sh", "./t.sh"], cwd=folder)
    return _between(folder / "times")


def _between(times: Path) -> float:
    moments = sorted(tuple(int(word) for word in line.split()) for line in times.read_text().splitlines())
    gaps = sorted((begin - end) / 1e6 for (_, end), (begin, _) in pairwise(moments))
    return gaps[len(gaps) // 2]


def figures(place: Path, quick: bool) -> list[Figure]:
    """What is measured."""
    few, many = (20, 80) if quick else (100, 600)
    before = 100 if quick else 1_000
    return [
        Figure(
            "rate", "trials, random sampler, 2 at once", "trials/s", lambda _: rate(place, few, many),
            lambda _: bare(place, many - few), "bare loop", Mark(92, at_least=True),
        ),
        Figure("calls", "system calls", "a trial", lambda _: calls(place, 20, 120), mark=Mark(150), quick=True),
        Figure("syncs", "syncs", "a trial", lambda _: calls(place, 20, 120, "fsync,fdatasync"), mark=Mark(4), quick=True),
        Figure(
            "gap", f"slot without a training, TPE, {before:,} trials before", "ms",
            lambda _: empty_slot(place, before, 20 if quick else 100), lambda _: empty_slot_bare(place, 100), "bare loop",
            Mark(20, of="difference"),
        ),
    ]  # fmt: skip
