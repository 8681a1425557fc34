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
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _figures import Figure, Mark
from _long_study import STUDY_FILE, make_study
from _pairs import Pair, measure, table, write_json

ABOUT = (
    "Commands that only look at a study, by the clock, and modules that they end with; beside them a Python that does "
    "nothing, `python -c pass`. A study that was broken off has no last word of its coordinator to go by."
)
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
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True
    )
    return int(done.stderr.split()[-1])


def figures(place: Path, quick: bool) -> list[Figure]:
    """What is measured."""
    studies: dict[tuple[int, bool], Path] = {}

    def words(name: str, trials: int, ended: bool) -> list[str]:
        """What follows the program's name, looking at a study that is made when it is first asked for."""
        if (trials, ended) not in studies:
            studies[trials, ended] = folder = place / f"{'ended' if ended else 'broken'}-{trials}"
            make_study(folder, trials, files=trials <= 10_000, ended=ended)
            seconds_of([*OUTLAST, "status", str(folder)])  # once for the disk's cache, and the compiler's
        return [word.format(folder=studies[trials, ended]) for word in COMMANDS[name]]

    def figure(name: str, trials: int, ended: bool, mark: float) -> Figure:
        title = f"{name}, {trials:,} trials" if trials else name
        return Figure(
            f"{name.replace(' ', '-').lower()}-{trials}{'' if ended else '-broken-off'}",
            title if ended else f"{title}, broken off",
            "s",
            lambda _: wall_of([*OUTLAST, *words(name, trials, ended)]),
            lambda _: wall_of(NOTHING),
            "python -c pass",
            Mark(mark),
        )

    if quick:
        names = ("--help", "status", "show", "logs")
        counts = [
            Figure(f"modules-{name}", f"modules of {name}", "modules",
                   lambda _, name=name: float(modules_of(words(name, 300, True))), quick=True)
            for name in names
        ]  # fmt: skip
        times = [
            Figure(f"time-{name}", f"{name} of 300 trials, processor", "s",
                   lambda _, name=name: seconds_of([*OUTLAST, *words(name, 300, True)]), lambda _: seconds_of(NOTHING),
                   "python -c pass", quick=True)
            for name in ("--help", "status")
        ]  # fmt: skip
        return [*counts, *times]
    named = ("status", "show", "show TRIAL", "logs")
    return [
        figure("--help", 0, True, 0.15),
        *(figure(name, trials, True, 0.15) for trials in (1_000, 10_000) for name in named),
        figure("status", 10_000, False, 0.15),
        figure("status", 100_000, True, 0.5),
        figure("status", 100_000, False, 0.5),
    ]


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
