"""What the study file's ``slurm:`` section, with the site's defaults under it, asks of SLURM."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from outlast.config.settings import ResourceSettings
from outlast.config.slurm_section import OWN_KEYS
from outlast.errors import UsageError

_POLL = 60.0
#: What finisher and controller take over from the trials' options: where jobs go, and on whose account.
_PLACE = ("account", "partition", "qos", "reservation", "wckey")


#: sbatch(1), ``--signal``.
_SIGNAL = re.compile(r"(?:(?P<to>[RB]):)?(?P<name>[A-Z]+\d?|\d+)(?:@(?P<at>\d+))?", re.IGNORECASE)
_NOTICE_S = 60.0  # by default; likewise


class SlurmOptions(Struct, frozen=True):
    """Typed. Options of sbatch are by name without dashes before them; ``None`` is a flag."""

    mode: Literal["array", "controller"] = "array"  # how trials get to nodes
    sbatch: Mapping[str, str | None] = {}  # for jobs that run trials
    small: Mapping[str, str | None] = {}  # for the finisher and the controller
    setup: tuple[str, ...] = ()  # lines of shell before the command
    trials_per_task: int = 1  # one after the other
    trials_at_once: int = 1  # side by side in one task
    poll: float = _POLL  # seconds between two listings of the controller
    srun: bool = False  # whether the training is started by srun
    dependency: str | None = None  # what the search waits for before it begins
    # seconds before the walltime's end at which SLURM is to tell our jobs; None where it is not
    notice_s: float | None = None


def read_options(
    section: Mapping[str, Any] | None, resources: ResourceSettings, *, site: Mapping[str, Any] | None = None
) -> SlurmOptions:
    """Complete a ``slurm:`` section from the site's defaults and ``resources:``.

    Args:
        section: As `outlast.config.slurm_section.SLURM` read it.
        site: Defaults for every study, in the same form.

    Raises:
        UsageError: Two options do not go together.
    """
    given = {**(site or {}), **(section or {})}
    _refuse(given)
    at_once = int(given.get("trials_at_once", 1))
    sbatch = _options(given)
    for key, value in _needs(resources, at_once, sbatch).items():
        sbatch.setdefault(key, value)
    place = {key: value for key, value in sbatch.items() if key in _PLACE}
    setup = given.get("setup", ())
    dependency = sbatch.pop("dependency", None)
    return SlurmOptions(
        mode=given.get("mode", "array"),
        sbatch=sbatch,
        small={"ntasks": "1", "cpus-per-task": "1", **place, **_options(given.get("controller", {}))},
        setup=(setup,) if isinstance(setup, str) else tuple(str(line) for line in setup),
        trials_per_task=int(given.get("trials_per_task", 1)),
        trials_at_once=at_once,
        poll=float(given.get("poll", _POLL)),
        srun=bool(given.get("srun", False)),
        dependency=dependency,
        notice_s=_notice_s(sbatch.get("signal")),
    )


def _refuse(given: Mapping[str, Any]) -> None:
    """What would be taken and come to nothing."""
    at_once = int(given.get("trials_at_once", 1))
    if given.get("srun") and at_once > 1:
        raise UsageError(
            f"slurm: `srun` with `trials_at_once: {at_once}`: the second trial's step would wait until the first has ended",
            cure="leave one of them out; torchrun on one node needs no srun",
        )
    if given.get("barrier") and given.get("mode", "array") == "array":
        fact = (
            "slurm: `barrier` in mode array: each task fetches its trials by itself, and nobody holds a batch together"
        )
        raise UsageError(fact, cure="slurm: {mode: controller}, or leave it out")

    if given.get("signal") is not None:
        _refuse_signal(str(given["signal"]), srun=bool(given.get("srun")))


def _refuse_signal(told: str, *, srun: bool) -> None:
    """A signal that would reach nobody, or that would end Outlast instead of being heard by the training."""
    instead = (
        "leave it out: trainings are asked to stop trial.grace before the walltime is over, and go on in the next job"
    )
    form = _SIGNAL.fullmatch(told)
    if form is None:
        fact = f"slurm: `signal: {told}` is not of sbatch's form"
        raise UsageError(fact, cure="[B:]NAME[@seconds], such as B:TERM@120")
    name = form["name"].upper().removeprefix("SIG")
    if (form["to"] or "").upper() == "B" and name not in ("TERM", "15"):
        fact = f"slurm: `signal: {told}` reaches Outlast and not the training, which expects no {name}"
        raise UsageError(fact, cure=instead)
    if (form["to"] or "").upper() != "B" and not srun:
        fact = f"slurm: `signal: {told}` reaches job steps, and without `srun` the training is none"
        raise UsageError(fact, cure=f"{instead}; or srun: true; or B:TERM@seconds")


def _notice_s(told: str | None) -> float | None:
    form = _SIGNAL.fullmatch(told or "")
    return float(form["at"] or _NOTICE_S) if form is not None and (form["to"] or "").upper() == "B" else None


def _options(given: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        key.replace("_", "-"): None if value is True else str(value)
        for key, value in given.items()
        if key not in OWN_KEYS and value is not False and value is not None
    }


def _needs(resources: ResourceSettings, at_once: int, sbatch: Mapping[str, str | None]) -> dict[str, str]:
    """`resources` in sbatch's words, where the section does not say it in its own."""
    needs = {}
    if resources.gpus and not any("gpu" in key or key in ("gres", "tres-per-task") for key in sbatch):
        needs["gpus"] = str(max(1, round(resources.gpus * at_once)))
    if resources.cpus:
        needs["cpus-per-task"] = str(resources.cpus * at_once)
    if resources.memory and not any(key.startswith("mem") for key in sbatch):
        needs["mem"] = f"{resources.memory * at_once // 2**20}M"
    return needs
