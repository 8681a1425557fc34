"""The client as one file: old Python, no other module, cheap."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import outlast
from outlast.runner.hooks import hooks_path

CLIENT = Path(outlast.__file__).with_name("client.py")
TRAINING_FILES = [CLIENT, *(path for path in Path(hooks_path()).glob("*.py") if path.name != "__init__.py")]


def test_what_runs_in_the_training_is_python_3_8() -> None:
    for path in TRAINING_FILES:
        ast.parse(path.read_text(), feature_version=(3, 8))


def test_what_runs_in_the_training_imports_the_standard_library_only() -> None:
    ours = {path.stem for path in TRAINING_FILES}
    for path in TRAINING_FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names | ours, f"{path.name} imports {name}"


def test_importing_it_loads_nothing_that_costs_milliseconds() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(CLIENT.parent)!r}); before = set(sys.modules); import client;"
        "print(sorted(set(sys.modules) - before))"
    )
    output = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert ast.literal_eval(output) == ["__future__", "client"]


def test_importing_the_whole_package_in_a_training_script_costs_no_more() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(CLIENT.parent.parent)!r}); import importlib, os; before = set(sys.modules);"
        "import outlast; outlast.current_trial(); print(sorted(set(sys.modules) - before))"
    )
    output = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(ast.literal_eval(output)) - {"__future__"} == {"outlast", "outlast._version", "outlast.client"}


def test_placed_alone_on_the_path_it_is_outlast(tmp_path: Path) -> None:
    (tmp_path / "outlast.py").write_bytes(CLIENT.read_bytes())
    env = {key: value for key, value in os.environ.items() if not key.startswith("OUTLAST_")}
    code = "import outlast; t = outlast.current_trial(); t.report(step=0, a=1); print(outlast.__file__, t.number)"
    output = subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.split() == [str(tmp_path / "outlast.py"), "0"]


def _measure(code: str, tmp_path: Path, name: str) -> float:
    """The best of five measurements in a process that imports the client from bytecode, as from its second start on."""
    (tmp_path / "outlast.py").write_bytes(CLIENT.read_bytes())
    (tmp_path / "attempts" / "1").mkdir(parents=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "PYTHON"))}
    env.update(PYTHONPATH=str(tmp_path), OUTLAST_TRIAL_DIR=str(tmp_path), OUTLAST_ATTEMPT="1")
    runs = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        for _ in range(5)
    ]
    best = min(float(run) for run in runs)
    print(f"{name}: {best:.2f}")
    return best


def test_the_import_costs_at_most_fifteen_milliseconds(tmp_path: Path) -> None:
    code = "import time; t = time.perf_counter(); import outlast; outlast.current_trial(); print(1e3 * (time.perf_counter() - t))"
    assert _measure(code, tmp_path, "import, ms") <= 15


def test_a_report_costs_at_most_fifty_microseconds(tmp_path: Path) -> None:
    code = (
        "import time, outlast\ntrial = outlast.current_trial(); trial.report(a=1.0); took = []\n"
        "for step in range(1000):\n"
        "    t = time.perf_counter(); trial.report(step=step, val_accuracy=0.5, loss=1.0)\n"
        "    took.append(time.perf_counter() - t)\n"
        "print(1e6 * sorted(took)[500])"
    )
    assert _measure(code, tmp_path, "report, µs") <= 50
