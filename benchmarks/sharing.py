"""Slots shared among studies: what part of the slots' time each gets, as against what it should.

    python benchmarks/sharing.py [--seconds 25] [--slots 4] [--only equal] [--json FILE]

Real: each study's coordinator is a process of its own, with real locks, and trainings that sleep. What counts is the slot time on
record (from an attempt's opening to its end), while all of them have something to run.
Trials of one study take four times as long as those of the other.

The exit code is 0 if shares differ from what they should be by at most 5%.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from outlast.config.load import load_study_file
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths

HERE = Path(__file__).parent
#: In seconds: all studies of a measurement.
BEGUN_WITHIN = 300.0


@dataclass(frozen=True)
class Part:
    """A study: its place in the campaign, and what it runs."""

    name: str
    mean: float  # seconds of a trial
    trials: int
    weight: float = 1.0
    priority: int = 0


@dataclass(frozen=True)
class Shares:
    """What was measured."""

    shares: Mapping[str, float]  # of the slots' time while all had something to run
    busy: float  # of slots × time, within that
    ends: Mapping[str, float]  # seconds to each study's end


def run(place: Path, parts: Sequence[Part], *, slots: int, share: str, seconds: float, seed: int = 0) -> Shares:
    """Run studies side by side; stop them so many seconds after all have come, if they are not done before."""
    processes = {part.name: begin(place, part, slots=slots, share=share, seed=seed) for part in parts}
    began, ends = time.monotonic(), dict[str, float]()
    try:
        # On a busy machine that takes as long as what is measured.
        while not all(came(place / name) or process.poll() is not None for name, process in processes.items()):
            if time.monotonic() > began + BEGUN_WITHIN:
                raise TimeoutError(f"not all of {', '.join(processes)} have begun within {BEGUN_WITHIN} s")
            time.sleep(0.02)
        over = time.monotonic() + seconds
        while len(ends) < len(processes) and time.monotonic() < over:
            for name, process in processes.items():
                if name not in ends and process.poll() is not None:
                    ends[name] = time.monotonic() - began
            time.sleep(0.02)
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in processes.values():
            process.wait(120)
    return measured({part.name: spans_of(place / part.name) for part in parts}, slots=slots, ends=ends)


def begin(place: Path, part: Part, *, slots: int, share: str, seed: int) -> subprocess.Popen[bytes]:
    """Start a study's coordinator."""
    folder = place / part.name
    folder.mkdir(parents=True)
    training = [sys.executable, "-S", "-E", str(HERE / "_slots_training.py"), str(folder / "spans")]
    study = {
        "name": part.name,
        "command": [*training, str(part.mean), "0.3", str(seed)],
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "sampler": "random",
        "budget": {"trials": part.trials},
    }
    (folder / "study.yaml").write_text(json.dumps(study))
    sharing = {
        "folder": str(place / "slots"), "study": part.name, "weight": part.weight, "priority": part.priority,
        "share": share, "parallel": slots,
    }  # fmt: skip
    argv = [sys.executable, str(HERE / "_sharing_study.py"), str(folder), json.dumps(sharing)]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})


def came(folder: Path) -> bool:
    """Whether a study is held by its coordinator."""
    return any((folder / "study" / "ledger").glob("*.jsonl"))


def spans_of(folder: Path) -> tuple[float, list[tuple[float, float]]]:
    """When a study came, and begin and end of each attempt that ended, as the ledger has them."""
    study = read_study(study_paths(str(folder / "study"), load_study_file(str(folder / "study.yaml"))))
    spans = [
        (_seconds(attempt.opened_at), _seconds(attempt.outcome.at))
        for trial in study.trials.values()
        for attempt in trial.attempts
        if attempt.outcome is not None
    ]
    assert study.last_run is not None
    return _seconds(study.last_run.at), spans


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def measured(
    found: Mapping[str, tuple[float, Sequence[tuple[float, float]]]], *, slots: int, ends: Mapping[str, float]
) -> Shares:
    """See the module."""
    first = max(at for at, _ in found.values())
    latest = {name: max((begin for begin, _ in spans), default=first) for name, (_, spans) in found.items()}
    last = min((latest[name] for name in ends), default=max(latest.values()))  # who is not done has something to run
    time_of = {
        name: sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in spans)
        for name, (_, spans) in found.items()
    }
    total = sum(time_of.values())
    return Shares({name: each / total for name, each in time_of.items()}, total / (slots * (last - first)), ends)


CASES: Mapping[str, tuple[str, tuple[Part, ...], Mapping[str, float]]] = {
    "equal": ("weight", (Part("a", 0.2, 9999), Part("b", 0.8, 9999)), {"a": 0.5, "b": 0.5}),
    "1:2": ("weight", (Part("a", 0.2, 9999), Part("b", 0.8, 9999, weight=2.0)), {"a": 1 / 3, "b": 2 / 3}),
    "priority": ("priority", (Part("a", 0.2, 9999), Part("b", 0.8, 9999, priority=1)), {"a": 0.0, "b": 1.0}),
    "together": ("together", (Part("a", 0.2, 40), Part("b", 0.8, 30)), {}),
}


def main() -> int:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=25.0, help="of each real case")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--only", choices=CASES, action="append", help="these cases")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    figures, good = {}, True
    print(f"{'':10} {'share':>6} {'should':>7} {'got':>7} {'ends':>6}")
    for case in asked.only or CASES:
        share, parts, should = CASES[case]
        with tempfile.TemporaryDirectory() as place:
            seconds = 120.0 if share == "together" else asked.seconds
            found = run(Path(place), parts, slots=asked.slots, share=share, seconds=seconds)
        figures[case] = asdict(found)
        for part in parts:
            ideal, end = should.get(part.name), found.ends.get(part.name)
            if ideal is not None:
                good = good and abs(found.shares[part.name] - ideal) <= 0.05
            said = "" if ideal is None else f"{ideal:.1%}"
            print(
                f"{case:10} {part.name:>6} {said:>7} {found.shares[part.name]:>7.1%} {'' if end is None else f'{end:.1f}':>6}"
            )
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
