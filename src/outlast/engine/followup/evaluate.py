"""`evaluate`: a model is scored on the test set. Looks are counted: who looks again and again chooses by the test set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.clock import utc_now
from outlast._system.reading import read_json
from outlast.config.settings import EvaluateSettings, MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, Event, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.prepare import next_attempt
from outlast.engine.followup.child import Followup, Repetition, Search
from outlast.engine.followup.looks import REPLACED, is_untold, looks_in, said_of
from outlast.engine.followup.model_files import model_in
from outlast.engine.followup.refit import ONE_TRAINING, relative_to
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.opened import opened_briefly

#: What an evaluation has no use for: it trains nothing, and keeps nothing.
_UNUSED = {"resume_args": None, "oom": None}
#: States of a trial that nobody is at, and that is not done.
_WAITING = (TrialState.CREATED, TrialState.INTERRUPTED)


class Model(Struct, frozen=True):
    """What is scored.

    Attributes:
        of: The search's trial whose configuration it has.
        seed: That it was trained with.
        refit: The refit's trial that trained it; ``None``: the search's own did.
        made_at: When that training ended; tells it from one that took its place.
        path: The newest checkpoint, or the folder of a model that was saved as Hugging Face does.
        checkpoints: The folder of its checkpoints.
    """

    of: int
    seed: int
    refit: int | None
    made_at: str
    path: Path
    checkpoints: Path

    @property
    def name(self) -> tuple[int, int | None, str]:
        """Tells it from every other one."""
        return self.of, self.refit, self.made_at


def models_of(search: Search, number: int | None = None) -> list[Model]:
    """What there is to score: the models of the last refit, or that of one of the search's own trials.

    Args:
        search: Whose.
        number: The search's trial; by default what was trained for good is meant.

    Raises:
        UsageError: There is no model.
    """
    if number is None:
        paths, settings, trials = refitted(search)
        return [model_of(search, paths, settings, trial, refit=trial.number) for trial in trials]
    trial = search.study.trials.get(number)
    if trial is None or trial.state is not TrialState.COMPLETE:
        raise UsageError(f"trial {number} does not exist or has not completed", cure=f"outlast show {search.folder}")
    return [model_of(search, search.paths, search.settings, trial)]


def refitted(search: Search, number: int | None = None) -> tuple[StudyPaths, Settings, list[Trial]]:
    """The refit of a trial of the search, or the one asked for last: where it lies, as what it was run, and its trainings.

    Raises:
        UsageError: There is none, or it is not done.
    """
    followup = Followup(search, "refit")
    trials = [trial for trial in followup.study.trials.values() if number in (None, trial.of)]
    if not trials:
        raise UsageError(
            "nothing was trained for good yet",
            cure=f"outlast refit {search.folder}  (or --trial N: the model of one of the search's own trials)",
        )
    folder = live_of(followup.folder)
    of = _asked_for_last(folder, trials) if number is None else number
    meant = [trial for trial in trials if trial.of == of]
    if any(trial.state is not TrialState.COMPLETE for trial in meant):
        seeds = "" if len(meant) == 1 else f" --seeds {len(meant)}"
        raise UsageError(
            f"the refit of trial {of} is not done", cure=f"outlast refit {search.folder} --trial {of}{seeds}"
        )
    settings, _ = recorded_settings(folder)
    return study_paths(folder, settings), settings, meant


def _asked_for_last(folder: str, trials: Sequence[Trial]) -> int | None:
    """The search's trial that was trained for good last: one that is there already may be asked for again."""
    said = read_json(StudyPaths.at(folder).refit_facts)
    # What was begun since, and what goes on, is younger than ``refit.json``.
    if isinstance(said, dict) and said.get("known") == len(trials) and all(trial.state.finished for trial in trials):
        return next((trial.of for trial in trials if trial.of == said.get("trial")), trials[-1].of)
    return trials[-1].of


def model_of(search: Search, paths: StudyPaths, settings: Settings, trial: Trial, *, refit: int | None = None) -> Model:
    """The model that a training left.

    Args:
        search: Whose configuration it has.
        paths: Of the study that trained it.
        settings: Likewise.
        trial: In it.
        refit: Its number where that is a refit.

    Raises:
        UsageError: There is none.
    """
    checkpoints = paths.trial(trial.number).checkpoints
    path = model_in(checkpoints, settings.checkpoints.pattern)
    if path is None:
        fact = f"the training left no checkpoint in {os.path.relpath(checkpoints)}"
        cure = "the training has to save its model in ${checkpoint_dir} (or OUTLAST_CHECKPOINT_DIR)"
        if refit is not None:
            raise UsageError(fact, cure=f"{cure}; then: outlast refit {search.folder} --fresh")
        anew = f"outlast refit {search.folder} --trial {trial.number}"
        if settings.checkpoints.keep is not None:
            fact += (
                f", or `checkpoints.keep: {settings.checkpoints.keep}` removed it, which keeps those of the best trials"
            )
            raise UsageError(fact, cure=f"{anew} trains it again; {cure}")
        raise UsageError(fact, cure=f"{cure}; where it was removed since: {anew}")
    of = trial.number if trial.of is None else trial.of
    return Model(of, trial.seed, refit, trial.finished_at or "", path, checkpoints)


class Evaluation(Struct, frozen=True):
    """An evaluation as it is to be.

    Attributes:
        followup: The study.
        models: What is scored.
        look: The number of the look.
        wanted: Its trials.
        retired: Trials of a look that was begun and never happened, whose models are not there any more.
    """

    followup: Followup
    models: tuple[Model, ...]
    look: int
    wanted: tuple[Repetition, ...]
    retired: tuple[int, ...] = ()

    def trials(self, study: Study) -> list[Trial]:
        """Its trials in the follow-up as it is now."""
        there = {(trial.of, trial.seed): trial for trial in study.trials.values()}
        return [there[each.of, each.seed] for each in self.wanted if (each.of, each.seed) in there]


def plan_evaluation(
    search: Search, section: EvaluateSettings, *, trial: int | None = None, again: bool = False
) -> Evaluation:
    """What an evaluation is to be: the rest of a look that was begun, or a new one.

    Args:
        search: Whose model.
        section: `evaluate` of the study file.
        trial: One of the search's own trials, instead of what was trained for good.
        again: Look although the test set was looked at before.

    Raises:
        UsageError: Nothing says how, there is no model, or the test set was looked at before.
    """
    command = evaluation_command(search.settings, section)
    if command is None:
        raise UsageError(
            "the study file does not say how a model is scored on the test set",
            cure="add `evaluate: {command: python test.py ${model}, metric: test_accuracy}` to it, and name it: "
            "outlast evaluate STUDY.yaml",
        )
    models = models_of(search, trial)
    followup = Followup(search, "evaluate", _changes(search.settings, section, command))
    study = followup.study
    looks, names = looks_in(study), {model.name for model in models}
    last = looks[-1] if looks else None
    if last is not None and last.models == names and not last.whole:
        wanted = tuple(Repetition(t.of if t.of is not None else -1, t.seed) for t in last.trials)
        return Evaluation(followup, tuple(models), last.number, wanted)
    if any(look.happened for look in looks) and not again:
        raise UsageError(
            f"the test set was looked at before: {said_of(study)}",
            cure="who looks again and again chooses by the test set: --again looks all the same, and is counted",
        )
    retired = tuple(t.number for look in looks for t in look.trials if t.state in _WAITING)
    # Trials of other models that failed or still run keep the number of their look.
    number = 1 + max((look.number for look in looks if not {t.number for t in look.trials} <= {*retired}), default=0)
    return Evaluation(followup, tuple(models), number, _wanted(search, followup, study, models, number), retired)


def is_answered(search: Search, trial: int | None, *, again: bool, told_again: bool) -> bool:
    """Whether nothing has to be run to say what was seen: the last look is whole, and of the models that are meant.

    Args:
        search: Whose model it is.
        trial: Of which of its trials; ``None`` for the refit's.
        again: A new look is asked for.
        told_again: Whether a look that was told of before may be told of once more.
    """
    followup = Followup(search, "evaluate")
    looks, told_only = looks_in(followup.study), is_untold(followup) or (told_again and not again)
    whole = bool(looks) and looks[-1].whole and told_only
    return whole and looks[-1].models == {model.name for model in models_of(search, trial)}


def take_back(evaluation: Evaluation) -> None:
    """Have trials that were begun for models which are not there any more stay unscored: they are no look.

    Raises:
        StudyBusy: Somebody runs the evaluation.
    """
    if not evaluation.retired:
        return
    folder = live_of(evaluation.followup.folder)
    settings, _ = recorded_settings(folder)
    with opened_briefly(study_paths(folder, settings)) as opened:
        events: list[Event] = []
        for trial in (opened.study.trials[number] for number in evaluation.retired):
            if trial.state in _WAITING:
                attempt, now = next_attempt(trial), utc_now()
                events.append(AttemptOpened(trial.number, attempt, now, "none"))
                events.append(
                    AttemptEnded(trial.number, attempt, now, TrialState.INFEASIBLE, Cause.CONSTRAINT, REPLACED)
                )
        opened.ledger.append(events)


def evaluation_command(settings: Settings, section: EvaluateSettings) -> tuple[str, ...] | None:
    """How a model of a search is scored; ``None`` where the study file does not say."""
    if section.command is not None or not section.arguments or settings.command is None:
        return section.command
    return (*settings.command, *section.arguments)


def _metrics(settings: Settings, section: EvaluateSettings) -> list[MetricSettings]:
    if section.metric is None:
        return list(settings.metrics)
    if isinstance(section.metric, str):
        return [MetricSettings(name=section.metric, goal=settings.metrics[0].goal)]
    return [section.metric]


def _changes(settings: Settings, section: EvaluateSettings, command: Sequence[str]) -> Mapping[str, Any]:
    said = [(metric, ("name", "goal", "file", "pattern")) for metric in _metrics(settings, section)]
    plain = [{key: value for key in keys if (value := getattr(metric, key)) is not None} for metric, keys in said]
    changes: dict[str, Any] = {
        "command": list(command),
        "function": None,
        "isolation": None,
        "metric": plain,
        "trial": {**ONE_TRAINING, **_UNUSED},
        "checkpoints": None,
    }
    return {**changes, "slurm": {"scratch": None}} if settings.slurm else changes


def _wanted(
    search: Search, followup: Followup, study: Study, models: Sequence[Model], look: int
) -> tuple[Repetition, ...]:
    """The trials of a new look: each has a seed of its own, so that none is taken for one of an earlier look."""
    paths = StudyPaths.at(followup.folder)
    first = study.next_number
    return tuple(
        replace(
            search.repetition(model.of, first + index),
            told={
                "look": look,
                "model": relative_to(paths, model.path),
                "checkpoint_dir": relative_to(paths, model.checkpoints),
                "refit": model.refit,
                "made_at": model.made_at,
            },
        )
        for index, model in enumerate(models)
    )
