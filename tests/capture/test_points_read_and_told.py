"""Points that are read of a file, and told by whoever reads it as well, are taken in once."""

from __future__ import annotations

import json
from pathlib import Path

from outlast.core.evidence import Report
from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective


def test_what_was_read_is_not_taken_in_again_when_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    lines = [json.dumps({"v": 1, "step": step, "metrics": {"loss": 1.0}}).encode() + b"\n" for step in range(6)]
    live = LiveReports(path, [Objective("loss")])

    def steps(found: list[Report]) -> list[int]:
        return [report.step for report in found]

    path.write_bytes(b"".join(lines[:3]) + lines[3][:5])
    assert steps(live.take(lines[0])) == [0]
    assert steps(live.poll()) == [1, 2]
    assert steps(live.take(lines[1])) == [] and steps(live.take(lines[2] + lines[3])) == [3]
    path.write_bytes(b"".join(lines))
    assert steps(live.take(lines[4])) == [4] and steps(live.poll()) == [5] and steps(live.take(lines[5])) == []
