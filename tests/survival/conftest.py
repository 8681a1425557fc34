from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.survival import Lab, Zygote, reference_of


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    forks = Zygote()
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def reference(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Trial → x in a run that nobody touched."""
    return reference_of(tmp_path_factory.mktemp("reference"), zygote, 12)


@pytest.fixture
def make_lab(tmp_path: Path, zygote: Zygote) -> Iterator[Callable[..., Lab]]:
    """Makes studies; ends whatever of them still runs after the test."""
    made: list[Lab] = []

    def make(name: str = "here", **settings: Any) -> Lab:
        made.append(Lab.make(tmp_path / name, zygote, **settings))
        return made[-1]

    yield make
    for lab in made:
        lab.end()
