from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.box import MARK, Box
from lab.fake_driver import Driver
from outlast._system import nvml
from outlast._system.card_locks import DIRECTORY_VARIABLE


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fake library, compiled."""
    path = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).parent / "fake_nvml.c"
    subprocess.run(["cc", "-std=gnu11", "-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o", path, source], check=True)
    return str(path)


@pytest.fixture
def driver(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A driver that this process, and what it starts, finds instead of the real one; and a folder of locks of its own."""
    made = Driver(tmp_path / "driver", tmp_path / "locks")
    for name, value in made.environment(library).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield made
    nvml.let_go()


@pytest.fixture
def open_box(library: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A box on which other users work, too: nothing on the way to it is closed to them."""
    if os.getuid() != 0:
        pytest.skip("only root can start processes of other users")
    place = Path(tempfile.mkdtemp(prefix="box-"))
    try:
        made = Driver(place / "driver", place / "locks")
        for folder in (place, place / "driver", place / "driver" / "running"):
            folder.chmod(0o777)
        shutil.copy(library, place / "libnvidia-ml.so.1")
        (place / "audit").touch()
        (place / "audit").chmod(0o666)
        variables = {**made.environment(str(place / "libnvidia-ml.so.1")), MARK: str(place), "HOME": str(place)}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        box = Box(place, made)
        yield box
        box.end()
    finally:
        shutil.rmtree(place)


@pytest.fixture
def no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without NVIDIA's library."""
    monkeypatch.setenv(nvml.LIBRARY_VARIABLE, str(tmp_path / "nothing.so"))
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "locks"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def box(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A place for searches that share the fake cards; whatever of them still runs is ended after the test."""
    monkeypatch.setenv(MARK, str(tmp_path))
    made = Box(tmp_path, driver)
    yield made
    made.end()
