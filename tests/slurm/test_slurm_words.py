"""SLURM's words stay where SLURM is spoken to."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import outlast
from outlast.executors.slurm.parse import _LIVES

SOURCE = Path(outlast.__file__).parent
_STATES = "|".join(set(_LIVES) - {"RUNNING", "COMPLETED"})  # Optuna and Hydra say these, too
_COMMANDS = "sbatch|squeue|sacct|scontrol|scancel|sinfo|srun"
WORD = re.compile(rf"SLURM_\w+|SLURMD_\w+|SBATCH_\w*|{_COMMANDS}|{_STATES}")
#: Who else may know them, and which.
KNOWN = {
    "_system/job_environment.py": r"SLURM\w+|srun",  # what a job finds in its environment, read on nodes without an executor
    "config/slurm_section.py": r"srun",  # a key of the study file
    "engine/attempts/prepare.py": r"srun",  # likewise
    "executors/psij.py": r"sbatch",  # which scheduler can be reached from here, by its command
    "tracking/mlflow_content.py": r"FAILED",  # MLflow says it, too
    "testing/fake_slurm.py": r".+",  # a cluster for tests
}


def strings(path: Path) -> list[str]:
    return [
        n.value
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]


def test_no_word_of_slurm_lives_outside_of_its_executor() -> None:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        known = KNOWN.get(name, r"(?!)")
        words = {text for text in strings(path) if WORD.fullmatch(text) and not re.fullmatch(known, text)}
        if words and not name.startswith("executors/slurm/"):
            found[name] = words
    assert not found
