"""`outlast.optimize`: an existing Optuna objective, or any function, searched with everything that survives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from outlast._system.platforms import studies_folder
from outlast.api.described import Described
from outlast.api.handed_over import HandedOver
from outlast.api.result import Result
from outlast.api.searching import search
from outlast.config.placeholders import folder_of

Direction = Literal["minimize", "maximize"]


def optimize(
    objective: Callable[..., Any],
    *,
    trials: int | None = None,
    direction: Direction = "minimize",
    directions: Sequence[Direction] | None = None,
    parameters: Mapping[str, Any] | None = None,
    name: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    sampler: str | Mapping[str, Any] = "auto",
    pruner: str | Mapping[str, Any] = "none",
    seed: int | None = None,
    parallel: int | Literal["auto"] = "auto",
    isolation: Literal["process", "worker"] | Mapping[str, int] = "process",
    timeout: float | None = None,
    retries: int = 0,
    fresh: bool = False,
    accept_changes: bool = False,
    quiet: bool = False,
    **study_file: Any,
) -> Result:
    """Search for the best parameters of a Python objective; the same call again goes on with exactly the rest.

    Every trial runs in a process of its own; the objective travels there by cloudpickle, closures and notebook cells included.
    Parameters are durable as they are drawn.

    Args:
        objective: An Optuna objective ``objective(trial)``; with `parameters`, a function of those parameters. It returns one
            number, or one per direction.
        trials: Total number of trials of the study, over all calls.
        direction: Of the single value. Optuna's default.
        directions: One per value, for several objectives.
        parameters: A search space as in a study file's ``parameters``; without it, the objective draws by ``trial.suggest_*``.
        name: Of the study; the objective's name by default. Another objective of that name is refused.
        dir: Study folder; ``studies/NAME`` by default. On a drive without locks it is a home, and the search runs on this
            machine, as with ``outlast run``.
        sampler: As in a study file.
        pruner: As in a study file.
        seed: Of the study.
        parallel: Trials side by side.
        isolation: ``worker``: trials are forked from a process that has unpickled the objective and imported what that
            imports, so that one costs milliseconds; it is replaced every 100 trials (``{"worker": k}``: every k), and when
            one ends badly. What is computed on import is then the same in all of them, and GPUs must not be used there.
        timeout: Seconds for the whole study.
        retries: How often a trial whose process crashed is tried again.
        fresh: Set an earlier study in this folder aside.
        accept_changes: Go on although space, sampler, pruner, directions or the objective are others than before.
        quiet: Print nothing.
        study_file: Any other key of a study file: ``checkpoints={"keep": 3}``, ``notify="ntfy://topic"``,
            ``budget={"max_failures": 5}`` beside `trials`.

    Returns:
        The result; also when it was stopped early: an interrupted call (Ctrl-C, the notebook's stop button) lets running
        trials leave and returns with the state ``stopped``.

    Raises:
        UsageError: An argument that a study file could not have either, or that changes an earlier study.
        StudyBusy: Somebody runs this study just now.
    """
    names = ["value"] if directions is None else [f"value_{i}" for i in range(len(directions))]
    goals = [direction] if directions is None else list(directions)
    said: dict[str, Any] = {
        "metric": [{"name": n, "goal": g} for n, g in zip(names, goals, strict=True)],
        "parameters": dict(parameters or {}),
        "budget": {key: value for key, value in (("trials", trials), ("time", timeout)) if value is not None},
        "sampler": sampler
        if seed is None
        else {**({"name": sampler} if isinstance(sampler, str) else sampler), "seed": seed},
        "pruner": pruner,
        "parallel": parallel,
        "isolation": isolation if isinstance(isolation, str) else dict(isolation),
        "trial": {"retries": retries} if retries else {},
    }
    for key, value in study_file.items():
        both = isinstance(value, Mapping) and isinstance(said.get(key), dict)
        said[key] = {**said[key], **value} if both else value
    handed = HandedOver(objective, takes_trial=parameters is None)
    described = Described(
        {key: value for key, value in said.items() if value != {}} | {"name": name or handed.name},
        "optimize()",
        objective=handed,
    )
    folder = os.path.join(studies_folder(), name or handed.name) if dir is None else os.fspath(dir)
    if "{" in folder:
        folder = folder_of(described.settings(), folder)
    return search(described, folder, fresh=fresh, accept_changes=accept_changes, quiet=quiet)
