"""Whole searches from a copy of their code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from outlast.cli.main import run_cli
from outlast.engine.record.recorded import recorded_settings

pytestmark = pytest.mark.slow

TRAIN = "import helper, os\nprint('score=' + str(helper.SCORE))\nopen('cwd', 'w').write(os.getcwd())\n"


def study(repository, command: str = "train.py ${args}", **more) -> None:
    whole = {
        "name": "s", "command": f"{sys.executable} {command}", "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 1}, "code": "snapshot", "parallel": 1, **more,
    }  # fmt: skip
    repository.write("study.yaml", json.dumps(whole))


def values(root: Path) -> list[float | None]:
    _, found = recorded_settings(root / "studies/s")
    return [trial.value for trial in found.trials.values()]


@pytest.fixture
def ready(repository, monkeypatch):
    study(repository)
    repository.commit(train_py=TRAIN, helper_py="SCORE = 1")
    monkeypatch.chdir(repository.root)
    return repository


def test_a_study_goes_on_with_the_code_that_it_began_with(ready, capsys):
    assert run_cli(["run"]) == 0
    commit = ready.git("rev-parse", "--short=12", "HEAD")
    ready.commit(helper_py="SCORE = 2")
    assert run_cli(["run", "--trials", "2"]) == 0
    assert "the working tree has changed since" in " ".join(capsys.readouterr().out.split())
    settings, found = recorded_settings("studies/s")
    assert values(ready.root) == [1.0, 1.0]
    assert {attempt.code for trial in found.trials.values() for attempt in trial.attempts} == {commit}
    assert settings.working_directory == str(ready.root)
    assert (ready.root / "studies/s/code/0001/cwd").read_text() == str(ready.root / "studies/s/code/0001")


def test_a_changed_command_takes_a_new_copy_and_so_does_a_fresh_start(ready):
    assert run_cli(["run"]) == 0
    ready.commit(helper_py="SCORE = 2")
    study(ready, "train.py --again ${args}", budget={"trials": 2})
    assert run_cli(["run", "--accept-changes"]) == 0
    assert values(ready.root) == [1.0, 2.0]
    ready.commit(helper_py="SCORE = 3")
    assert run_cli(["run", "--fresh", "--trials", "1"]) == 0
    assert values(ready.root) == [3.0]


def test_configuration_and_hooks_come_from_the_copy(ready):
    hook = "import helper\ndef values(params):\n    return {'twice': 2 * helper.SCORE}\n"
    read = "import json, sys\nfrom ruamel.yaml import YAML\nc = YAML(typ='safe').load(open(sys.argv[1]))\n"
    study(ready, "read.py ${config} ${args}", config="base.yaml", derive="hook:values", parallel=1)
    ready.write("base.yaml", "base: 10\n")
    ready.commit(hook_py=hook, read_py=f"{read}print('score=' + str(c['base'] + c['twice']))\n")
    assert run_cli(["run"]) == 0
    ready.write("base.yaml", "base: 50\n")
    ready.write("helper.py", "SCORE = 7\n")
    assert run_cli(["run", "--trials", "2"]) == 0
    assert values(ready.root) == [12.0, 12.0]


def test_outside_of_git_nothing_is_begun(tmp_path, monkeypatch, capsys):
    place = type("Place", (), {"write": staticmethod(lambda name, text: (tmp_path / name).write_text(text))})
    study(place)
    (tmp_path / "train.py").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    assert run_cli(["run"]) == 2
    assert "no git checkout" in capsys.readouterr().err and not (tmp_path / "studies").exists()
