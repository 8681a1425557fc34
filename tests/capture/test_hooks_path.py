"""The folder on the training's PYTHONPATH: it gives ``outlast``, makes way for what is there already, and breaks nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from outlast.runner.hooks import hooks_path


def run(
    code: str, cwd: Path, *path: Path, python: str = sys.executable, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run code as a training would be, with the hooks first on the path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "PYTHON", "WANDB_"))}
    clean["PYTHONPATH"] = os.pathsep.join([hooks_path(), *map(str, path)])
    return subprocess.run(
        [python, "-c", code], cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """The python of an environment without outlast."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    return str(tmp_path / "venv" / "bin" / "python")


@pytest.fixture
def attempt(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "trial" / "attempts" / "1").mkdir(parents=True)
    return {"OUTLAST_TRIAL_DIR": str(tmp_path / "trial"), "OUTLAST_TRIAL": "3", "OUTLAST_ATTEMPT": "1"}


def reports(attempt: dict[str, str]) -> list[dict[str, object]]:
    path = Path(attempt["OUTLAST_TRIAL_DIR"]) / "attempts" / "1" / "reports.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for line in found:  # the moment of a point, and of nothing else
        assert ("at" in line) == ("step" in line) and abs(line.pop("at", time.time()) - time.time()) < 600
    return found


def test_without_outlast_installed_the_import_gives_the_client(
    tmp_path: Path, bare_python: str, attempt: dict[str, str]
) -> None:
    code = "import outlast; t = outlast.current_trial(); t.report(step=0, acc=0.5); print(t.number, outlast.Trial.__module__)"
    result = run(code, tmp_path, python=bare_python, **attempt)
    assert (result.stdout.split(), result.stderr) == (["3", "outlast"], "")
    assert reports(attempt) == [{"v": 1, "step": 0, "metrics": {"acc": 0.5}}]


def test_without_outlast_installed_optimize_says_what_to_install(tmp_path: Path, bare_python: str) -> None:
    result = run("import outlast; outlast.optimize", tmp_path, python=bare_python)
    assert "pip install outlast" in result.stderr


def test_with_outlast_installed_the_import_gives_the_package(tmp_path: Path, attempt: dict[str, str]) -> None:
    code = (
        "import outlast, outlast.client, outlast.errors\n"
        "assert outlast.current_trial is outlast.client.current_trial\n"
        "assert 'optimize' in outlast.__all__ and outlast.__path__\n"
        "print(outlast.current_trial().number, outlast.__version__)"
    )
    result = run(code, tmp_path, **attempt)
    assert result.stderr == ""
    assert result.stdout.split()[0] == "3"


def test_the_sitecustomize_that_it_hides_runs_all_the_same(tmp_path: Path, attempt: dict[str, str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sitecustomize.py").write_text("print('mine ran'); value = 3")
    result = run("import sitecustomize; print(sitecustomize.value)", tmp_path, tmp_path / "mine", **attempt)
    assert (result.stdout.split("\n")[:2], result.stderr) == (["mine ran", "3"], "")


def test_a_sitecustomize_that_fails_does_so_as_ever(tmp_path: Path, attempt: dict[str, str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sitecustomize.py").write_text("raise ValueError('mine')")
    result = run("print('goes on')", tmp_path, tmp_path / "mine", **attempt)
    assert result.stdout == "goes on\n"
    assert "Error in sitecustomize" in result.stderr
    assert "ValueError: mine" in result.stderr


def test_nothing_is_imported_that_the_script_does_not_import(tmp_path: Path, attempt: dict[str, str]) -> None:
    code = (
        "import sys; print([m for m in ('wandb', 'mlflow', 'json', 'outlast', 'outlast_follow') if m in sys.modules])"
    )
    assert run(code, tmp_path, **attempt).stdout == "[]\n"


def fake_wandb(tmp_path: Path, run_class: str) -> Path:
    package = tmp_path / "site" / "wandb" / "sdk"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("import wandb.sdk.wandb_run, wandb.sdk.wandb_summary\n")
    (package / "__init__.py").write_text("")
    (package / "wandb_run.py").write_text(run_class)
    (package / "wandb_summary.py").write_text("class Summary:\n    def _update(self, record): pass\n")
    return tmp_path / "site"


RUN = """
class Run:
    _local_step = 0
    def log(self, data, step=None):
        self._local_step += 1
        return 'logged'
"""


def test_a_followed_call_still_returns_what_it_did_and_is_written_down(tmp_path: Path, attempt: dict[str, str]) -> None:
    code = (
        "from wandb.sdk.wandb_run import Run\nrun = Run()\n"
        "print(run.log({'acc': 0.5, 'nested': {'f1': 1}, 'text': 'x'}), run.log(data={'acc': 0.6}, step=7))"
    )
    result = run(code, tmp_path, fake_wandb(tmp_path, RUN), OUTLAST_METRICS="acc", **attempt)
    assert (result.stdout, result.stderr) == ("logged logged\n", "")
    assert reports(attempt) == [
        {"v": 1, "step": 0, "metrics": {"acc": 0.5, "nested.f1": 1.0}, "via": "wandb"},
        {"v": 1, "step": 7, "metrics": {"acc": 0.6}, "via": "wandb"},
    ]


def test_what_is_no_objective_is_written_once_and_at_the_end(tmp_path: Path, attempt: dict[str, str]) -> None:
    code = "from wandb.sdk.wandb_run import Run\nrun = Run()\nfor n in range(500): run.log({'train_loss': n})"
    run(code, tmp_path, fake_wandb(tmp_path, RUN), OUTLAST_METRICS="acc", **attempt)
    lines = reports(attempt)
    assert lines[0] == {"v": 1, "metrics": {"train_loss": 0.0}, "via": "wandb"}
    assert lines[-1] == {"v": 1, "metrics": {"train_loss": 499.0}, "via": "wandb"}
    assert len(lines) < 100


def test_an_error_of_the_package_passes_through(tmp_path: Path, attempt: dict[str, str]) -> None:
    broken = "class Run:\n    def log(self, data): raise KeyError('theirs')\n"
    code = "from wandb.sdk.wandb_run import Run\nRun().log({'acc': 1})"
    result = run(code, tmp_path, fake_wandb(tmp_path, broken), **attempt)
    assert result.stderr.rstrip().endswith("KeyError: 'theirs'")
    assert reports(attempt) == []


def test_an_error_of_ours_is_one_line_and_the_script_goes_on(tmp_path: Path, attempt: dict[str, str]) -> None:
    code = (
        "from wandb.sdk.wandb_run import Run\n"
        "class Odd:\n    def item(self): raise RuntimeError('odd')\n    size = 1\n"
        "for n in range(3): print(Run().log({'acc': Odd()}))"
    )
    result = run(code, tmp_path, fake_wandb(tmp_path, RUN), **attempt)
    assert result.stdout == "logged\n" * 3
    assert result.stderr.count("\n") == 1
    assert "cannot follow the logged metrics" in result.stderr


def test_a_package_of_another_shape_is_not_followed_and_works(tmp_path: Path, attempt: dict[str, str]) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mlflow.py").write_text("def log_metric(k, v): return 'theirs'\n")
    result = run("import mlflow; print(mlflow.log_metric('acc', 1))", tmp_path, tmp_path / "site", **attempt)
    assert result.stdout == "theirs\n"
    assert result.stderr.count("\n") == 1


def test_a_package_that_is_missing_is_missing_as_ever(
    tmp_path: Path, bare_python: str, attempt: dict[str, str]
) -> None:
    result = run("import mlflow", tmp_path, python=bare_python, **attempt)
    assert result.stderr.rstrip().endswith("ModuleNotFoundError: No module named 'mlflow'")


def test_outside_a_trial_nothing_is_followed(tmp_path: Path) -> None:
    code = (
        "import sys; print([type(finder).__name__ for finder in sys.meta_path if type(finder).__name__ == '_Follow'])"
    )
    assert run(code, tmp_path).stdout == "[]\n"
