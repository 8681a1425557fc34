"""The sink that docs/tracking.md shows, run through the contract as the page says, and by a study."""

from __future__ import annotations

import re
import sqlite3
import sys
import types
from pathlib import Path

from tests.sending.studies import searched

from outlast.config.tracking_section import TrackingSettings
from outlast.engine.sending.sender import Sender

_PAGE = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
_SINK, _TESTS = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)

_lab, _trackers = types.ModuleType("my_lab"), types.ModuleType("my_lab.trackers")
sys.modules.setdefault("my_lab", _lab)
sys.modules["my_lab.trackers"] = _trackers
exec(_SINK, _trackers.__dict__)
_shown: dict[str, type] = {}
exec(_TESTS, _shown)


class TestTable(_shown["TestTable"]):  # type: ignore[misc]
    """Pytest collects it from here."""


def test_a_study_is_sent_to_it(tmp_path: Path) -> None:
    folder = searched(tmp_path / "digits", 3)
    assert Sender(folder, TrackingSettings.of(["my_lab.trackers.Table"])).run()
    rows = (
        sqlite3.connect(tmp_path / "digits" / "searches.db").execute("SELECT trial, what, value FROM rows").fetchall()
    )
    assert {(1, "acc at 1", "0.01"), (2, "end", '["complete", [0.02]]'), (2, "is the best", "0.02")} <= set(rows)


def test_it_is_no_longer_than_the_page_says() -> None:
    assert len([line for line in _SINK.partition("class")[2].splitlines() if line.strip()]) <= 30
