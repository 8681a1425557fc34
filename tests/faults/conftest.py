from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.register_assert_rewrite("fault_lab")
from fault_lab import FaultLab  # noqa: E402


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[FaultLab]:
    """A place for a study; ends whatever of it still runs after the test."""
    made = FaultLab(tmp_path / "here", monkeypatch, capsys)
    yield made
    made.end()
