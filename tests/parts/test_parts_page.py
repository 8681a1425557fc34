"""The page about folds and seeds says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.config.sections import FOLDS
from outlast.engine.attempts.folds import drawn_splits, study_parts

PAGE = (Path(__file__).parents[2] / "docs" / "parts.md").read_text()


def test_its_study_file_has_ten_parts_and_draws_its_folds(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    rows = [f"{number},{number % 2},{number // 2}" for number in range(20)]
    (tmp_path / "ids.csv").write_text("\n".join(["id,label,patient", *rows]))
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.yaml").write_text(text)
    settings = load_study_file(tmp_path / "study.yaml")
    assert [(part.seed, part.fold) for part in study_parts(settings)] == [(s, f) for s in (1, 2) for f in range(5)]
    drawn = [each for fold in drawn_splits(settings, 0)["folds"] for each in fold]
    assert sorted(drawn, key=int) == [str(number) for number in range(20)]


def test_its_script_runs_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    said: dict[str, list[str]] = {}
    exec(compile(code, "parts.md", "exec"), said)
    assert (said["train"], said["valid"]) == (["b", "c", "d", "e"], ["a"])


def test_every_key_is_in_its_table() -> None:
    table = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert set(FOLDS.shapes) == table
