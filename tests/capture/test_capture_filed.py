"""The steps of a metric file are steps: they are found as they come, once, and not again by the next attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outlast.core.evidence import Report
from outlast.runner.capture import CaptureSession, Objective
from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.filed import FiledPoints, points_of
from outlast.runner.capture.metric_files import MetricFiles, read_values

ACC = Objective("acc", file="checkpoints/**/*.csv")


def points(path: Path, text: str) -> list[tuple[int, float]]:
    path.write_text(text)
    return [
        (report.step, report.metrics["acc"]) for report in points_of(read_values(str(path))) if "acc" in report.metrics
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("epoch,acc\n0,0.5\n1,0.75\n", [(0, 0.5), (1, 0.75)]),
        ("epoch, acc\n0, 0.5\n1, 0.75\n", [(0, 0.5), (1, 0.75)]),
        ("Epoch;lr;acc\n1;1e-3;0.5\n", [(1, 0.5)]),
        ("epoch,step,loss,acc\n0,49,1.5,\n0,99,,0.5\n1,149,1.2,\n1,199,,0.75\n", [(0, 0.5), (1, 0.75)]),  # Lightning
        ("step,acc\n100,0.5\n200,nan\n", [(100, 0.5), (200, float("nan"))]),
        ('{"step": 1, "acc": 0.5}\n{"step": 2, "loss": 1}\n{"step": 3, "acc": 0.75}\n{"step": 4, "a', [(1, 0.5), (3, 0.75)]),
        (
            json.dumps({"best_metric": 0.7, "global_step": 80, "log_history": [
                {"epoch": 0.5, "loss": 2.0, "step": 20}, {"epoch": 1.0, "acc": 0.5, "step": 40},
                {"epoch": 2.0, "acc": 0.75, "step": 80}]}),
            [(40, 0.5), (80, 0.75)],  # Trainer's state: its epochs are broken, its steps are not
        ),
        ('[{"epoch": 1, "acc": 0.5}, {"epoch": 2, "acc": 0.75}]', [(1, 0.5), (2, 0.75)]),
        ("acc,loss\n0.5,1\n0.75,2\n", []),
        ('{"acc": 0.75, "epochs": 20}', []),
        ("epoch,acc\n-1,0.5\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_rows_that_say_their_step_are_points(tmp_path: Path, text: str, found: list[tuple[int, float]]) -> None:
    assert repr(points(tmp_path / "file", text)) == repr(found)


class Attempts:
    """A trial whose script writes a CSV below its checkpoints."""

    def __init__(self, place: Path) -> None:
        self.place, self.table = place, place / "checkpoints" / "run" / "results.csv"
        self.table.parent.mkdir(parents=True)

    def begin(self) -> FiledPoints:
        return FiledPoints(MetricFiles([str(ACC.file)], 0, self.place, self.place), [ACC], every=0.0)

    def add(self, *rows: str, anew: bool = False) -> None:
        with open(self.table, "w" if anew else "a") as file:
            file.writelines(rows)


def steps(reports: list[Report]) -> list[int]:
    return [report.step for report in reports]


def test_each_point_is_told_once_and_a_row_only_when_it_is_whole(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    filed = files.begin()
    assert filed.poll() == []
    files.add("epoch,acc\n", "0,0.5\n", "1,0.7")
    assert filed.poll() == [Report(0, {"acc": 0.5})]
    files.add("5\n", "2,0.8\n")
    assert filed.poll() == [Report(1, {"acc": 0.75}), Report(2, {"acc": 0.8})]
    assert filed.poll() == []
    files.add("3,0.9")
    assert filed.poll() == [] == filed.finish(torn=True)
    assert filed.finish(torn=False) == [Report(3, {"acc": 0.9})]


def test_what_an_earlier_attempt_wrote_is_no_news_unless_the_file_is_begun_anew(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    files.add("epoch,acc\n", "0,0.5\n", "1,0.75\n")
    second = files.begin()
    assert second.poll() == []
    files.add("2,0.8\n")
    assert steps(second.poll()) == [2]
    third = files.begin()
    files.add("epoch,acc\n", "0,0.5\n", anew=True)
    assert steps(third.poll()) == [0]
    files.add("1,0.75\n", "2,0.8\n")
    assert steps(third.poll()) == [1, 2]


def test_of_steps_that_were_trained_again_the_last_rows_stand_and_are_told_once(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    files.add("epoch,acc\n", "0,0.5\n", "1,0.75\n", "2,0.8\n")
    second = files.begin()
    files.add("1,0.7\n")
    assert second.poll() == [Report(1, {"acc": 0.7})]
    files.add("2,0.9\n", "3,nan\n")
    assert steps(second.poll()) == [2, 3]
    files.add("4,0.9\n")
    assert steps(second.poll()) == [4]


def test_the_coordinator_reads_them_and_the_runner_counts_them_as_a_sign_of_life(tmp_path: Path) -> None:
    files = Attempts(tmp_path)
    attempt = tmp_path / "attempts" / "1"
    attempt.mkdir(parents=True)
    session = CaptureSession([ACC], trial=0, trial_dir=tmp_path, attempt_dir=attempt, working_directory=tmp_path)
    live = LiveReports(attempt / "reports.jsonl", [ACC])
    session.feed(b"epoch 0: acc=0.1\n")
    assert steps(session.poll()) == [0] == steps(live.poll())
    session.heard()
    files.add("epoch,acc\n", "0,0.5\n", "1,0.75\n")
    found = session.finish()
    assert session.heard() and found.source == "file"
    assert found.reports == (Report(0, {"acc": 0.5}), Report(1, {"acc": 0.75})), "of a better source than the output"
    assert live.poll() == [Report(0, {"acc": 0.5}), Report(1, {"acc": 0.75})] and live.curve.reports() == found.reports
