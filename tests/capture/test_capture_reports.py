"""``reports.jsonl`` while it is being written, and the curve that comes of it."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from outlast.core.evidence import Report
from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.reports import ReportsReader

ACC = Objective("acc")


def write(path: Path, *lines: dict[str, object] | str) -> None:
    with open(path, "a") as file:
        file.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def test_a_file_that_is_not_there_yet_is_no_news(tmp_path: Path) -> None:
    assert ReportsReader(tmp_path / "reports.jsonl").poll() is False


def test_a_pipe_or_a_device_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    news: list[bool] = []
    for name in ("pipe", "endless"):
        reader = threading.Thread(target=lambda: news.append(ReportsReader(tmp_path / name).poll()), daemon=True)  # noqa: B023
        reader.start()
        reader.join(60)
    assert news == [False, False]


def test_lines_are_read_once_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    reader = ReportsReader(path)
    write(path, {"v": 1, "step": 0, "metrics": {"acc": 0.5}})
    assert reader.poll()
    assert reader.own.drain() == [Report(0, {"acc": 0.5})]
    assert not reader.poll()
    write(path, {"v": 1, "step": 1, "metrics": {"acc": "nan"}}, {"v": 1, "metrics": {"acc": 0.75}})
    assert reader.poll()
    (report,) = reader.own.drain()
    assert report.step == 1 and math.isnan(report.metrics["acc"])
    assert reader.own.seen["acc"].last == 0.75


def test_what_is_no_number_before_anything_is_numbered_is_a_point(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    live = LiveReports(path, [ACC])
    write(path, {"v": 1, "metrics": {"acc": 0.25, "lr": "nan"}})
    assert live.poll() == [], "a final score"
    write(path, {"v": 1, "metrics": {"acc": "nan", "lr": 0.1}})
    (report,) = live.poll()
    assert report.step == 0 and math.isnan(report.metrics["acc"])
    numbered = LiveReports(path, [ACC])
    path.unlink()
    write(path, {"v": 1, "step": 3, "metrics": {"acc": 0.5}}, {"v": 1, "metrics": {"acc": "nan"}})
    assert numbered.poll() == [Report(3, {"acc": 0.5})], "a final score, which is judged when the training has ended"


def test_flags_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    reader = ReportsReader(path)
    write(path, {"v": 1, "listens": True})
    reader.poll()
    assert (reader.listens, reader.acknowledged, reader.done) == (True, "", False)
    write(path, {"v": 1, "acknowledged": "user"}, {"v": 1, "done": True})
    reader.poll()
    assert (reader.listens, reader.acknowledged, reader.done) == (True, "user", True)


def test_lines_of_the_training_are_counted_and_those_of_the_runner_are_not(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    reader = ReportsReader(path)
    write(path, {"v": 1, "step": 0, "metrics": {"acc": 0.5}, "via": "output"}, "\n")
    reader.poll()
    assert reader.lines == 0
    write(path, {"v": 1, "step": 0, "metrics": {"loss": 0.5}}, {"v": 1, "listens": True}, "torn {")
    reader.poll()
    assert reader.lines == 3


def test_what_was_followed_is_kept_apart_from_what_was_reported(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    write(
        path, {"v": 1, "step": 0, "metrics": {"acc": 0.1}, "via": "wandb"}, {"v": 1, "step": 0, "metrics": {"acc": 0.2}}
    )
    reader = ReportsReader(path)
    reader.poll()
    assert (reader.followed.seen["acc"].last, reader.own.seen["acc"].last) == (0.1, 0.2)


def test_lines_that_are_none_of_ours_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    bad = ["garbage", "[1]", '{"metrics": 3}', '{"metrics": {"a": "x"}}', '{"step": -1, "metrics": {"a": 1}}', "null"]
    write(path, *bad, "", {"v": 2, "new": "thing", "metrics": {"acc": 1}})
    reader = ReportsReader(path)
    reader.poll()
    assert reader.unreadable == len(bad)
    assert reader.own.seen["acc"].last == 1.0


LINES = b"".join(json.dumps({"v": 1, "step": n, "metrics": {"acc": n / 7}}).encode() + b"\n" for n in range(5))


@given(st.lists(st.integers(min_value=0, max_value=len(LINES)), max_size=8))
def test_a_torn_last_line_is_read_when_it_is_whole(cuts: list[int]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "reports.jsonl"
        reader = ReportsReader(path)
        got: list[Report] = []
        for cut in [*sorted(cuts), len(LINES)]:
            path.write_bytes(LINES[:cut])
            reader.poll()
            got += reader.own.drain()
        assert got == [Report(n, {"acc": n / 7}) for n in range(5)]
        assert reader.unreadable == 0


def test_the_best_source_of_points_is_the_only_one(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    live = LiveReports(path, [ACC])
    write(path, {"v": 1, "step": 100, "metrics": {"acc": 0.1}, "via": "output"})
    assert live.poll() == [Report(100, {"acc": 0.1})]
    write(path, {"v": 1, "step": 1, "metrics": {"acc": 0.2, "loss": 3}})
    assert live.poll() == [Report(1, {"acc": 0.2})]
    write(path, {"v": 1, "step": 200, "metrics": {"acc": 0.3}, "via": "wandb"})
    assert live.poll() == []
    assert live.curve.reports() == (Report(1, {"acc": 0.2}),)


def test_each_objective_has_its_own_source_and_points_of_one_step_come_together(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    write(
        path,
        {"v": 1, "step": 2, "metrics": {"acc": 0.2}},
        {"v": 1, "step": 1, "metrics": {"acc": 0.1}},
        {"v": 1, "step": 1, "metrics": {"val/ece": 0.3}, "via": "mlflow"},
    )
    live = LiveReports(path, [ACC, Objective("ece")])
    live.poll()
    assert live.curve.reports() == (Report(1, {"acc": 0.1, "ece": 0.3}), Report(2, {"acc": 0.2}))


def test_a_name_that_is_no_utf_8_is_one_that_everything_downstream_can_write(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    named_after_a_file = os.fsdecode(b"acc/f\xfcr.txt")
    write(path, {"v": 1, "step": 0, "metrics": {named_after_a_file: 0.5, "acc/für": 0.25}})
    reader = ReportsReader(path)
    reader.poll()
    assert reader.own.drain() == [Report(0, {"acc/f?r.txt": 0.5, "acc/für": 0.25})]
    assert list(reader.own.seen) == ["acc/f?r.txt", "acc/für"]


def test_a_file_that_is_begun_anew_is_read_from_its_beginning_and_nothing_that_was_read_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    live = LiveReports(path, [ACC])
    for step in range(3):
        write(path, {"v": 1, "step": step, "metrics": {"acc": 0.5}})
    live.poll()
    path.unlink()
    assert live.poll() == []
    write(path, {"v": 1, "step": 3, "metrics": {"acc": 0.25}})  # a client of a few lines, which knows nothing more
    assert live.poll() == [Report(3, {"acc": 0.25})]
    path.unlink()
    for step in range(3, 9):  # longer than before
        write(path, {"v": 1, "step": step, "metrics": {"acc": 0.25}})
    assert [report.step for report in live.poll()] == [4, 5, 6, 7, 8], "what was said before is no news"
    assert [report.step for report in live.curve.reports()] == list(range(9))
