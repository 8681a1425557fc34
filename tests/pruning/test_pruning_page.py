"""The page about pruning says what is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.config.native import PRUNERS
from outlast.core.fold import Study
from outlast.optimizer.pruners.pruning import Pruning

PAGE = (Path(__file__).parents[2] / "docs" / "pruning.md").read_text()
WHOLE = PAGE.split("```yaml\n")[1].split("```")[0]


def study_files() -> Iterator[str]:
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        for text in block.split("---\n"):
            whole = "metric:" in text
            yield text if whole else WHOLE.replace("pruner: asha\n", text)


@pytest.mark.parametrize("text", list(study_files()))
def test_every_example_is_a_study_file_with_a_pruner(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "study.yaml").write_text(text)
    settings = load_study_file(tmp_path / "study.yaml")
    assert settings.pruner.name != "none"
    assert Pruning(settings, Study()).active


def test_every_pruner_is_in_the_table() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(PRUNERS)
