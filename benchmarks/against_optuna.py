"""Ours and plain Optuna, paired: trials a second, and the time to the first new trial on a long study.

    python benchmarks/against_optuna.py
    python benchmarks/against_optuna.py --trials 100 --processes 4 --rounds 5 --sizes 1000 10000 --json figures.json

Theirs is ``study.optimize`` in n processes on one SQLite storage; ours is ``outlast run`` with n slots. Both use the
same sampler, the same objective and the same budget, start from nothing in each round, and pay for their own start-up.
A function is measured twice: with a process for each trial, and warm (``isolation: worker``); theirs is called in
Optuna's own processes both times. Optuna may overshoot its budget by what its processes hold in flight; its rate is
counted over the trials it completed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from _objectives import loss
from _optuna_side import NAME, PROGRAM
from _pairs import Pair, measure, table, write_json

KINDS = ("command", "function", "warm")
HERE = Path(__file__).parent
OUTLAST = [sys.executable, "-m", "outlast"]
STUDY_FILE = """\
name: {name}
{objective}
metric: {{name: loss, goal: minimize}}
parameters:
  x: {{min: -5.0, max: 5.0}}
  y: {{min: -5.0, max: 5.0}}
budget: {{trials: {trials}}}
parallel: {processes}
sampler: {{name: tpe, multivariate: true, constant_liar: true}}
"""


def study_file(folder: Path, kind: str, trials: int, processes: int, began: Path | None = None) -> Path:
    """Write the study file of our side."""
    if kind in ("function", "warm"):
        objective = "function: _objectives:loss"
        objective += f"\nisolation: {'worker' if kind == 'warm' else 'process'}"
    else:
        argv = [sys.executable, PROGRAM, *([f"--began={began}"] if began else []), "${args}"]
        objective = f"command: {json.dumps(argv)}"
    path = folder / "study.yaml"
    path.write_text(STUDY_FILE.format(name=NAME, objective=objective, trials=trials, processes=processes))
    return path


def call(argv: list[str]) -> str:
    """Run one side to its end, quietly; a failure shows its output and ends the benchmark."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def outlast_argv(study: Path, folder: Path) -> list[str]:
    """The command line of our side."""
    return [*OUTLAST, "run", str(study), "--dir", str(folder)]


def optuna_argv(url: str, trials: int, processes: int, kind: str, *rest: str) -> list[str]:
    """The command line of their side."""
    return [sys.executable, str(HERE / "_optuna_side.py"), url, str(trials), str(processes), kind, *rest]


def throughput(kind: str, trials: int, processes: int, rounds: int, folder: Path) -> Pair:
    """Measure completed trials a second, start-up and end included."""

    def ours(number: int) -> float:
        place = folder / f"{kind}-{number}"
        place.mkdir()
        began = time.perf_counter()
        call(outlast_argv(study_file(place, kind, trials, processes), place / "study"))
        seconds = time.perf_counter() - began
        status = json.loads(call([*OUTLAST, "status", str(place / "study"), "--json"]))
        return status["counts"]["complete"] / seconds

    def theirs(number: int) -> float:
        url = f"sqlite:///{folder}/{kind}-{number}.db"
        began = time.perf_counter()
        call(optuna_argv(url, trials, processes, "function" if kind == "warm" else kind))
        seconds = time.perf_counter() - began
        return len(optuna.load_study(study_name=NAME, storage=url).trials) / seconds

    return measure(f"{kind}, {trials} trials, {processes} at once", "trials/s", ours, theirs, rounds=rounds)


def make_history(path: Path, trials: int) -> None:
    """Write a finished Optuna study of that length into an SQLite file.

    Optuna makes the tables and the study. Its trials are rows that are written at once: it commits each by itself.
    """
    optuna.create_study(study_name=NAME, storage=f"sqlite:///{path}", direction="minimize")
    sampler = optuna.samplers.RandomSampler(seed=0)
    random = optuna.create_study(sampler=sampler)
    space = {name: optuna.distributions.FloatDistribution(-5.0, 5.0) for name in ("x", "y")}
    distribution = optuna.distributions.distribution_to_json(space["x"])
    drawn = [random.ask(space).params for _ in range(trials)]
    at = "2026-01-01 12:00:00.000000"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)"
            " VALUES (?, ?, 1, 'COMPLETE', ?, ?)",
            [(number + 1, number, at, at) for number in range(trials)],
        )
        database.executemany(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)",
            [
                (number + 1, name, value, distribution)
                for number, params in enumerate(drawn)
                for name, value in params.items()
            ],
        )
        database.executemany(
            "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, 0, ?, 'FINITE')",
            [(number + 1, loss(**params)) for number, params in enumerate(drawn)],
        )


def first_trial(trials: int, rounds: int, folder: Path) -> Pair:
    """Measure from the start of the command to the start of the training of the first new trial, on a long study."""
    history = folder / f"history-{trials}.db"
    make_history(history, trials)
    began = folder / f"began-{trials}"
    study = study_file(folder, "command", trials + 1, 1, began)
    imported = folder / f"history-{trials}"
    call([*OUTLAST, "import", f"sqlite:///{history}", str(study), "--dir", str(imported)])

    def until_it_began(argv: list[str]) -> float:
        began.unlink(missing_ok=True)
        started = time.time()
        call(argv)
        return float(began.read_text()) - started

    def ours(number: int) -> float:
        copy = folder / f"copy-{trials}-{number}"
        shutil.copytree(imported, copy, symlinks=True)
        return until_it_began(outlast_argv(study, copy))

    def theirs(number: int) -> float:
        copy = folder / f"copy-{trials}-{number}.db"
        shutil.copy(history, copy)
        return until_it_began(optuna_argv(f"sqlite:///{copy}", trials + 1, 1, "command", str(began)))

    return measure(f"first new trial after {trials}", "s", ours, theirs, rounds=rounds)


def main() -> None:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description="Ours and plain Optuna, measured in turn.")
    parser.add_argument("--trials", type=int, default=60, help="budget of a throughput round")
    parser.add_argument("--processes", type=int, default=2, help="trials at once, on both sides")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS, help="what is run on our side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000], help="lengths of long studies")
    parser.add_argument("--json", type=Path, default=Path("studies/benchmarks/against_optuna.json"))
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as name:
        folder = Path(name)
        pairs = [throughput(kind, args.trials, args.processes, args.rounds, folder) for kind in args.kinds]
        pairs += [first_trial(size, args.rounds, folder) for size in args.sizes]
    print(table(pairs))
    write_json(args.json, pairs, trials=args.trials, processes=args.processes, rounds=args.rounds)
    print(f"figures: {args.json}")


if __name__ == "__main__":
    main()
