"""The digits example with and without ASHA, at equal trials: how many epochs are saved, and what that costs.

    python benchmarks/pruning.py [--seeds 5] [--trials 40] [--epoch 0.15] [--json FILE]
    python benchmarks/pruning.py --seeds 1 --trials 30 --epoch 0.1              # about two minutes

The study is ``examples/digits/study.yaml`` with its own sampler; the script only prints a line an epoch. An epoch on these
small pictures takes some 10 ms, one on real data seconds to hours: here each is padded to ``--epoch`` seconds. Both sides run
in turn for each seed. Counted are the epochs that begin, those after a decision included. The exit code is 0 if at least 40%
fewer are run with ASHA and the best value is not worse beyond the spread that the seeds alone cause.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "examples" / "digits" / "study.yaml"
OUTLAST = [sys.executable, "-m", "outlast"]
LEAST_SAVED = 0.40
ONE_PICTURE = 1 / 360  # of those that accuracy is measured on: no difference is smaller


@dataclass(frozen=True)
class Searched:
    """What one search came to."""

    seed: int
    pruner: str
    epochs: int
    best: float
    complete: int
    pruned: int
    seconds: float


def search(folder: Path, *, seed: int, pruner: Any, trials: int, epoch: float, parallel: int) -> Searched:
    """Run the example once."""
    folder.mkdir(parents=True)
    record = folder / "epochs"
    study = YAML(typ="safe").load(EXAMPLE)
    study |= {
        "command": [sys.executable, str(HERE / "_paced_digits.py"), "${args}"],
        "budget": {"trials": trials},
        "sampler": {"name": study["sampler"], "seed": seed},
        "pruner": pruner,
        "parallel": parallel,
        "env": {"EPOCH_SECONDS": str(epoch), "EPOCH_RECORD": str(record), "OMP_NUM_THREADS": "1"},
        "trial": {"grace": "10s"},
    }
    (folder / "study.yaml").write_text(json.dumps(study))
    began = time.perf_counter()
    call("run", "study.yaml", "--dir", "study", folder=folder)
    seconds = time.perf_counter() - began
    status = json.loads(call("status", "study", "--json", folder=folder))
    counts = status["counts"]
    if counts["complete"] + counts["pruned"] != trials:
        sys.exit(f"not every trial ended well: {counts}; see {folder}")
    name = pruner if isinstance(pruner, str) else pruner["name"]
    epochs = record.stat().st_size
    return Searched(seed, name, epochs, status["best"]["value"], counts["complete"], counts["pruned"], seconds)


def call(*arguments: str, folder: Path) -> str:
    """Run a command of Outlast and return what it printed; a failure ends the benchmark."""
    done = subprocess.run([*OUTLAST, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"outlast {' '.join(arguments)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def table(pairs: Sequence[tuple[Searched, Searched]]) -> str:
    """One row a seed, and the means."""
    rows = [
        ("seed", "epochs, none", "epochs, asha", "fewer", "best, none", "best, asha", "pruned", "s, none", "s, asha")
    ]
    for none, asha in pairs:
        rows.append(
            (
                str(none.seed), str(none.epochs), str(asha.epochs), f"{1 - asha.epochs / none.epochs:.0%}",
                f"{none.best:.4f}", f"{asha.best:.4f}", f"{asha.pruned}", f"{none.seconds:.0f}", f"{asha.seconds:.0f}",
            )
        )  # fmt: skip
    plain, pruned = [none for none, _ in pairs], [asha for _, asha in pairs]
    rows.append(
        (
            "mean", f"{mean(s.epochs for s in plain):.0f}", f"{mean(s.epochs for s in pruned):.0f}", f"{saved(pairs):.0%}",
            f"{mean(s.best for s in plain):.4f}", f"{mean(s.best for s in pruned):.4f}",
            f"{mean(s.pruned for s in pruned):.0f}",
            f"{mean(s.seconds for s in plain):.0f}", f"{mean(s.seconds for s in pruned):.0f}",
        )
    )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def saved(pairs: Sequence[tuple[Searched, Searched]]) -> float:
    """The share of epochs that were not run."""
    return 1 - sum(asha.epochs for _, asha in pairs) / sum(none.epochs for none, _ in pairs)


def noise(pairs: Sequence[tuple[Searched, Searched]]) -> float:
    """What the best values of the same search differ by over seeds: one standard deviation, at least one picture."""
    bests = [none.best for none, _ in pairs]
    return max(ONE_PICTURE, stdev(bests) if len(bests) > 1 else 0.0)


def main() -> None:
    """Measure both sides in turn, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--epoch", type=float, default=0.15, help="seconds that an epoch takes at least")
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--pruner", default="asha", help="a name, or a mapping as JSON")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    pruner = json.loads(args.pruner) if args.pruner.startswith("{") else args.pruner
    pairs = []
    with tempfile.TemporaryDirectory(prefix="outlast-pruning-") as name:
        for seed in range(args.seeds):
            sides = []
            for side in ("none", pruner):
                place = Path(name) / f"{seed}-{'none' if side == 'none' else 'asha'}"
                sides.append(
                    search(place, seed=seed, pruner=side, trials=args.trials, epoch=args.epoch, parallel=args.parallel)
                )
            pairs.append((sides[0], sides[1]))
            print(f"seed {seed}: {sides[0].epochs} epochs, {sides[1].epochs} with pruning", file=sys.stderr, flush=True)
    print(table(pairs))
    lost, spread = mean(none.best - asha.best for none, asha in pairs), noise(pairs)
    print(
        f"{args.trials} trials, {args.parallel} at once, {args.epoch:g} s an epoch, {os.cpu_count()} cores; "
        f"best worse by {lost:.4f} on average, spread over seeds {spread:.4f}"
    )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps([[asdict(side) for side in pair] for pair in pairs], indent=1) + "\n")
    sys.exit(0 if saved(pairs) >= LEAST_SAVED and lost <= spread else 1)


if __name__ == "__main__":
    main()
