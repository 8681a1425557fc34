"""What others may build on: these names, and no others, stay what they are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import outlast
from outlast import client

SOURCE = Path(outlast.__file__).parent
PUBLIC = {
    "__init__.py": ["Study", "Trial", "__version__", "current_trial", "optimize", "run_local_hpo_sweep", "watch"],
    "client.py": [
        "StopRequest", "Trial", "checkpoints_in", "current_trial", "newest_checkpoint", "random_states",
        "restore_random_states",
    ],
    "api/__init__.py": ["Result", "Study", "optimize"],
    "errors.py": [
        "NO_ROOM", "DiskFull", "JobRefused", "LeaseLost", "LedgerDamaged", "LedgerTooNew", "MissingExtra", "OutlastError",
        "SchedulerUnavailable",
        "SegmentLost", "SlurmMissing", "SlurmRefused", "SlurmUnavailable", "StorageError", "StudyBusy", "StudyFileError",
        "StudyNotFound", "UsageError",
    ],
    "tracking/__init__.py": ["setup_mlflow_cross_platform", "setup_mlflow_from_config"],
    "callbacks/huggingface.py": ["OutlastCallback", "resume_from"],
    "callbacks/keras.py": ["OutlastCallback"],
    "callbacks/lightgbm.py": ["OutlastCallback"],
    "callbacks/lightning.py": ["OutlastCallback", "resume_path"],
    "callbacks/xgboost.py": ["OutlastCallback"],
    "testing/manual_clock.py": ["FakeClock"],
    "testing/executors.py": ["ExecutorContract", "Lab", "LabAttempt"],
    "testing/fault_injection.py": ["Faults", "install_from_environment"],
    "testing/fake_slurm.py": ["FakeSlurm", "LocalSlurm"],
    "testing/sinks.py": ["KeptMemory", "SinkContract"],
    "testing/studies.py": ["StudyBuilder"],
}  # fmt: skip


def exported(path: Path) -> list[str] | None:
    """The list of exports that a module declares; read, as its framework may be missing."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


#: For executors of others: a room that is private but for these.
FOR_EXECUTORS = {
    "executors/base.py": {"Executor", "StudyFacts"},
    "executors/scheduler_jobs.py": {"JobExecutor", "runner_command"},
}


@pytest.mark.parametrize("module", FOR_EXECUTORS)
def test_what_executors_of_others_are_made_of_stays(module: str) -> None:
    made = ast.parse((SOURCE / module).read_text()).body
    named = {node.name for node in made if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert {name for name in named if not name.startswith("_")} == FOR_EXECUTORS[module]


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_exports_what_it_promises(module: str) -> None:
    assert exported(SOURCE / module) == PUBLIC[module]


def test_what_is_loaded_lazily_is_there_and_nothing_else_is() -> None:
    assert set(outlast._LAZY) == set(PUBLIC["__init__.py"]) - {"__version__"}
    assert (outlast.Trial, outlast.current_trial) == (client.Trial, client.current_trial)
    assert callable(outlast.optimize)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = outlast.nothing  # type: ignore[attr-defined]


def test_every_name_that_the_client_exports_is_its_own() -> None:
    assert all(getattr(client, name).__module__ == "outlast.client" for name in client.__all__)


def test_every_module_for_tests_and_every_callback_is_public() -> None:
    found = {f"{room}/{path.name}" for room in ("testing", "callbacks") for path in (SOURCE / room).glob("[!_]*.py")}
    assert found == {module for module in PUBLIC if module.startswith(("testing/", "callbacks/"))}


def test_what_is_private_to_the_package_declares_no_exports() -> None:
    rooms = (
        "_system",
        "core",
        "space",
        "config",
        "study",
        "optimizer",
        "objective",
        "runner",
        "executors",
        "monitor",
        "results",
        "engine",
        "cli",
    )
    private = [path for room in rooms for path in (SOURCE / room).rglob("*.py") if "hooks" not in path.parts]
    names = {path.relative_to(SOURCE).as_posix() for path in private if exported(path) is not None}
    assert names <= PUBLIC.keys() | FOR_EXECUTORS.keys()
