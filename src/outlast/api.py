"""Outlast from Python: an existing Optuna objective, or any function, searched with everything that survives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from outlast._system.files import write_atomic
from outlast._system.reading import read_bytes
from outlast.config.load import settings_from_resolved
from outlast.config.settings import OBJECTIVE, Settings
from outlast.core.best import best_trial, best_trials
from outlast.core.budget import counted, remaining
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import AttemptEnded, Event, Trial
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine import launch
from outlast.engine.coordinator.listener import Listener, Saying
from outlast.engine.objective_identity import Fingerprint, compared, fingerprint_of, pickled_objective, remember
from outlast.engine.record.examine import read_study
from outlast.engine.record.look import look
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import StudyFileError, UsageError
from outlast.results.trial_table import TrialTable
from outlast.study.home import home_of, live_of
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

if TYPE_CHECKING:
    import optuna

__all__ = ["Result", "optimize"]

Direction = Literal["minimize", "maximize"]

_GOES_ON = "accept_changes=True goes on all the same"
_FRESH = "fresh=True sets the earlier study aside and starts anew"


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
        return f"<outlast.Result {self.dir}: {self.state}, {_trials(len(self.trials))}, best {best or 'none yet'}>"

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

    @classmethod
    def of(cls, dir: str | os.PathLike[str]) -> Result:
        """What a study folder holds, whoever ran it: ``outlast run``, a cluster, or `optimize`.

        Raises:
            StudyNotFound: There is no study in this folder.
        """
        folder = live_of(dir)
        snapshot, study, settings = look(folder)
        best = best_trials(study, settings.metrics)
        return cls(os.fspath(dir), snapshot.state, tuple(study.trials.values()), tuple(best))

    def trials_dataframe(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """Every trial as a row of a data frame: the columns of ``trials.csv``, typed; unfinished trials as well.

        Args:
            library: Whose data frame; by default whichever is installed, pandas first.

        Raises:
            outlast.errors.MissingExtra: Neither is installed; the message says how to.
        """
        from outlast.results.trial_frame import frame_of

        settings, study = recorded_settings(live_of(self.dir))
        return frame_of(TrialTable(settings).columns(study), library)

    @cached_property
    def study(self) -> optuna.Study:
        """The search as an Optuna study, for every tool that takes one."""
        from outlast.optimizer.index_build import load_index

        return load_index(StudyPaths.at(live_of(self.dir)).index)


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

    lines = _Lines(settings, folder, paths, say)

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
        raise UsageError(fact, cure=f"name= keeps both, each in a folder of its own; {_GOES_ON}; {_FRESH}")
    return f"not the objective of the trials in {folder}: {difference}" if difference else ""


def _settings(resolved: Mapping[str, Any]) -> Settings:
    try:
        return settings_from_resolved(resolved, os.getcwd())
    except StudyFileError as error:  # there is no file that it could be in
        raise StudyFileError(error.fact, file="optimize()", key=error.key, cure=error.cure) from None


def _in_words_of_python(error: UsageError) -> UsageError:
    if error.cure is None or "--accept-changes" not in error.cure:
        return error
    cure = f"{_GOES_ON}; {_FRESH}; another name= keeps both"
    return UsageError(error.fact.replace("the study file has", "the arguments have"), cure=cure)


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _values(settings: Settings, values: Sequence[float] | None) -> str:
    return "".join(f" {m.name}={value:.6g}" for m, value in zip(settings.metrics, values or (), strict=False))


def _story(paths: StudyPaths, study: Study) -> str:
    failed = max((o for o in study.failures_since_run), key=lambda o: o.at, default=None)
    text = None if failed is None else read_bytes(paths.trial(failed.trial).error_log)
    return "" if text is None else text.decode(errors="replace").partition("\n\n")[2].rstrip()


def _silent(_text: str) -> None:
    pass


def _name_of(objective: Callable[..., Any]) -> str:
    found = getattr(objective, "__name__", type(objective).__name__)
    return "objective" if not found.isidentifier() else str(found)


class _Lines(Saying):
    """What is printed: how a search begins, a plain line per finished trial, and how it came to rest."""

    def __init__(self, settings: Settings, folder: str, paths: StudyPaths, say: Callable[[str], object]) -> None:
        super().__init__(say)
        self._settings, self._folder, self._paths = settings, folder, paths

    def begun(self, opened: Opened, slots: int, changed: str) -> None:
        """Where it lies, what is there, what is to do, and that it can be interrupted."""
        folder, budget = self._folder, self._settings.budget
        left = remaining(opened.study, budget.trials, budget.count)
        there = ", ".join(f"{number} {state}" for state, number in opened.study.counts().items() if number)
        so_far = f"new study {folder}" if opened.new else f"resuming {folder}: {there or 'no trials'}"
        to_go = "" if left is None else f", {left} to go" if not opened.new else f": {_trials(left)}"
        self._say(f"{so_far}{to_go}, {slots} at a time; resumable: interrupted or killed, the same call goes on")
        if home_of(self._paths) is not None:
            self._say(f"the search runs in {self._paths.root}; its records are brought to {folder} after each trial")
        if changed:
            self._say(f"{changed}: {_FRESH}")

    def ended(self, verdict: Verdict, study: Study) -> None:
        """How it came to rest, what was best, and where everything is."""
        best = best_trial(study, self._settings.metrics)
        values = "" if best is None else f", best trial {best.number}:{_values(self._settings, best.values)}"
        said = f"{verdict.state}: {_trials(len(study.trials))} in {self._folder}{values}"
        if verdict.state is StudyState.HALTED:
            self._say(_story(self._paths, study))
            said += f"; {verdict.reason}\nmend it, then the same call goes on"
        elif verdict.state is not StudyState.DONE:
            said += "; the same call goes on"
        self._say(said)

    def decided(self, events: Sequence[Event], study: Study) -> None:
        for event in events:
            if isinstance(event, AttemptEnded) and event.cause is not Cause.NEVER_STARTED:
                reason = f": {event.reason}" if event.reason else ""
                values = _values(self._settings, event.values)
                self._say(f"trial {event.trial} {event.state}{values}{reason}{self._progress(study)}")

    def _progress(self, study: Study) -> str:
        budget, metrics = self._settings.budget, self._settings.metrics
        of = f"{counted(study, budget.count)}" + ("" if budget.trials is None else f" of {budget.trials}")
        extremes = study.extreme_values if len(metrics) == 1 else None
        best = "" if extremes is None else f", best{_values(self._settings, [extremes[metrics[0].goal == 'maximize']])}"
        return f"  ({of}{best})"
