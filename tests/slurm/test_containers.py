"""A training in a container: what of its environment and which folders it needs there, as docs/slurm.md says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import outlast
from outlast.cli.main import run_cli

#: Does what apptainer does to the environment: all of it crosses, or with ``--cleanenv`` only what ``--env`` names. Files
#: that are not bound are not there.
APPTAINER = f"""#!{sys.executable} -IS
import os, sys
given = sys.argv[2:]
assert sys.argv[1] == "exec"
env, bound = dict(os.environ), []
while given[0].startswith("--"):
    option, _, value = given.pop(0).partition("=")
    if option == "--cleanenv":
        env = {{"PATH": env["PATH"]}}
    elif option == "--env":
        env.update(pair.split("=", 1) for pair in value.split(","))
    elif option == "--bind":
        bound += value.split(",")
image, *command = given
assert image == "train.sif"
for name in ("OUTLAST_TRIAL_DIR", "OUTLAST_CHECKPOINT_DIR", "PYTHONPATH"):
    for folder in env.get(name, "").split(":"):
        if folder and not any(folder.startswith(place) for place in bound):
            env.pop(name)
            break
os.execve({sys.executable!r}, [{sys.executable!r}, *command[1:]], env)
"""
TRAINING = """
import os, sys
import outlast
trial = outlast.current_trial()
start = (trial.load_checkpoint() or {"epoch": -1})["epoch"] + 1
for epoch in range(start, 2):
    trial.save_checkpoint({"epoch": epoch})
    trial.report(step=epoch, score=float(sys.argv[1].partition("=")[2]))
    print("secret" in os.environ.get("FROM_THE_HOST", ""))
"""
HOOKS = os.path.dirname(outlast.__file__)


@pytest.mark.parametrize("clean", [False, True], ids=["all of the environment", "clean"])
def test_a_training_in_a_container_reports_and_saves_as_one_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: bool
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "apptainer").write_text(APPTAINER)
    (tmp_path / "bin" / "apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("FROM_THE_HOST", "secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAINING)
    named = "OUTLAST_TRIAL_DIR=${trial_dir},OUTLAST_CHECKPOINT_DIR=${checkpoint_dir},OUTLAST_ATTEMPT=${attempt}"
    crosses = f"{named},OUTLAST_TRIAL=${{trial}},OUTLAST_SEED=${{seed}}"
    assert f"`--env={crosses}`" in (Path(__file__).parents[2] / "docs" / "slurm.md").read_text()
    options = ["--cleanenv", f"--env={crosses}"] if clean else []
    study = {
        "name": "lab",
        "command": ["apptainer", "exec", *options, f"--bind={tmp_path},{HOOKS}", "train.sif", "python", "train.py", "${args}"],
        "metric": {"name": "score", "goal": "maximize"}, "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": 1},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    assert run_cli(["run", "study.yaml"]) == 0
    trial = tmp_path / "studies" / "lab" / "trials" / "0000"
    assert len((trial / "reports.jsonl").read_text().splitlines()) == 2, "through the client, by the environment"
    assert (trial / "output.log").read_text().split() == ["False" if clean else "True"] * 2
    assert [path.name for path in (trial / "checkpoints").iterdir()]
