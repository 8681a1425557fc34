from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.pruning import Lab


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Makes studies; ends what still runs of them after the test."""
    made: list[Lab] = []

    def make(name: str = "here", **settings: Any) -> Lab:
        made.append(Lab(tmp_path / name, **settings))
        return made[-1]

    yield make
    for each in made:
        each.end()
