"""Slots against batches: how busy a controller keeps eight slots when trials take very different times.

    python benchmarks/slots.py [--trials 32] [--mean 30] [--sigma 0.8] [--slots 8] [--seed 0] [--simulated] [--json FILE]

The same trials, with the same lognormal times, are run twice by the same controller: refilling a slot the moment it is free,
and with `barrier: true`, a whole batch after the other. Without `--simulated` on a real SLURM that is started here (the tests'
cluster: four nodes with two GPUs each); with it in simulated time, where a job begins `--latency` seconds after its sbatch.

Utilisation is honest: training seconds over slots × seconds, within the time in which there was work to start, from the first
training's begin to the last one's. Whatever comes between two trainings of a slot (noticing the end, deciding, the ledger,
sbatch, SLURM's scheduler, the start of the runner) is idle time. The tail, in which slots stay empty because the budget is
used up, is left out on both sides; seconds are of the whole search.

The exit code is 0 if refilling reaches 95%.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from _slots_simulated import SimulatedCluster, SimulatedExecutor
from _slots_training import seconds_of

from outlast.config.load import load_study_file
from outlast.config.settings import Settings
from outlast.core.states import TrialState
from outlast.engine.attempts.slots import job_slots
from outlast.engine.cluster.control import control
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.coordinator.listener import Listener
from outlast.engine.hold.opening import open_study
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.executors.slurm.listing import SlurmJobs
from outlast.study.layout import StudyPaths
from outlast.testing.manual_clock import FakeClock

HERE = Path(__file__).parent
ENOUGH = 0.95


@dataclass(frozen=True)
class Load:
    """What both ways go through. Times in seconds."""

    trials: int
    slots: int
    mean: float
    sigma: float
    seed: int


@dataclass(frozen=True)
class Measured:
    """What came of one way."""

    utilisation: float
    seconds: float  # from the first begin to the last end
    gap: float  # from an end to the next begin, median
    idle: float  # that a slot stood empty for each training, on average
    complete: int


def measured(spans: Sequence[tuple[float, float]], load: Load, complete: int) -> Measured:
    """See the module."""
    begins, ends = sorted(begin for begin, _ in spans), sorted(end for _, end in spans)
    first, last = begins[0], begins[-1]
    busy, held = sum(min(end, last) - begin for begin, end in spans), load.slots * (last - first)
    gaps = [begin - end for begin, end in zip(begins[load.slots :], ends, strict=False)]
    return Measured(busy / held, ends[-1] - first, statistics.median(gaps), (held - busy) / len(spans), complete)


def prepare(place: Path, load: Load, *, barrier: bool) -> tuple[StudyPaths, Settings]:
    """A study that somebody has begun, and nobody holds."""
    place.mkdir()
    training = [sys.executable, "-S", "-E", str(HERE / "_slots_training.py"), str(place / "spans")]
    study = {
        "name": "slots",
        "command": [*training, str(load.mean), str(load.sigma), str(load.seed)],
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "sampler": "random",
        "budget": {"trials": load.trials},
        "parallel": load.slots,
        "resources": {"gpus": 1},
        "slurm": {"mode": "controller", "barrier": barrier},
    }
    (place / "study.yaml").write_text(json.dumps(study))
    settings = load_study_file(str(place / "study.yaml"))
    paths = study_paths(place / "study", settings)
    with open_study(paths, settings):
        return paths, settings


def complete_in(paths: StudyPaths) -> int:
    """Trials that are complete."""
    return len(read_study(paths).in_state(TrialState.COMPLETE))


def real(place: Path, load: Load, *, barrier: bool) -> Measured:
    """One way on the cluster that SLURM_CONF names."""
    paths, _ = prepare(place, load, barrier=barrier)
    control(str(paths.root), lambda study, settings, slots: Listener())
    lines = (place / "spans").read_text().splitlines()
    spans = [(float(begin), float(end)) for begin, end in map(str.split, lines)]
    return measured(spans, load, complete_in(paths))


def simulated(place: Path, load: Load, *, barrier: bool, latency: float) -> Measured:
    """One way in simulated time."""
    paths, settings = prepare(place, load, barrier=barrier)
    clock = FakeClock()
    times = partial(seconds_of, mean=load.mean, sigma=load.sigma, seed=load.seed)
    cluster = SimulatedCluster(clock, times, latency)
    queue = StudyQueue(paths, settings, cluster)
    jobs = SlurmJobs(cluster, every=queue.options.poll, now=clock.monotonic)
    executor = SimulatedExecutor(jobs, queue.mark, queue.trial, now=clock.monotonic)
    executor.cluster, executor.clock = cluster, clock
    slots = job_slots(settings, "slurm")
    with open_study(paths, settings) as opened, contextlib.closing(executor):
        Coordinator(paths, settings, opened, executor, Listener(), slots=slots, clock=clock).run()
    return measured(cluster.spans, load, complete_in(paths))


@contextlib.contextmanager
def a_cluster() -> Iterator[None]:
    """The tests' SLURM, named by SLURM_CONF."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from lab.cluster import running_cluster, why_not

    try:
        reason = why_not()
    except RuntimeError as error:
        reason = str(error)
    if reason is not None:
        raise SystemExit(f"no SLURM can be started here ({reason}); --simulated needs none")
    with running_cluster() as cluster:
        os.environ.update(cluster.env)
        yield


def main() -> int:
    """Measure both ways, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--mean", type=float, default=30.0, help="seconds of a trial")
    parser.add_argument("--sigma", type=float, default=0.8, help="of the logarithm of a trial's seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--latency", type=float, default=1.0, help="simulated: seconds from sbatch to the training")
    parser.add_argument("--json", metavar="FILE", help="keep the figures here as well")
    given = parser.parse_args()
    load = Load(given.trials, given.slots, given.mean, given.sigma, given.seed)
    way = partial(simulated, latency=given.latency) if given.simulated else real
    with tempfile.TemporaryDirectory() as place, contextlib.nullcontext() if given.simulated else a_cluster():
        found = {
            name: way(Path(place, name), load, barrier=barrier)
            for name, barrier in (("refilling", False), ("barrier", True))
        }
    print(f"{load.trials} trials of {load.mean:g} s on average (sigma {load.sigma:g}), {load.slots} slots")
    print(f"{'':12}{'utilisation':>12}{'seconds':>10}{'gap, median':>14}{'complete':>10}")
    for name, one in found.items():
        print(f"{name:12}{one.utilisation:12.1%}{one.seconds:10.0f}{one.gap:12.2f} s{one.complete:10}")
    if given.json:
        Path(given.json).write_text(json.dumps({name: asdict(one) for name, one in found.items()}))
    return 0 if found["refilling"].utilisation >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
