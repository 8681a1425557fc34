"""The environment of the training command."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from outlast._system.job_environment import NOT_TAKEN_OVER, first_node, in_job
from outlast._system.observed import FAULT_VARIABLES
from outlast._system.reading import read_json
from outlast._system.tokens import token_room
from outlast.config.secrets import variables_in, with_variables
from outlast.core.file_names import AttemptPaths, StudyNames
from outlast.runner.spec import RunnerSpec


def training_environment(
    spec: RunnerSpec, root: Path, inherited: Mapping[str, str], python_path: str, status: os.stat_result | None = None
) -> dict[str, str]:
    """What the training command sees, on top of what the runner inherited. `status` is the study folder's, where it is known.

    `python_path` is the folder that gives ``import outlast`` and the logging hooks.
    """
    env = {key: value for key, value in inherited.items() if not key.startswith("OUTLAST_")}
    status = os.stat(root) if status is None else status
    trial_dir, attempt = root / spec.trial_dir, AttemptPaths(root / spec.attempt_dir)
    checkpoints = root / spec.checkpoint_dir  # an absolute checkpoint_dir wins
    env.setdefault("MASTER_ADDR", first_node(env) or "127.0.0.1")
    if "MASTER_PORT" not in env:
        env["MASTER_PORT"] = str(_free_port())
    env.update(
        OUTLAST_TRIAL_DIR=str(trial_dir),
        OUTLAST_TRIAL=str(spec.trial),
        OUTLAST_ATTEMPT=str(spec.attempt),
        OUTLAST_CHECKPOINT_DIR=str(checkpoints),
        OUTLAST_SEED=str(spec.seed),
        OUTLAST_PARAMS=str(attempt.params),
        OUTLAST_METRICS=",".join(str(o["name"]) for o in spec.objectives),
        OUTLAST_TOKEN=spec.token(status),
        WANDB_SWEEP_PARAM_PATH=str(attempt.sweep_params),
        PYTHONUNBUFFERED="1",
        PYTHONPATH=_with_hooks(env, python_path),
    )
    if spec.checkpoint_pattern:
        env["OUTLAST_CHECKPOINT_PATTERN"] = "\n".join(spec.checkpoint_pattern)
    if spec.resume:
        env["OUTLAST_RESUME"] = "1"
    if in_job(env) and not spec.srun:
        env.update(NOT_TAKEN_OVER)
    env.update(spec.env)
    for name, value in {**_of_wandb(root, spec.trial, spec.env, status), **_of_trackers(root, spec.trial, env)}.items():
        env.setdefault(name, value)
    if spec.gpus:
        env["CUDA_VISIBLE_DEVICES"] = ",".join(spec.gpus)  # one in the study file limits which these can be
    return env


def _of_wandb(root: Path, trial: int, env: Mapping[str, str], status: os.stat_result) -> dict[str, str]:
    """Where no tracker says another: a trial that logs to W&B goes on with its run, and each fold has one of its own."""
    fold = env.get("OUTLAST_FOLD")
    run = f"{root.name}-{status.st_ino:x}-{trial:04d}"
    return {
        "WANDB_RUN_ID": run if fold is None else f"{run}-fold{fold}",
        "WANDB_RESUME": "allow",
        "WANDB_RUN_GROUP": root.name,
    }


def _of_trackers(root: Path, trial: int, env: Mapping[str, str]) -> dict[str, str]:
    """Variables by which a training logs into the run that a tracker's sink made for its trial.

    A tracker's variables belong together: where one of them is set to something else, none of them is given. ``${NAME}`` in
    them is a variable of the environment, such as a password.
    """
    found: dict[str, str] = {}
    for path in sorted((root / StudyNames.tracking.name).glob("*.environment")):
        known = read_json(path)
        given = known.get(str(trial)) if isinstance(known, dict) else None
        if not isinstance(given, dict):
            continue
        if not all(env.get(name) for value in given.values() for name in variables_in(str(value))):
            continue  # an address without its password is none
        ours = {name: with_variables(str(value), env) for name, value in given.items()}
        if all(env.get(name, value) == value for name, value in ours.items()):
            found.update(ours)
    return found


def worker_environment(env: Mapping[str, str], inherited: Mapping[str, str], python_path: str) -> dict[str, str]:
    """What a process sees that imports a study's function for all trials: everything but what is one trial's own."""
    faults = {key: value for key, value in inherited.items() if key in FAULT_VARIABLES}
    base = {key: value for key, value in inherited.items() if not key.startswith("OUTLAST_")}
    base.update(
        OUTLAST_TRIAL_DIR=".",  # the hooks look for it when the interpreter starts; the process drops it then
        OUTLAST_TOKEN=token_room(),
        PYTHONUNBUFFERED="1",
        PYTHONPATH=_with_hooks(base, python_path),
    )
    return {**base, **faults, **env}


def kept_environment(
    env: Mapping[str, str],
    inherited: Mapping[str, str],
    python_path: str,
    *,
    metrics: Sequence[str],
    pattern: Sequence[str],
) -> dict[str, str]:
    """What a kept worker sees from its start on: everything that is the same for all trials."""
    found = worker_environment(env, inherited, python_path)
    found.setdefault("MASTER_ADDR", first_node(found) or "127.0.0.1")
    found.setdefault("MASTER_PORT", str(_free_port()))
    found["OUTLAST_METRICS"] = ",".join(metrics)
    if pattern:
        found["OUTLAST_CHECKPOINT_PATTERN"] = "\n".join(pattern)
    return found


def of_trial(root: Path, trial: int, env: Mapping[str, str]) -> dict[str, str]:
    """What trackers want of one trial in a kept worker; a variable that the study file sets is left as it is."""
    found = _of_wandb(root, trial, env, os.stat(root))
    if os.path.isdir(f"{root}/{StudyNames.tracking.name}"):
        found.update(_of_trackers(root, trial, {**os.environ, **env}))
    return {name: value for name, value in found.items() if name not in env}


def _with_hooks(env: Mapping[str, str], python_path: str) -> str:
    paths = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path != python_path]
    return os.pathsep.join([python_path, *paths])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
