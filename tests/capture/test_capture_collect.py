"""Which source's value counts, from a folder and a stream of output."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.session import Captured, CaptureSession


class Attempt:
    """A folder in which a test plays the training."""

    def __init__(self, root: Path, *objectives: Objective) -> None:
        self.root = root
        self.trial_dir = root / "trials" / "0003"
        self.folder = self.trial_dir / "attempts" / "1"
        self.folder.mkdir(parents=True)
        self.objectives = objectives
        self.session = CaptureSession(
            objectives, trial=3, trial_dir=self.trial_dir, attempt_dir=self.folder, working_directory=root
        )

    def line(self, **obj: object) -> None:
        with open(self.folder / "reports.jsonl", "a") as file:
            file.write(json.dumps({"v": 1, **obj}) + "\n")

    def out(self, text: str) -> None:
        self.session.feed(text.encode())

    def finish(self) -> Captured:
        return self.session.finish()


ACC = Objective("acc", file="metrics.json", pattern=r"pattern (\S+)")


def fill(attempt: Attempt, source: str) -> None:
    """Leave a value in one source."""
    if source == "report":
        attempt.line(metrics={"acc": 0.1})
    elif source == "file":
        (attempt.trial_dir / "metrics.json").write_text('{"acc": 0.2}')
    elif source == "hook":
        attempt.line(metrics={"acc": 0.3}, via="wandb")
    elif source == "score_file":
        (attempt.trial_dir / "trial_3_score.txt").write_text("0.7")
    else:
        attempt.out({"marker": "OPTUNA_SCORE: 0.4\n", "output": "acc: 0.5\n", "pattern": "pattern 0.6\n"}[source])


ORDER = ["report", "file", "hook", "marker", "output", "pattern", "score_file"]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_first_source_that_has_it_counts_and_the_others_are_noted(tmp_path: Path, first: int) -> None:
    attempt = Attempt(tmp_path, ACC)
    for source in ORDER[first:]:
        fill(attempt, source)
    found = attempt.finish()
    assert found.source == ORDER[first]
    assert found.scores == {"acc": pytest.approx(0.1 * (first + 1))}
    assert len([note for note in found.notes if "counts" in note]) == len(ORDER) - first - 1


def test_the_order_of_the_markers(tmp_path: Path) -> None:
    lines = ["OUTLAST_SCORE: 1", "OPTUNA_SCORE: 2", "OUTLAST_SCORE[acc]: 3", "Best validation score: 4"]
    for count in range(len(lines)):
        attempt = Attempt(tmp_path / str(count), Objective("acc"))
        attempt.out("\n".join(reversed(lines[count:])))
        assert attempt.finish().scores == {"acc": count + 1}


def test_the_last_occurrence_within_a_source_counts(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.out("acc: 0.9\nacc: 0.5\n")
    assert attempt.finish().scores == {"acc": 0.5}


@pytest.mark.parametrize(("goal", "best"), [("maximize", 0.9), ("minimize", 0.2)])
@pytest.mark.parametrize("source", ["report", "output", "file"])
def test_the_best_counts_where_it_is_asked_for_and_nan_is_never_best(
    tmp_path: Path, goal: str, best: float, source: str
) -> None:
    attempt = Attempt(tmp_path, Objective("acc", goal=goal, take="best", file="metrics.jsonl"))
    for step, value in enumerate([0.5, 0.9, 0.2, 0.6, "nan"]):
        if source == "report":
            attempt.line(step=step, metrics={"acc": value})
        elif source == "output":
            attempt.out(f"acc={value}\n")
        else:
            with open(attempt.trial_dir / "metrics.jsonl", "a") as file:
                file.write(json.dumps({"acc": float(value)}) + "\n")
    assert attempt.finish().scores == {"acc": best}


def test_a_last_nan_is_the_score(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.line(step=0, metrics={"acc": 0.5})
    attempt.line(step=1, metrics={"acc": "nan"})
    assert math.isnan(attempt.finish().scores["acc"])


def test_rounded_values_and_percentages_do_not_disagree(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.line(metrics={"acc": 0.912345})
    attempt.out("acc: 91.23%\n")
    assert attempt.finish().notes == ()


def test_each_of_several_objectives_comes_from_where_it_is(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("f1"), Objective("ece", goal="minimize"))
    attempt.line(step=1, metrics={"f1": 0.8})
    attempt.out("OUTLAST_SCORE: 99\nOUTLAST_SCORE[ece]: 0.05\n")
    found = attempt.finish()
    assert found.scores == {"f1": 0.8, "ece": 0.05}
    assert found.source == "report+marker"


def test_an_objective_that_is_missing_is_named_with_what_was_seen(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("f1"), Objective("val_acc"))
    attempt.line(step=1, metrics={"f1": 0.8})
    attempt.out("val_accuracy: 0.5\nloss: 3\n")
    found = attempt.finish()
    assert found.missing == ("val_acc",)
    assert found.scores == {"f1": 0.8}
    assert found.notes == ("val_acc was not found; seen were: f1, loss, val_accuracy; nearest: val_accuracy",)
    assert found.metrics == {"f1": 0.8, "val_accuracy": 0.5, "loss": 3.0}


def test_silence_says_so(tmp_path: Path) -> None:
    assert Attempt(tmp_path, Objective("acc")).finish().notes == (
        "acc was not found, and no other metric was seen either",
    )


def test_a_loosely_matched_name_is_noted(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("eval/accuracy"))
    attempt.out("{'eval_accuracy': 0.9}\n")
    found = attempt.finish()
    assert found.scores == {"eval/accuracy": 0.9}
    assert found.notes == ("eval/accuracy was not seen under that name; 'eval_accuracy' is taken for it (output)",)


def test_a_marker_that_cannot_be_read_counts_for_nothing_and_is_noted(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.out("OPTUNA_SCORE: 0.5\nOPTUNA_SCORE: None\n")
    found = attempt.finish()
    assert found.scores == {}
    assert found.notes[0] == "OPTUNA_SCORE cannot be read as a number: 'None'"


def test_points_from_the_output_are_written_down_for_the_coordinator(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.out("epoch 1 acc: 0.5\nepoch 2 acc: nan\n")
    first, second = attempt.session.poll()
    assert (first.step, first.metrics) == (1, {"acc": 0.5})
    assert attempt.session.poll() == []
    live = LiveReports(attempt.folder / "reports.jsonl", attempt.objectives)
    assert [report.step for report in live.poll()] == [1, 2]
    assert math.isnan(second.metrics["acc"])
    found = attempt.finish()
    assert [report.step for report in found.reports] == [1, 2]
    assert found.source == "output"


def test_points_from_the_output_are_not_written_where_the_script_reports_itself(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.line(step=1, metrics={"acc": 0.5})
    attempt.session.poll()
    attempt.out("epoch 1 acc: 0.5\n")
    assert attempt.session.poll() == []
    assert len((attempt.folder / "reports.jsonl").read_text().splitlines()) == 1


def test_a_script_cooperates_once_it_looked_whether_to_stop(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.line(step=1, metrics={"acc": 0.5})
    attempt.session.poll()
    assert not attempt.session.cooperates
    attempt.line(listens=True)
    attempt.session.poll()
    assert attempt.session.cooperates
    attempt.line(acknowledged="pruned")
    attempt.line(done=True)
    found = attempt.finish()
    assert (found.acknowledged, found.done) == ("pruned", True)


def test_tail_and_traceback_are_handed_on(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, Objective("acc"))
    attempt.out('Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 1\n')
    found = attempt.finish()
    assert found.tail[-1] == "KeyError: 1"
    assert found.traceback.endswith("KeyError: 1")
    assert found.traceback.startswith("Traceback")


def test_an_objective_is_made_from_a_plain_object() -> None:
    assert Objective.from_json({"name": "a", "goal": "minimize", "target": 3, "file": None}) == Objective(
        "a", "minimize"
    )
