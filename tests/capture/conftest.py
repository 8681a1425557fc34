"""A training's leavings given to the real capture, without a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from outlast.runner.capture.objective import Objective
from outlast.runner.capture.session import Captured, CaptureSession

Capture = Callable[..., Captured]


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """What is found of one objective in an output and in files of the working directory."""

    def found(
        name: str, text: str = "", files: Mapping[str, str] | None = None, *, torn: bool = False, **objective: Any
    ) -> Captured:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        attempt, work = place / "trial" / "attempt", place / "work"
        attempt.mkdir(parents=True)
        work.mkdir()
        session = CaptureSession(
            [Objective(name, **objective)],
            trial=3,
            trial_dir=place / "trial",
            attempt_dir=attempt,
            working_directory=work,
        )
        for path, content in (files or {}).items():
            (work / path).write_text(content, encoding="utf-8")
        session.feed(text.encode())
        return session.finish(torn=torn)

    return found
