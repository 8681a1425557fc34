"""The study file's ``slurm:`` section: sbatch's own options, and a few of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from outlast.errors import StudyFileError

__all__ = ["SlurmOptions", "read_options"]

_OURS = (
    "mode",
    "setup",
    "trials_per_task",
    "trials_at_once",
    "poll",
    "controller",
    "srun",
    "purge_days",
    "barrier",
    "throttle",
)
_MANAGED = {
    "array": "Outlast sets it to what the budget lacks",
    "job_name": "it is the study's name, so that jobs are found again",
    "output": "logs lie in the study folder",
    "error": "logs lie in the study folder",
    "requeue": "Outlast requeues what may be requeued",
    "no_requeue": "Outlast requeues what may be requeued",
    "signal": "Outlast sees the walltime coming by itself",
    "dependency": "the finisher depends on the array",
    "wrap": "the script is Outlast's",
    "chdir": "it is the study file's folder",
    "export": "trials get what `env:` says",
    "open_mode": "logs are appended to",
    "parsable": "Outlast reads the answer",
}


@dataclass(frozen=True)
class SlurmOptions:
    """What ``slurm:`` asks for."""

    mode: Literal["array", "controller"] = "array"
    sbatch: Mapping[str, str | None] = field(default_factory=dict)  # option without dashes → value; None: a flag
    setup: tuple[str, ...] = ()
    throttle: int | None = None  # %M: tasks at once


def read_options(
    section: Mapping[str, Any] | None, *, gpus: float, cpus: int | None, memory: int | None
) -> SlurmOptions:
    """Check a ``slurm:`` section and complete it from ``resources:``.

    Args:
        section: As given.
        gpus: Of `resources`.
        cpus: Of `resources`.
        memory: Of `resources`, bytes.

    Raises:
        StudyFileError: An option that Outlast manages itself, or a value that is no option's.
    """
    given = {key.replace("-", "_"): value for key, value in (section or {}).items()}
    for key in given:
        if key in _MANAGED:
            raise StudyFileError(f"`{key}` is managed by Outlast: {_MANAGED[key]}", key=f"slurm.{key}")
    mode = given.get("mode", "array")
    if mode not in ("array", "controller"):
        raise StudyFileError(f"mode is array or controller, not {mode!r}", key="slurm.mode")
    setup = given.get("setup", ())
    if isinstance(setup, str):
        setup = (setup,)
    sbatch = {
        key.replace("_", "-"): _text(key, value)
        for key, value in given.items()
        if key not in _OURS and value is not False
    }
    defaults = {
        "gpus": f"{int(gpus)}" if gpus >= 1 and not any("gpus" in k or k == "gres" for k in sbatch) else None,
        "cpus-per-task": f"{cpus}" if cpus else None,
        "mem": f"{memory // 2**20}M" if memory and not any(k.startswith("mem") for k in sbatch) else None,
    }
    for key, value in defaults.items():
        if value is not None:
            sbatch.setdefault(key, value)
    throttle = given.get("throttle")
    return SlurmOptions(mode, sbatch, tuple(str(line) for line in setup), None if throttle is None else int(throttle))


def _text(key: str, value: Any) -> str | None:
    if value is True or value is None:
        return None
    if isinstance(value, (dict, list)) or "\n" in str(value):
        raise StudyFileError(f"{value!r} is no value of an sbatch option", key=f"slurm.{key}")
    return str(value)
