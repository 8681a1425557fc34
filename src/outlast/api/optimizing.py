"""`outlast.optimize`: an existing Optuna objective, or any function, searched with everything that survives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from outlast._system.files import write_atomic
from outlast.api.result import Result
from outlast.api.said_lines import FRESH, SaidLines
from outlast.config.load import settings_from_resolved
from outlast.config.settings import OBJECTIVE, Settings
from outlast.core.best import best_trials
from outlast.core.states import TrialState
from outlast.engine import launch
from outlast.engine.coordinator.listener import Listener
from outlast.engine.objective_identity import Fingerprint, compared, fingerprint_of, pickled_objective, remember
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import StudyFileError, UsageError
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

Direction = Literal["minimize", "maximize"]

_GOES_ON = "accept_changes=True goes on all the same"


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

    Returns:
        The result; also when it was stopped early: an interrupted call (Ctrl-C, the notebook's stop button) lets running
        trials leave and returns with the state ``stopped``.

    Raises:
        UsageError: An argument that a study file could not have either, or that changes an earlier study.
        StudyBusy: Somebody runs this study just now.
    """
    name = name or _name_of(objective)
    names = ["value"] if directions is None else [f"value_{i}" for i in range(len(directions))]
    goals = [direction] if directions is None else list(directions)
    resolved: dict[str, Any] = {
        "name": name,
        "function": OBJECTIVE,
        "metric": [{"name": n, "goal": g} for n, g in zip(names, goals, strict=True)],
        "parameters": dict(parameters or {}),
        "budget": {key: value for key, value in (("trials", trials), ("time", timeout)) if value is not None},
        "sampler": sampler
        if seed is None
        else {**({"name": sampler} if isinstance(sampler, str) else sampler), "seed": seed},
        "pruner": pruner,
        "parallel": parallel,
        "isolation": isolation if isinstance(isolation, str) else dict(isolation),
    }
    if retries:
        resolved["trial"] = {"retries": retries}
    settings = _settings(resolved)
    folder = os.fspath(dir) if dir is not None else os.path.join("studies", name)
    say = _silent if quiet else partial(print, flush=True)
    paths = study_paths(launch.make_ready(settings, folder, fresh=fresh, say=say), settings)
    own = fingerprint_of(objective)
    changed = _compared_with_earlier(paths, folder, own, accept_changes)
    pickled = pickled_objective(objective, takes_trial=parameters is None)

    lines = SaidLines(settings, folder, paths, say)

    def listener(opened: Opened, slots: int) -> Listener:
        lines.begun(opened, slots, changed)
        write_atomic(paths.objective, pickled)
        remember(paths.root, own)
        return lines

    try:
        verdict, study = launch.run(paths, settings, listener, tell=lines.ended, accept_changes=accept_changes, say=say)
    except UsageError as error:
        raise _in_words_of_python(error) from None
    recorded, _ = recorded_settings(paths.root, study)
    return Result(folder, verdict.state, tuple(study.trials.values()), tuple(best_trials(study, recorded.metrics)))


def _compared_with_earlier(paths: StudyPaths, folder: str, own: Fingerprint, accept_changes: bool) -> str:
    """In what the objective differs from that of the trials that are there.

    Raises:
        UsageError: They are two objectives under one name.
    """
    if not paths.exists:
        return ""
    trials = read_study(paths)
    results = bool(trials.in_state(TrialState.COMPLETE, TrialState.PRUNED))
    two, difference = compared(paths.root, own, results=results)
    if two and not accept_changes:
        fact = f"{folder} holds trials of another objective: {difference}"
        raise UsageError(fact, cure=f"name= keeps both, each in a folder of its own; {_GOES_ON}; {FRESH}")
    return f"not the objective of the trials in {folder}: {difference}" if difference else ""


def _settings(resolved: Mapping[str, Any]) -> Settings:
    try:
        return settings_from_resolved(resolved, os.getcwd())
    except StudyFileError as error:  # there is no file that it could be in
        raise StudyFileError(error.fact, file="optimize()", key=error.key, cure=error.cure) from None


def _in_words_of_python(error: UsageError) -> UsageError:
    if error.cure is None or "--accept-changes" not in error.cure:
        return error
    cure = f"{_GOES_ON}; {FRESH}; another name= keeps both"
    return UsageError(error.fact.replace("the study file has", "the arguments have"), cure=cure)


def _silent(_text: str) -> None:
    pass


def _name_of(objective: Callable[..., Any]) -> str:
    found = getattr(objective, "__name__", type(objective).__name__)
    return "objective" if not found.isidentifier() else str(found)
