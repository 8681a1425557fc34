"""How long the commands that only look take on a long study, beside a Python that does nothing.

    python benchmarks/looking.py
    python benchmarks/looking.py --trials 10000 --rounds 20
    python benchmarks/looking.py --studies 1000

Each command is started in turn with ``python -c pass``, so that whatever the machine does hits both alike; with how many
modules it ends is counted in a run of its own. The study is fabricated: its ledger is written by the ledger's own writer, and
each trial has the folder and the record of a real one. With ``--studies`` it is ``status`` of a folder with so many studies at
rest, by the clock as well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _pairs import Pair, measure, table, write_json

from outlast.config.load import load_study_file
from outlast.core.fold import fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RevisionMade,
    RunStarted,
    StudyCreated,
    StudyEnded,
    TrialCreated,
)
from outlast.core.records import to_json as as_json
from outlast.core.states import Cause, TrialState
from outlast.engine.record.at_a_glance import keep_what_it_looks_like
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger

NOTHING = [sys.executable, "-c", "pass"]
OUTLAST = [sys.executable, "-m", "outlast"]
COMMANDS = {
    "--help": ["--help"],
    "--version": ["--version"],
    "status": ["status", "{folder}"],
    "show": ["show", "{folder}"],
    "show TRIAL": ["show", "{folder}", "7"],
    "logs": ["logs", "{folder}", "7"],
    "stop": ["stop", "{folder}"],
    "clean": ["clean", "{folder}", "--dry-run"],
}
STUDY_FILE = """\
name: long
command: ["true", "${args}"]
metric: {name: accuracy, goal: maximize}
parameters:
  lr: {min: 1.0e-5, max: 1.0e-1, distribution: log_uniform_values}
  layers: {min: 1, max: 8}
  optimizer: {values: [adam, sgd, lamb]}
budget: {trials: 100000}
"""


def decisions(trials: int, epochs: int, settings: dict[str, Any]) -> Iterator[list[Event]]:
    """A search that has run for a while, and was stopped: one list for each line of the ledger."""

    def at(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(1_767_600_000 + seconds))

    drawn = random.Random(7)
    yield [
        StudyCreated(settings["name"], at(0), study_seed=7),
        RevisionMade(1, at(0), settings),
        RunStarted(at(0), "box", 1),
    ]
    for number in range(trials):
        params = {
            "lr": 10 ** drawn.uniform(-5, -1), "layers": drawn.randint(1, 8),
            "optimizer": drawn.choice(["adam", "sgd", "lamb"]),
        }  # fmt: skip
        begin, best = 60.0 * number, drawn.random()
        curve = tuple((step, best * (1 - 0.9 ** (step + 1))) for step in range(epochs))
        yield [TrialCreated(number, at(begin), params, seed=number), AttemptOpened(number, 1, at(begin), "local:0")]
        failed = number % 20 == 19
        yield [
            AttemptEnded(
                number, 1, at(begin + 50), TrialState.FAILED if failed else TrialState.COMPLETE,
                Cause.CRASH if failed else Cause.COMPLETED, "ValueError: a shape" if failed else "",
                None if failed else (curve[-1][1],), (curve,), {"loss": 1 - best}, 50.0, int(failed), None,
                "ValueError train.py:7" if failed else "", "output", "box", epochs - 1,
            )
        ]  # fmt: skip
    yield [StudyEnded(at(60.0 * trials), "stopped", "stopped by hand", 60.0 * trials)]


def make_study(folder: Path, trials: int, epochs: int, text: str = STUDY_FILE) -> None:
    """Lay out the folder of the study whose file says this."""
    file = folder.with_suffix(".yaml")
    file.write_text(text)
    paths = StudyPaths.at(folder)
    events: list[Event] = []
    ledger, _ = Ledger.claim(paths.ledger)
    try:
        for line in decisions(trials, epochs, load_study_file(str(file)).resolved):
            ledger.append(line)
            events += line
    finally:
        ledger.close()
    for trial in fold(events).trials.values():
        files = paths.trial(trial.number)
        files.folder.mkdir(parents=True)
        files.record.write_text(json.dumps({"version": 1, "events": [as_json(event) for event in trial.events()]}))
        files.log.write_text("".join(f"epoch {step}\n" for step in range(epochs)))


def seconds_of(argv: list[str]) -> float:
    """Processor seconds of a command, which other work disturbs less than the clock's; a failure ends the benchmark.

    What is compiled once stays compiled, as it does for people.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall_of(argv: list[str]) -> float:
    """Seconds by the clock."""
    begin = time.perf_counter()
    seconds_of(argv)
    return time.perf_counter() - begin


def many_studies(place: Path, studies: int, rounds: int) -> list[Pair]:
    """``status`` of a folder with so many studies at rest, of 10 to 40 trials each."""
    drawn = random.Random(11)
    folder = place / "many"
    folder.mkdir()
    for number in range(studies):
        name = f"study-{number:04d}"
        make_study(folder / name, drawn.randint(10, 40), 5, STUDY_FILE.replace("name: long", f"name: {name}"))
        keep_what_it_looks_like(StudyPaths.at(folder / name))
    command = [*OUTLAST, "status", str(folder)]
    seconds_of(command)
    return [
        measure(f"status of {studies} studies, {what}", "s", lambda _, of=of: of(command), lambda _, of=of: of(NOTHING),
                rounds=rounds)
        for what, of in (("processor", seconds_of), ("clock", wall_of))
    ]  # fmt: skip


def modules_of(argv: list[str]) -> int:
    """How many modules a command ends with."""
    code = "import atexit, sys; atexit.register(lambda: print(len(sys.modules), file=sys.stderr)); "
    code += "import runpy; sys.argv[0] = 'outlast'; runpy.run_module('outlast', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    return int(done.stderr.split()[-1])


def main() -> None:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description="Commands that look, and a Python that does nothing, in turn.")
    parser.add_argument("--trials", type=int, default=1_000, help="length of the study")
    parser.add_argument("--epochs", type=int, default=20, help="reports of a trial")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--studies", type=int, default=0, help="so many studies at rest in one folder, instead of one")
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--json", type=Path, default=Path("studies/benchmarks/looking.json"))
    args = parser.parse_args()
    pairs: list[Pair] = []
    modules: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as place:
        if args.studies:
            print(table(many_studies(Path(place), args.studies, args.rounds)))
            return
        folder = Path(place, "long")
        make_study(folder, args.trials, args.epochs)
        for name in args.commands:
            words = [word.format(folder=folder) for word in COMMANDS[name]]
            seconds_of([*OUTLAST, *words])  # once for the disk's cache, and the compiler's
            modules[name] = modules_of(words)
            pairs.append(
                measure(
                    f"{name} ({modules[name]} modules)", "s",
                    lambda _, words=words: seconds_of([*OUTLAST, *words]), lambda _: seconds_of(NOTHING),
                    rounds=args.rounds,
                )
            )  # fmt: skip
    print(table(pairs))
    write_json(args.json, pairs, trials=args.trials, epochs=args.epochs, rounds=args.rounds, modules=modules)
    print(f"figures: {os.fspath(args.json)}")


if __name__ == "__main__":
    main()
