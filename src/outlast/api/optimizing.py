"""`outlast.optimize`: an existing Optuna objective, or any function, searched with everything that survives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from outlast.api.as_optuna import Pruner, Sampler, called, caught, chosen, refuse_words
from outlast.api.called_back import After, Callback
from outlast.api.creating import given_from
from outlast.api.described import Described
from outlast.api.handed_over import HandedOver
from outlast.api.result import Result
from outlast.api.searching import search
from outlast.config.placeholders import folder_of
from outlast.errors import UsageError

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
    sampler: Sampler = "auto",
    pruner: Pruner = "none",
    seed: int | None = None,
    catch: Iterable[type[Exception]] | type[Exception] | None = None,
    callbacks: Iterable[Callback] = (),
    parallel: int | Literal["auto"] = "auto",
    isolation: Literal["process", "worker", "kept"] | Mapping[str, int] = "process",
    timeout: float | None = None,
    retries: int = 0,
    start_from: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
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
        sampler: As in a study file, or an Optuna sampler, as far as a record can say what it was made with.
        pruner: As in a study file, or an Optuna pruner.
        seed: Of the study.
        catch: As Optuna's: exceptions that only fail their trial, and then failed trials count towards `trials` and no number
            of them halts the search; any other exception ends it. Without it, every exception only fails its trial, and
            failures that are all alike halt the search. It does not go with `parameters`, and neither do a sampler's constraints.
        callbacks: As Optuna's: called in this process after each trial, with an `optuna.Study` and the trial. What one raises
            brings the search to rest and comes out of this call.
        parallel: Trials side by side.
        isolation: ``worker``: trials are forked from a process that has unpickled the objective and imported what that
            imports, so that one costs milliseconds; it is replaced every 100 trials (``{"worker": k}``: every k), and when
            one ends badly. What is computed on import is then the same in all of them, and GPUs must not be used there.
            ``kept``: trials of a well-behaved objective run one after the other in processes that stay, without a fork or a
            file each (``{"kept": k}``: a process is replaced after every k trials, 1,000 otherwise).
        timeout: Seconds for the whole study.
        retries: How often a trial whose process crashed is tried again.
        start_from: Earlier studies, whose best are a new study's first trials; with `parameters`.
        fresh: Set an earlier study in this folder aside.
        accept_changes: Go on although space, sampler, pruner, directions or the objective are others than before.
        quiet: Print nothing.
        study_file: Any other key of a study file: ``checkpoints={"keep": 3}``, ``enqueue=[{"lr": 0.1}]``, ``notify="ntfy://topic"``,
            ``budget={"max_failures": 5}`` beside `trials`.

    Returns:
        The result; also when it was stopped early: an interrupted call (Ctrl-C, the notebook's stop button) lets running
        trials leave and returns with the state ``stopped``.

    Raises:
        UsageError: An argument that a study file could not have either, or that changes an earlier study.
        StudyBusy: Somebody runs this study just now.
        Exception: What a callback raised.
    """
    refuse_words(study_file)
    after = After(called(callbacks), strict=catch is not None)
    drawn_by, pruned_by, constraints = chosen(sampler, pruner)
    around: dict[str, Any] = {} if constraints is None else {"constraints": constraints}
    if catch is not None:
        around["catch"] = caught(catch)
    if around and parameters is not None:
        raise UsageError(f"{min(around)}: is for an objective that takes a trial", cure="leave parameters= out")
    names = ["value"] if directions is None else [f"value_{i}" for i in range(len(directions))]
    goals = [direction] if directions is None else list(directions)
    said: dict[str, Any] = {
        "metric": [{"name": n, "goal": g} for n, g in zip(names, goals, strict=True)],
        "parameters": dict(parameters or {}),
        "budget": {key: value for key, value in (("trials", trials), ("time", timeout)) if value is not None},
        "sampler": drawn_by
        if seed is None
        else {**({"name": drawn_by} if isinstance(drawn_by, str) else drawn_by), "seed": seed},
        "pruner": pruned_by,
        "parallel": parallel,
        "isolation": isolation if isinstance(isolation, str) else dict(isolation),
        "trial": {"retries": retries} if retries else {},
    }
    if catch is not None:  # a failed trial is one of `trials`, as with Optuna
        said["budget"]["count"] = ["complete", "pruned", "failed", "infeasible"]
    for key, value in study_file.items():
        both = isinstance(value, Mapping) and isinstance(said.get(key), dict)
        said[key] = {**said[key], **value} if both else value
    handed = HandedOver(objective, takes_trial=parameters is None, around=around)
    described = Described(
        {key: value for key, value in said.items() if value != {}} | {"name": name or handed.name},
        "optimize()",
        objective=handed,
    )
    folder = folder_of(described.settings(), None if dir is None else os.fspath(dir))
    return search(
        described,
        folder,
        fresh=fresh,
        accept_changes=accept_changes,
        quiet=quiet,
        given=given_from(start_from),
        after=after,
    )
