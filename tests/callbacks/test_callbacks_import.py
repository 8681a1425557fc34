"""The callbacks can be imported wherever a training runs, and bring nothing else along."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import outlast
from outlast.runner.hooks import hooks_path

CALLBACKS = Path(outlast.__file__).parent / "callbacks"
FRAMEWORKS = {"transformers", "torch", "lightning", "pytorch_lightning", "keras", "numpy", "xgboost", "lightgbm"}
MODULES = sorted(path for path in CALLBACKS.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_callback_is_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_callback_imports_its_framework_the_client_and_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            assert (
                name in ("outlast.client", "outlast.callbacks._common") or top in sys.stdlib_module_names | FRAMEWORKS
            )


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The python of an environment without outlast, where a stand-in for LightGBM is installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    return str(folder / "venv" / "bin" / "python")


def run(python: str, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code as a training would be, with the hooks first on the path and a stand-in for LightGBM behind."""
    (cwd / "site").mkdir()
    (cwd / "site" / "lightgbm.py").write_text("")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "PYTHON"))}
    env["PYTHONPATH"] = os.pathsep.join([hooks_path(), str(cwd / "site")])
    return subprocess.run([python, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=False)


CODE = """
from outlast.callbacks.lightgbm import OutlastCallback
import outlast, outlast.client, outlast.callbacks
assert outlast.client.current_trial() is outlast.current_trial()
print(OutlastCallback(rounds=9).rounds_left, outlast.callbacks.__file__, hasattr(outlast, "optimize"))
"""


def test_where_outlast_is_not_installed_the_callbacks_are_those_of_the_runner(tmp_path: Path, bare_python: str) -> None:
    result = run(bare_python, CODE, tmp_path)
    assert (result.stdout.split(), result.stderr) == (["9", str(CALLBACKS / "__init__.py"), "False"], "")


def test_where_outlast_is_installed_the_callbacks_are_its_own(tmp_path: Path) -> None:
    result = run(sys.executable, CODE, tmp_path)
    assert (result.stdout.split(), result.stderr) == (["9", str(CALLBACKS / "__init__.py"), "True"], "")


def test_where_outlast_is_not_installed_nothing_else_of_it_can_be_imported(tmp_path: Path, bare_python: str) -> None:
    code = "import outlast, importlib.util; print([importlib.util.find_spec('outlast.' + n) for n in {!r}])"
    names = sorted(path.stem for path in CALLBACKS.parent.iterdir() if path.stem not in ("callbacks", "client"))
    result = run(bare_python, code.format(names), tmp_path)
    assert result.stdout.strip() == str([None] * len(names)), result.stderr


def test_a_script_that_wants_no_callback_loads_none(tmp_path: Path, bare_python: str) -> None:
    result = run(bare_python, "import outlast, sys; print([n for n in sys.modules if 'callbacks' in n])", tmp_path)
    assert result.stdout == "[]\n"
