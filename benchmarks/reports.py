"""Many scripts that report at once: does anybody have to wait?

Every script reports at a steady pace; half of them turn hopeless at some moment and the pruner is to give them up.
Measured in the scripts: how long a call of `report` takes, how late a report comes against its own schedule, and how
long it is from the report that decides until the request to stop is there. First with one script, then with all.

    python benchmarks/reports.py [--scripts 64] [--rate 20] [--seconds 20] [--json FILE]
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PRUNER = {"name": "optuna.pruners.ThresholdPruner", "lower": 0.0}


@dataclass(frozen=True)
class Measured:
    """What the scripts of one study saw. Seconds."""

    scripts: int
    calls: list[float]
    late: list[float]
    decisions: list[float]
    unanswered: int  # scripts that turned hopeless and were never asked to stop
    counts: dict[str, int]
    coordinator: float  # share of one CPU that the coordinator and its runners' fork server took
    wall: float


def measure(folder: Path, *, scripts: int, rate: float, seconds: float, falls: float = 0.5, seed: int = 0) -> Measured:
    """Run one study in which all scripts run side by side, and collect what they saw."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "told.jsonl"
    program = [sys.executable, "-S", str(HERE / "_reporter.py"), "${args}", f"--rate={rate}", f"--seconds={seconds}"]
    study = {
        "name": "reports",
        "command": [*program, f"--falls={falls}", f"--to={told}"],
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": scripts},
        "parallel": scripts,
        "sampler": {"name": "random", "seed": seed},
        "pruner": PRUNER,
    }
    (folder / "study.yaml").write_text(json.dumps(study))
    outlast = [sys.executable, "-m", "outlast"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        [*outlast, "run", "study.yaml", "--dir", "study"], cwd=folder, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode not in (0, 3):  # halted: a script that is alone turns hopeless, and nothing came of the study
        sys.exit(f"the study ended with {run.returncode}\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}")
    asked = [*outlast, "status", "study", "--json"]
    status = json.loads(subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout)
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    return Measured(
        scripts=scripts,
        calls=sorted(call for line in lines for call in line["calls"]),
        late=sorted(late for line in lines for late in line["late"]),
        decisions=sorted(line["decision"] for line in lines if line["decision"] is not None),
        unanswered=sum(line["fell"] and line["decision"] is None for line in lines),
        counts=status["counts"],
        coordinator=(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / wall,
        wall=wall,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Of sorted values, the nearest rank."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def table(measured: Sequence[Measured]) -> str:
    """One row a quantity and number of scripts."""
    rows = [("", "scripts", "count", "median", "95%", "99%", "largest")]
    for name, unit, factor, values_of in (
        ("a call of report()", "µs", 1e6, lambda m: m.calls),
        ("a report behind its schedule", "ms", 1e3, lambda m: m.late),
        ("from the report to the request to stop", "ms", 1e3, lambda m: m.decisions),
    ):
        for each in measured:
            values = values_of(each)
            figures = [f"{percentile(values, share) * factor:.0f} {unit}" for share in (0.5, 0.95, 0.99, 1.0)]
            rows.append((name, str(each.scripts), str(len(values)), *figures))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]  # fmt: skip
    return "\n".join(lines)


def as_json(measured: Measured) -> dict[str, Any]:
    """The percentiles, for keeping."""
    shares = (0.5, 0.95, 0.99, 1.0)
    return {
        "scripts": measured.scripts,
        **{key: [percentile(getattr(measured, key), share) for share in shares] for key in ("calls", "late", "decisions")},
        "reports": len(measured.calls),
        "fell": len(measured.decisions) + measured.unanswered,
        "unanswered": measured.unanswered,
        "counts": measured.counts,
    }  # fmt: skip


def main() -> None:
    """Measure one script, then all; print the table; fail beyond a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=int, default=64)
    parser.add_argument("--rate", type=float, default=20.0, help="reports a second and script")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each script runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outlast-reports-") as name:
        measured = []
        for scripts in (1, args.scripts):
            falls = 1.0 if scripts == 1 else 0.5
            measured.append(
                measure(
                    Path(name) / str(scripts), scripts=scripts, rate=args.rate, seconds=args.seconds, falls=falls, seed=args.seed
                )
            )  # fmt: skip
    print(table(measured))
    most = measured[-1]
    print(f"{args.rate:g} reports a second and script, {args.seconds:g} s, {os.cpu_count()} cores, seed {args.seed}")
    print(
        f"the outcomes: {most.counts['complete']} complete, {most.counts['pruned']} pruned; {most.unanswered} never answered"
    )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps([as_json(each) for each in measured], indent=1) + "\n")
    slow = most.unanswered or percentile(most.decisions, 0.99) > 1.0 or percentile(most.late, 0.99) > 1.0
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
