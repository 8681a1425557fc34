"""A small study that has seen a crash, a retry and several runs, made once; each test damages a copy of its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.damage import FOLDER, STUDY, TRAIN, Here
from outlast.cli.main import run_cli
from outlast.engine.record.examine import read_sound
from outlast.study.folded import keep_folded
from outlast.study.layout import StudyPaths


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, whole: it is stopped with a trial left to do. What its ledger adds up to is kept, as of a long one."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "train.py").write_text(TRAIN)
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_cli(["run", "study.yaml", "--trials", "2"]) == 0
        assert run_cli(["retry", str(FOLDER), "1"]) == 0
        assert run_cli(["run", "study.yaml"]) == 0
    paths = StudyPaths.at(folder / FOLDER)
    assert keep_folded(paths, *read_sound(paths), least=0)
    return folder


@pytest.fixture
def here(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """A copy of it, which is the working directory."""
    for name in ("train.py", "study.yaml"):
        shutil.copy(whole / name, tmp_path / name)
    left_out = shutil.ignore_patterns("plots")
    shutil.copytree(whole / FOLDER, tmp_path / FOLDER, symlinks=True, ignore=left_out)
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)
