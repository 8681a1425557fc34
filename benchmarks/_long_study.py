"""Studies of any length for measurements: the folder of a search that ran a while and was stopped, written at once.

    python benchmarks/_long_study.py FOLDER --trials 100000
    python benchmarks/_long_study.py FOLDER --trials 10000 --as interrupted

From Python: `make_study` (`from _long_study import make_study`). The ledger is claimed by the ledger's own code and has a line
for each opening and each outcome, as a run with one slot writes them, made by the records' own encoder; each trial has the
folder and the record of a real one. 10,000 trials take ten seconds of processor time, 100,000 as many with ``files=False``:
then the folders are empty.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from outlast.engine.record.at_a_glance import keep_what_it_adds_up_to, keep_what_it_looks_like
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.ledger_lines import to_line
from outlast.study.segments import segment_path

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
_LAST_KEPT = 0.99  # of the ledger: it is kept again when a fiftieth was appended


def decisions(trials: int, epochs: int, settings: dict[str, Any], *, ended: bool = True) -> Iterator[list[Event]]:
    """A search that has run for a while, and was stopped or (``ended=False``) broke off: one list for each line of the ledger."""

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
    if ended:
        yield [StudyEnded(at(60.0 * trials), "stopped", "stopped by hand", 60.0 * trials)]


def make_study(
    folder: Path,
    trials: int,
    epochs: int = 20,
    text: str = STUDY_FILE,
    *,
    ended: bool = True,
    files: bool = True,
    kept: bool = True,
) -> None:
    """Lay out the folder of the study whose file says this.

    Args:
        folder: Of the study; its file lies beside it.
        trials: How many it has.
        epochs: Reports of each.
        text: The study file.
        ended: Whether it came to rest, or its coordinator died behind the last outcome.
        files: Whether each trial has what a finished trial has in its folder.
        kept: Whether whoever brought it to rest kept what it looks like and adds up to, as every run does; one that broke off
            had kept the latter shortly before its end.
    """
    file = folder.with_suffix(".yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    paths = StudyPaths.at(folder)
    events: list[Event] = []
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.close()  # what follows is written in one go: nobody waits for a disk after each line
    with open(segment_path(paths.ledger, ledger.number), "ab") as segment:
        lines = decisions(trials, epochs, load_study_file(str(file)).resolved, ended=ended)
        for serial, line in enumerate(lines, 1):
            told = [as_json(event) for event in line]
            segment.write(to_line({"v": 1, "n": serial, "at": told[0].get("at", ""), "events": told}))
            if kept and not ended and serial == int(_LAST_KEPT * 2 * trials):
                segment.flush()
                keep_what_it_adds_up_to(paths)
            events += line if files else []
    for number in range(trials):
        paths.trial(number).folder.mkdir(parents=True)
    for trial in fold(events).trials.values():
        of = paths.trial(trial.number)
        of.record.write_text(json.dumps({"version": 1, "events": [as_json(event) for event in trial.events()]}))
        of.log.write_text("".join(f"epoch {step}\n" for step in range(epochs)))
    if kept and ended:
        keep_what_it_looks_like(paths)


def main() -> None:
    """Lay one out where a person wants it."""
    parser = argparse.ArgumentParser(description="Lay out the folder of a long study.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=20, help="reports of a trial")
    parser.add_argument("--as", dest="state", choices=("stopped", "interrupted"), default="stopped")
    parser.add_argument("--no-files", action="store_true", help="the trials' folders are empty")
    args = parser.parse_args()
    begin = time.perf_counter()
    make_study(args.folder, args.trials, args.epochs, ended=args.state == "stopped", files=not args.no_files)
    print(f"{os.fspath(args.folder)}: {args.trials} trials in {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
