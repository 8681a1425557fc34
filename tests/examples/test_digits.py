"""The digits example by hand, without Outlast."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "digits"
KINDS = {
    "mlp": ["--model", "mlp", "--layers", "2", "--shift", "1"],
    "logistic": ["--model", "logistic", "--lr", "0.1", "--shift", "1"],
    "forest": ["--model", "forest", "--trees", "2"],
    "svm": ["--model", "svm"],
}


def train(*arguments: str, expect: int = 0) -> list[str]:
    """Run the script and return the lines it printed, those of errors included."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "train.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == expect, done.stdout
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_prints_what_an_uninterrupted_one_prints(kind: str, tmp_path: Path) -> None:
    arguments = KINDS[kind]
    checkpoints = ["--checkpoint-dir", str(tmp_path)]
    whole = train(*arguments, "--epochs", "4")
    begun = train(*arguments, *checkpoints, "--epochs", "2")
    resumed = train(*arguments, *checkpoints, "--epochs", "4", "--resume")
    assert resumed[0] == f"resuming after epoch {len(begun)}"
    assert list(dict.fromkeys(begun + resumed[1:])) == whole


@pytest.mark.slow
def test_a_checkpoint_cut_short_while_it_was_written_leaves_the_one_before(tmp_path: Path) -> None:
    train(*KINDS["forest"], "--checkpoint-dir", str(tmp_path), "--epochs", "1")
    (tmp_path / "last.pkl.partial").write_bytes(b"\x80\x04")
    lines = train(*KINDS["forest"], "--checkpoint-dir", str(tmp_path), "--epochs", "2", "--resume")
    assert lines[0] == "resuming after epoch 1"


@pytest.mark.slow
def test_a_checkpoint_of_other_arguments_is_refused(tmp_path: Path) -> None:
    train("--model", "forest", "--checkpoint-dir", str(tmp_path), "--epochs", "1")
    lines = train("--model", "svm", "--checkpoint-dir", str(tmp_path), "--resume", expect=1)
    assert "other arguments" in lines[-1]


@pytest.mark.slow
def test_the_page_leads_from_search_to_model(tmp_path: Path) -> None:
    """Every command of the section, in its order, with a smaller search; the exported folder works where it is moved to."""
    shutil.copytree(FOLDER, tmp_path / "examples" / "digits", ignore=shutil.ignore_patterns("__pycache__"))
    study = tmp_path / "examples/digits/study.yaml"
    text = study.read_text().replace("trials: 40", "trials: 3").replace("epochs: {value: 30}", "epochs: {value: 6}")
    study.write_text(text.replace("{top: 3, seeds: 5}", "{top: 2, seeds: 2}"))
    section = (FOLDER / "README.md").read_text().partition("## From search to model")[2]
    lines = re.findall(r"^\$ (outlast .*)$", section, re.MULTILINE)
    assert [line.split()[1] for line in lines] == ["run", "confirm", "refit", "evaluate", "export"]
    env = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for line in lines:
        done = subprocess.run(shlex.split(line), cwd=tmp_path, env=env, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    seen = json.loads((tmp_path / "studies/digits/evaluate/evaluation.json").read_text())
    shutil.move(tmp_path / "digits-model", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "examples")
    shutil.rmtree(tmp_path / "studies")
    scored = subprocess.check_output(["sh", "elsewhere/run.sh", "evaluate"], cwd=tmp_path, env=env, text=True)
    assert f"test_accuracy={seen['looks'][0]['scores']['test_accuracy']:.4f}" in scored


def test_the_script_knows_nothing_of_outlast() -> None:
    source = (FOLDER / "train.py").read_text()
    assert "import outlast" not in source
    assert "OUTLAST" not in source
