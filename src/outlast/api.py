"""Outlast from Python: an existing Optuna objective, or any function, searched with everything that survives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal

from outlast._system import make_dir, read_bytes, write_atomic
from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.best import best_trials
from outlast.core.budget import remaining
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event, Trial
from outlast.core.states import Cause, StudyState
from outlast.engine.check import quick_check
from outlast.engine.coordinator import Listener
from outlast.engine.opening import Opened, set_aside
from outlast.engine.run import recorded_settings, run_study, study_paths
from outlast.engine.running import Running
from outlast.engine.starts import OBJECTIVE
from outlast.errors import StudyFileError, UsageError
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    import optuna

__all__ = ["Result", "optimize"]

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Result:
    """What `optimize` gives back.

    Attributes:
        dir: The study folder; ``outlast status``, ``show`` and every other command take it.
        state: ``done``, or ``stopped`` / ``halted`` with work left: the same call goes on.
        trials: Every trial, by number.
        best_trials: The best complete one; with several objectives, the Pareto front.
    """

    dir: str
    state: StudyState
    trials: tuple[Trial, ...]
    best_trials: tuple[Trial, ...]

    def __repr__(self) -> str:
        best = ", ".join(
            f"trial {trial.number}: {' '.join(f'{value:.6g}' for value in trial.values or ())}"
            for trial in self.best_trials[:5]
        )
        return f"<outlast.Result {self.dir}: {self.state}, {len(self.trials)} trials, best {best or 'none yet'}>"

    @property
    def best_params(self) -> dict[str, Any]:
        """Parameters of the best complete trial. Raises `outlast.errors.UsageError` if there is no such one."""
        return dict(self._the_best().params)

    @property
    def best_value(self) -> float:
        """The best value. Raises `outlast.errors.UsageError` if there is no such one."""
        value = self._the_best().value
        assert value is not None
        return value

    def _the_best(self) -> Trial:
        if not self.best_trials:
            raise UsageError("no trial has completed", cure=f"outlast show {self.dir} failures")
        values = self.best_trials[0].values or ()
        if len(values) > 1:
            raise UsageError("several objectives have no single best", cure="best_trials is the Pareto front")
        return self.best_trials[0]

    @cached_property
    def study(self) -> optuna.Study:
        """The search as an Optuna study, for every tool that takes one."""
        from outlast.optimizer.loading import load_index

        return load_index(os.path.join(self.dir, "study.db"))


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
        name: Of the study; the objective's name by default.
        dir: Study folder; ``studies/NAME`` by default.
        sampler: As in a study file.
        pruner: As in a study file.
        seed: Of the study.
        parallel: Trials side by side.
        isolation: ``worker``: trials are forked from a process that has unpickled the objective and imported what that
            imports, so that one costs milliseconds; it is replaced every 100 trials (``{"worker": k}``: every k), and when
            one ends badly. What is computed on import is then the same in all of them, and GPUs must not be used there.
        timeout: Seconds for the whole study.
        fresh: Set an earlier study in this folder aside.
        accept_changes: Go on although space, sampler, pruner or directions are others than before.
        quiet: Print nothing.

    Returns:
        The result; also when it was stopped early: an interrupted call (Ctrl-C, the notebook's stop button) lets running
        trials leave and returns with the state ``stopped``.

    Raises:
        UsageError: An argument that a study file could not have either, or that changes an earlier study.
        StudyBusy: Somebody runs this study just now.
    """
    import cloudpickle

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
    settings = _settings(resolved)
    folder = os.fspath(dir) if dir is not None else os.path.join("studies", name)
    paths = study_paths(folder, settings)
    say = _silent if quiet else _say
    for finding in quick_check(settings, folder):
        if finding.level == "error":
            raise UsageError(f"{finding.about}: {finding.text}", cure=finding.cure)
    if fresh and (aside := set_aside(paths)) is not None:
        say(f"the earlier study is kept in {os.path.relpath(aside)}")
    places = [os.path.abspath(place) for place in sys.path]
    pickled = cloudpickle.dumps(places) + cloudpickle.dumps((objective, parameters is None))

    def listener(opened: Opened, _slots: int) -> Listener:
        if not opened.new:
            say(_so_far(opened.study, settings, folder))
            if _code_of(objective) != _code_of(_unpickled(paths.root / "objective.pkl"), _code_of(objective)):
                say(f"the objective's code is not what it was for the trials in {folder}; fresh=True starts anew")
        write_atomic(paths.root / "objective.pkl", pickled)
        return _Lines(names, say)

    make_dir(paths.root)
    try:
        verdict, study = run_study(
            paths, settings, listener, accept_changes=accept_changes, handle_signals=_in_main_thread()
        )
    except UsageError as error:
        raise _in_words_of_python(error) from None
    if verdict.state is StudyState.HALTED:
        say(f"{_story(paths, study)}\nhalted: {verdict.reason}\nmend it, then the same call goes on")
    elif verdict.state is not StudyState.DONE:
        say(f"{verdict.state}: the same call goes on")
    settings, _ = recorded_settings(folder, study)
    return Result(folder, verdict.state, tuple(study.trials.values()), tuple(best_trials(study, settings.metrics)))


def _settings(resolved: Mapping[str, Any]) -> Settings:
    try:
        return settings_from_resolved(resolved, os.getcwd())
    except StudyFileError as error:  # there is no file that it could be in
        raise StudyFileError(error.fact, file="optimize()", key=error.key, cure=error.cure) from None


def _in_words_of_python(error: UsageError) -> UsageError:
    if error.cure is None or "--accept-changes" not in error.cure:
        return error
    cure = "accept_changes=True goes on all the same; fresh=True sets the study aside and starts anew; another name= keeps both"
    return UsageError(error.fact.replace("the study file has", "the arguments have"), cure=cure)


def _so_far(study: Study, settings: Settings, folder: str) -> str:
    counted = ", ".join(f"{number} {state}" for state, number in study.counts().items() if number) or "no trials"
    left = remaining(study, settings.budget.trials, settings.budget.count)
    return f"resuming {folder}: {counted}" + ("" if left is None else f", {left} to go")


def _story(paths: StudyPaths, study: Study) -> str:
    """The traceback of the last failure."""
    failed = max((o for o in study.failures_since_run), key=lambda o: o.at, default=None)
    text = None if failed is None else read_bytes(paths.trial(failed.trial).error_log)
    return "" if text is None else text.decode(errors="replace").partition("\n\n")[2].rstrip()


def _unpickled(path: Path) -> Any:
    """The objective of the earlier trials; ``None`` where it cannot be had any more."""
    import cloudpickle

    try:
        with open(path, "rb") as file:
            cloudpickle.load(file)
            return cloudpickle.load(file)[0]
    except Exception:  # whatever its modules do on import; it is only needed for a note
        return None


def _code_of(objective: Any, otherwise: object = None) -> object:
    """What a function does, line numbers left out; `otherwise` for what is no Python function."""
    code = getattr(objective, "__code__", None)
    return otherwise if code is None else _plain_code(code)


def _plain_code(code: CodeType) -> tuple[object, ...]:
    constants = tuple(_plain_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code, code.co_names, constants


def _say(text: str) -> None:
    print(text, flush=True)


def _silent(_text: str) -> None:
    pass


def _name_of(objective: Callable[..., Any]) -> str:
    found = getattr(objective, "__name__", type(objective).__name__)
    return "objective" if not found.isidentifier() else str(found)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


class _Lines(Listener):
    """A plain line per finished trial."""

    def __init__(self, names: Sequence[str], say: Callable[[str], None]) -> None:
        self._names, self._say = names, say

    def decided(self, events: Sequence[Event], study: Study) -> None:
        for event in events:
            if isinstance(event, AttemptEnded) and event.cause is not Cause.NEVER_STARTED:
                pairs = zip(self._names, event.values or (), strict=False)
                values = "".join(f" {name}={value:.6g}" for name, value in pairs)
                reason = f": {event.reason}" if event.reason else ""
                self._say(f"trial {event.trial} {event.state}{values}{reason}")

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        pass

    def said(self, text: str) -> None:
        self._say(text)
