from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.shared import Study, Time


@pytest.fixture
def time() -> Time:
    """A clock that goes when it is told to."""
    return Time()


@pytest.fixture
def study(tmp_path: Path, time: Time) -> Iterator[Callable[..., Study]]:
    """Makes studies of one campaign; each leaves the queue after the test."""
    made: list[Study] = []

    def make(name: str, parts: int = 4, **sharing: Any) -> Study:
        made.append(Study(str(tmp_path / "slots"), name, parts, time, **sharing))
        return made[-1]

    yield make
    for each in made:
        each.leave()
