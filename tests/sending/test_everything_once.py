"""Whatever a sink suffers, its tracker has everything in the end, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sending.studies import searched
from tests.sending.trackers import lines_of

from outlast.config.tracking_section import TrackingSettings
from outlast.engine.sending.sender import Sender
from outlast.engine.sending.tracked import TrackedFolder

TRIALS = 120  # more than two batches


def sinks(*chosen: Any) -> TrackingSettings:
    return TrackingSettings.of({"sinks": [{"name": f"tests.sending.trackers.{name}", **own} for name, own in chosen]})


def expected(folder: str) -> list[str]:
    found = TrackedFolder(folder)
    found.look()
    return [line for number in found.tokens for line in lines_of(found.trial(number))]


def arrived(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith('["study"')]


def test_all_trials_their_parameters_and_points_and_the_end_arrive(tmp_path: Path) -> None:
    folder, file = searched(tmp_path / "digits", 3), tmp_path / "file"
    assert Sender(folder, sinks(("Lines", {"path": str(file)}))).run()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    began = 1767607200.0
    assert lines[:5] == [
        [0, "param", "lr", 1], [0, "param", "a", 7], [0, "point", 0, 0, began, {"acc": 0.1}],
        [0, "point", 1, 1, began + 0.001, {"acc": 0.0}], [0, "complete", [0.0]],
    ]  # fmt: skip
    assert lines[-1] == ["study", "done", 2]


@pytest.mark.parametrize("how", ["raise", "refuse", "exit", "forget"])
@pytest.mark.parametrize("after", [1, 7, 101])
def test_a_sink_that_fails_after_every_few_lines_has_sent_everything_once(tmp_path: Path, how: str, after: int) -> None:
    trials = {1: 3, 7: 12}.get(after, TRIALS)
    folder, file = searched(tmp_path / "digits", trials), tmp_path / "file"
    failing = sinks(("Lines", {"path": str(file), "fails_after": after, "how": how}))
    for _ in range(200):
        sender = Sender(folder, failing)
        sender.run()
        if not any(each.trouble for each in sender.couriers):
            break
    assert sorted(arrived(file)) == sorted(expected(folder))
    assert len(file.read_text().splitlines()) == len(expected(folder)) + 1


def test_nothing_is_sent_again_and_without_its_memory_a_sink_asks_its_tracker(tmp_path: Path) -> None:
    folder, file = searched(tmp_path / "digits", 5), tmp_path / "file"
    tracking = sinks(("Lines", {"path": str(file)}))
    Sender(folder, tracking).run()
    before = file.read_text()
    again = Sender(folder, tracking)
    again.run()
    assert [each.sent for each in again.couriers] == [0]
    for path in (tmp_path / "digits" / "tracking").glob("*.json"):
        path.write_text("{")
    lost = Sender(folder, tracking)
    lost.run()
    assert [each.sent for each in lost.couriers] == [5]
    assert file.read_text() == before
