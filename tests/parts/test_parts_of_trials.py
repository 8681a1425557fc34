"""Trials with several seeds and folds in real studies: killed in the middle of a part, and pruned between two."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.study import TRAININGS, InBackground
from lab.waiting import until, wait_gone
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow
FOLDS = {"n": 2, "ids": "ids.csv", "stratify": "label", "group": "patient"}
IDS = [(f"id-{i}", "sick" if i % 4 < 2 else "well", f"patient-{i // 2}") for i in range(12)]


class Lab(InBackground):
    """A study of trials in parts."""

    def __init__(self, place: Path) -> None:
        self.place, self.running = place, list[subprocess.Popen[bytes]]()
        self.audit_path, self.hold_path = place / "audit.jsonl", place / "hold"
        self.environment = {"OUTLAST_BACKOFF_SECONDS": "0.02"}
        with open(place / "ids.csv", "w", newline="") as file:
            csv.writer(file).writerows([("id", "label", "patient"), *IDS])

    def write(self, xs: tuple[float, ...], *, arguments: Sequence[str] = (), **more: Any) -> None:
        script, audit, hold = str(TRAININGS / "in_parts.py"), str(self.audit_path), str(self.hold_path)
        settings = {
            "name": "lab",
            "command": [sys.executable, "-S", script, "${args}", "--audit", audit, "--hold", hold, *arguments],
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "enqueue": [{"x": x} for x in xs],
            "budget": {"trials": len(xs)},
            "parallel": 1,
            "sampler": {"name": "random", "seed": 1},
            **more,
        }
        (self.place / "study.yaml").write_text(json.dumps(settings))

    def hold(self, trial: int, part: int, epoch: int) -> None:
        """Make the training wait in this epoch."""
        self.hold_path.write_text(f"{trial} {part} {epoch}")

    def reached(self, trial: int, part: int, epoch: int) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            return next((line for line in self.audit_of(trial) if (line["part"], line["epoch"]) == (part, epoch)), None)

        return until(there, f"epoch {epoch} of part {part} of trial {trial}")

    def kill_runner(self, trial: int) -> None:
        """As a machine would that loses the job: the training dies with it, before anything else happens."""
        training = self.audit_of(trial)[-1]["pid"]
        attempts = sorted(int(name) for name in os.listdir(self.paths.trial(trial).attempts))
        os.kill(json.loads(self.paths.attempt(trial, attempts[-1]).started.read_text())["pid"], signal.SIGKILL)
        wait_gone(training)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.end()


def epochs(lab: Lab, trial: int) -> dict[tuple[int, int], int]:
    """(part, epoch) → how often it was begun."""
    return Counter((line["part"], line["epoch"]) for line in lab.audit_of(trial))


def values_of(trial: Trial) -> list[float]:
    return [value for _, value in sorted(trial.curve().items())]


def test_an_interrupted_trial_repeats_only_its_unfinished_part_and_all_trials_see_the_same_folds(lab: Lab) -> None:
    lab.write((0.5, 0.7), trial={"seeds": [11, 22], "folds": FOLDS})
    lab.hold(0, 2, 1)
    run = lab.start()
    lab.reached(0, 2, 1)
    splits = (lab.place / "study" / "splits.json").read_bytes()
    lab.kill_runner(0)  # before it may go on: it would have ended the part
    lab.hold(1, 1, 1)
    lab.reached(1, 1, 1)
    run.kill()  # and with signal 9 the coordinator, then the training of the trial that it left
    run.wait()
    lab.kill_runner(1)
    lab.hold_path.unlink()
    study = lab.finish(lab.start())

    assert (lab.place / "study" / "splits.json").read_bytes() == splits
    assert epochs(lab, 0) == {**dict.fromkeys([(p, e) for p in range(4) for e in range(2)], 1), (2, 1): 2}
    assert epochs(lab, 1) == {**dict.fromkeys([(p, e) for p in range(4) for e in range(2)], 1), (1, 1): 2}
    assert [(o.part, o.cause) for o in study.trials[0].ended] == [
        (0, Cause.PART), (1, Cause.PART), (2, Cause.LOST), (2, Cause.PART), (3, Cause.COMPLETED),
    ]  # fmt: skip
    for trial, x in ((study.trials[0], 0.5), (study.trials[1], 0.7)):
        own = [x - 0.01 * part for part in range(4)]
        assert trial.state is TrialState.COMPLETE
        assert values_of(trial) == pytest.approx(own)
        assert trial.value == pytest.approx(math.fsum(own) / 4)
        assert trial.metrics["score.std"] == pytest.approx(statistics.stdev(own))
    seen = {line["part"]: (line["seed"], line["fold"], line["valid"], line["train"]) for line in lab.audit}
    assert {part: told[:2] for part, told in seen.items()} == {0: (11, 0), 1: (11, 1), 2: (22, 0), 3: (22, 1)}
    assert all((line["seed"], line["fold"], line["valid"], line["train"]) == seen[line["part"]] for line in lab.audit)
    label, patient = {i: kind for i, kind, _ in IDS}, {i: who for i, _, who in IDS}
    for _, _, valid, train in seen.values():
        assert sorted([*valid, *train]) == sorted(label)
        assert {patient[i] for i in valid}.isdisjoint(patient[i] for i in train), "a group stays together"
        assert len(valid) == 6 and 2 <= sum(label[i] == "sick" for i in valid) <= 4, "labels are spread"


def test_without_a_file_of_ids_every_trial_divides_what_it_has_alike(lab: Lab) -> None:
    lab.write((0.5, 0.7), trial={"folds": {"n": 3}})
    lab.finish(lab.start())
    valid = {(line["trial"], line["part"]): tuple(line["valid"]) for line in lab.audit}
    assert [valid[0, part] for part in range(3)] == [valid[1, part] for part in range(3)]
    assert sorted(sum((valid[0, part] for part in range(3)), ())) == sorted(i for i, _, _ in IDS)


def test_parts_that_save_nothing_leave_no_empty_folders(lab: Lab) -> None:
    lab.write((0.5,), trial={"seeds": [1, 2]}, arguments=["--forgetful"])
    lab.finish(lab.start())
    assert sorted(os.listdir(lab.paths.trial(0).folder)) == ["output.log", "reports.jsonl", "trial.json"]
    assert not os.path.lexists(lab.place / "study" / "best_checkpoint")


def wilcoxon(lab: Lab, kill: Callable[[], None] | None = None) -> Study:
    """Three trials with six seeds each: a good one, a hopeless one, and a better one."""
    lab.write((0.8, 0.2, 0.9), trial={"seeds": [1, 2, 3, 4, 5, 6]}, pruner={"name": "wilcoxon", "p_threshold": 0.1})
    if kill is None:
        return lab.finish(lab.start())
    lab.hold(1, 2, 0)
    run = lab.start()
    lab.reached(1, 2, 0)
    run.kill()
    run.wait()
    lab.hold_path.unlink()
    return lab.finish(lab.start())


@pytest.mark.parametrize("killed", [False, True], ids=["untouched", "killed between two parts"])
def test_a_hopeless_trial_is_pruned_between_its_parts(lab: Lab, killed: bool) -> None:
    study = wilcoxon(lab, (lambda: None) if killed else None)
    hopeless = study.trials[1]
    # four paired differences of one sign are the fewest with a p-value below 0.1: 1/16
    assert (hopeless.state, hopeless.reason) == (TrialState.PRUNED, "pruned after part 4 of 6 done")
    assert {part for part, _ in epochs(lab, 1)} == {0, 1, 2, 3}
    argv = [sys.executable, "-m", "outlast", "show", "study", "1"]
    shown = subprocess.run(argv, cwd=lab.place, capture_output=True, text=True, check=True).stdout
    assert "parts 0 to 3" in shown and "part 1 of 6 done" in shown and "interrupted" not in shown
    assert len(values_of(hopeless)) == 4
    assert [study.trials[number].state for number in (0, 2)] == [TrialState.COMPLETE] * 2


def test_other_folds_that_were_accepted_are_drawn_and_the_old_ones_kept(lab: Lab) -> None:
    lab.write((0.5,), trial={"folds": {"n": 2, "ids": "ids.csv"}})
    lab.finish(lab.start())
    lab.write((0.5, 0.7), trial={"folds": {"n": 3, "ids": "ids.csv"}})
    study = lab.finish(lab.start("--accept-changes"))
    assert study.trials[1].state is TrialState.COMPLETE
    assert len({line["fold"] for line in lab.audit_of(1)}) == 3
    folder = lab.place / "study"
    assert len(json.loads((folder / "splits.json").read_text())["folds"]) == 3
    assert len(json.loads((folder / "splits.1.json").read_text())["folds"]) == 2
