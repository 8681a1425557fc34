from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults import FaultLab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[FaultLab]:
    """A place for a study; ends whatever of it still runs after the test."""
    made = FaultLab(tmp_path / "here", monkeypatch, capsys)
    yield made
    made.end()
