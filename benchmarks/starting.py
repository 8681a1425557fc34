"""How soon a command is at work on a study that has a history, and how soon it is over: `run`, `import`, and what they hold.

    python benchmarks/bench.py starting
    python benchmarks/starting.py first-1000 done-1000

The history is one of Optuna's, imported; the other side is Optuna's own optimize on the same SQLite file. Trials are those of
a command, one at a time, which notes when it began. Times are by the clock, from the command's start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from _figures import Figure, Mark, markdown, measure
from _optuna_side import NAME, PROGRAM
from _shared import OUTLAST, call, environment
from against_optuna import make_history, optuna_argv

ABOUT = (
    "A study of two parameters with a history of so many trials, TPE, a command one at a time; beside it Optuna's own "
    "`optimize` on the SQLite file that the history was imported from."
)
STUDY_FILE = """\
name: {name}
command: {command}
metric: {{name: loss, goal: minimize}}
parameters:
  x: {{min: -5.0, max: 5.0}}
  y: {{min: -5.0, max: 5.0}}
budget: {{trials: {trials}}}
parallel: 1
sampler: {{name: tpe, multivariate: true, constant_liar: true}}
"""
#: Ends with what a program held at the most, in kilobytes, and with which modules it ended. What getrusage(2) says is at least
#: what the process held that began it, which shared its memory with it until it was executed.
_WATCHED = """\
import atexit, runpy, sys
def held():
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith("VmHWM"))
atexit.register(lambda: print(held(), len(sys.modules), file=sys.stderr))
sys.argv = sys.argv[1:]
begin = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
begin(sys.argv[0], run_name="__main__")
"""


class Histories:
    """Optuna's studies of so many trials, and ours that were imported from them, each made once in a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def theirs(self, trials: int) -> Path:
        """Optuna's database."""
        path = self.place / f"history-{trials}.db"
        if not path.exists():
            made = self.place / f"making-{trials}.db"
            make_history(made, trials)
            made.rename(path)
        return path

    def ours(self, trials: int) -> Path:
        """The imported study."""
        folder = self.place / f"history-{trials}"
        if not folder.exists():
            self.imported(trials, folder)
        return folder

    def imported(self, trials: int, folder: Path) -> None:
        """Import it once more."""
        call([*OUTLAST, "import", f"sqlite:///{self.theirs(trials)}", str(self.study(trials)), "--dir", str(folder)])

    def study(self, trials: int, began: str = "began") -> Path:
        """The study file of a search that goes on with it; its trials note in a file when they began."""
        path = self.place / f"study-{trials}-{began}.yaml"
        command = json.dumps([sys.executable, PROGRAM, f"--began={self.place / began}", "${args}"])
        path.write_text(STUDY_FILE.format(name=NAME, command=command, trials=trials))
        return path

    def copy(self, trials: int) -> Path:
        """A copy of ours to go on with."""
        return self.copy_of(self.ours(trials))

    def copy_of(self, folder: Path) -> Path:
        """A copy under a name of its own: what an earlier one is drawn into may still be written."""
        place = Path(tempfile.mkdtemp(dir=self.place)) / "study"
        shutil.copytree(folder, place, symlinks=True)
        return place

    def done(self, trials: int) -> Path:
        """Ours with one more trial, done, as a run left it."""
        folder = self.place / f"done-{trials}"
        if not folder.exists():
            shutil.copytree(self.ours(trials), folder, symlinks=True)
            run(self.study(trials + 1), folder)
        return folder


def run(study: Path, folder: Path, *, pages: bool = False) -> float:
    """Seconds that ``outlast run`` takes; `pages`: with report and plots, which are drawn behind it."""
    begin = time.perf_counter()
    call([*OUTLAST, "run", str(study), "--dir", str(folder)], OUTLAST_PLOTS=str(int(pages)))
    return time.perf_counter() - begin


def _began(place: Path) -> float:
    return float((place / "began").read_text())


def first_trial(histories: Histories, trials: int, _round: int) -> float:
    """Seconds until the first new trial's training has begun."""
    folder, study = histories.copy(trials), histories.study(trials + 1)
    begin = time.time()
    run(study, folder)
    return _began(histories.place) - begin


def first_trial_of_optuna(histories: Histories, trials: int, _round: int) -> float:
    """The same, of Optuna's optimize."""
    copy = histories.place / "copy.db"
    shutil.copy(histories.theirs(trials), copy)
    begin = time.time()
    call(optuna_argv(f"sqlite:///{copy}", trials + 1, 1, "command", str(histories.place / "began")))
    return _began(histories.place) - begin


def run_of_a_done_study(histories: Histories, trials: int, _round: int) -> float:
    """Seconds of a run that has nothing to do."""
    return run(histories.study(trials + 1), histories.done(trials))


def one_more_trial(histories: Histories, trials: int, _round: int) -> float:
    """Seconds of a run of a done study whose budget was raised by one."""
    seconds, _ = _one_more(histories, trials)
    return seconds


def after_the_last_score(histories: Histories, trials: int, _round: int) -> float:
    """Of these, the seconds after the training began: it takes a twentieth of one itself."""
    _, after = _one_more(histories, trials)
    return after


def _one_more(histories: Histories, trials: int) -> tuple[float, float]:
    folder = histories.copy_of(histories.done(trials))
    seconds = run(histories.study(trials + 2), folder, pages=True)
    after = time.time() - _began(histories.place)
    end = time.monotonic() + 120
    while not (folder / "report.html").exists() or not (folder / "plots" / "parallel_coordinate.html").exists():
        if time.monotonic() > end:
            sys.exit(f"no pages were drawn in {folder}")
        time.sleep(0.1)  # the next round has the machine to itself
    return seconds, after


def importing(histories: Histories, trials: int, _round: int) -> float:
    """Seconds of ``outlast import``."""
    folder = Path(tempfile.mkdtemp(dir=histories.place)) / "study"
    histories.theirs(trials)
    begin = time.perf_counter()
    histories.imported(trials, folder)
    return time.perf_counter() - begin


def memory(histories: Histories, trials: int, _round: int) -> float:
    """Megabytes that ``outlast run`` holds at the most for one more trial of an imported study."""
    kilobytes, _ = watched(["outlast", "run", str(histories.study(trials + 1)), "--dir", str(histories.copy(trials))])
    return kilobytes / 1024


def memory_of_optuna(histories: Histories, trials: int, _round: int) -> float:
    """The same, of Optuna's optimize."""
    copy = histories.place / "copy.db"
    shutil.copy(histories.theirs(trials), copy)
    argv = optuna_argv(f"sqlite:///{copy}", trials + 1, 1, "command", str(histories.place / "began"))
    kilobytes, _ = watched(argv[1:])
    return kilobytes / 1024


def modules_of_a_done_run(histories: Histories, trials: int, _round: int) -> float:
    """How many modules a run ends with that has nothing to do."""
    return watched(["outlast", "run", str(histories.study(trials + 1)), "--dir", str(histories.done(trials))])[1]


def watched(words: list[str]) -> tuple[int, int]:
    """What a module or a script held at the most, in kilobytes, and how many modules it ended with."""
    argv = [sys.executable, "-c", _WATCHED, *words]
    env = {**environment(), "PYTHONPATH": str(Path(PROGRAM).parent)}
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True, env=env)
    kilobytes, modules = done.stderr.splitlines()[-1].split()
    return int(kilobytes), int(modules)


def figures(place: Path, quick: bool) -> list[Figure]:
    """What is measured."""
    of = Histories(place)
    if quick:
        modules = partial(modules_of_a_done_run, of, 20)
        return [Figure("modules", "modules of a run of a done study", "modules", modules, quick=True)]
    both = (1_000, 10_000)
    return [
        *(
            Figure(
                f"first-{trials}", f"first new trial after {trials:,}", "s", partial(first_trial, of, trials),
                partial(first_trial_of_optuna, of, trials), "Optuna", Mark(ratio, "ratio"),
            )
            for trials, ratio in zip(both, (0.4, 0.15), strict=True)
        ),
        Figure("first-100000", "first new trial after 100,000", "s", partial(first_trial, of, 100_000), mark=Mark(3.0)),
        *(
            Figure(f"done-{trials}", f"run of a done study of {trials:,}", "s", partial(run_of_a_done_study, of, trials),
                   mark=Mark(0.4))
            for trials in both
        ),
        Figure("more-1000", "one more trial on a done study of 1,000", "s", partial(one_more_trial, of, 1_000), mark=Mark(1.0)),
        Figure("after-1000", "of it after its training began", "s", partial(after_the_last_score, of, 1_000), mark=Mark(0.5)),
        *(
            Figure(f"import-{trials}", f"import of {trials:,}", "s", partial(importing, of, trials), mark=Mark(most))
            for trials, most in zip(both, (1.0, 4.0), strict=True)
        ),
        Figure("memory-10000", "memory of a run at 10,000", "MB", partial(memory, of, 10_000),
               partial(memory_of_optuna, of, 10_000), "Optuna", Mark(150.0)),
    ]  # fmt: skip


def main() -> None:
    """Measure some of it by itself."""
    parser = argparse.ArgumentParser(description="Starting on studies with a history, by name.")
    parser.add_argument("names", nargs="*", help="of the figures; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as place:
        chosen = [each for each in figures(Path(place), False) if not args.names or each.key in args.names]
        print(markdown([measure(each, args.rounds) for each in chosen]))


if __name__ == "__main__":
    main()
