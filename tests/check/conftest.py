"""A folder with a training script and a study file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.config.load import load_study_file
from outlast.config.settings import Settings

Make = Callable[..., Settings]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write ``train.py`` and ``study.yaml`` into the working directory; the settings."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def write(script: str = "", **study: Any) -> Settings:
        (place / "train.py").write_text(script)
        content = {
            "name": "s",
            "command": [sys.executable, "train.py", "${args}"],
            "metric": {"name": "val_acc", "goal": "maximize"},
            "parameters": {"lr": {"min": 0.1, "max": 0.9}},
            "budget": {"trials": 5},
            "parallel": 2,
            "trial": {"grace": 2},
            **study,
        }
        (place / "study.yaml").write_text(json.dumps(content))
        return load_study_file("study.yaml")

    return write


@pytest.fixture
def left_behind() -> Callable[[], list[str]]:
    """What lies in the working directory beside script and study file."""
    return lambda: sorted(set(os.listdir(".")) - {"train.py", "study.yaml"})
