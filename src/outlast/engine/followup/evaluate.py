"""`evaluate`: a model is scored on the test set. Looks are counted: who looks again and again chooses by the test set.

A look is begun when its trials stand in the evaluation's ledger, and has happened when a score of it does. One that was cut off
in between is the same look when it goes on. A look with several models (a refit with several seeds) scores each of them once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from outlast._system.clock import utc_now
from outlast._system.reading import read_json
from outlast.config.settings import EvaluateSettings, MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import AttemptEnded, AttemptOpened, Event, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.prepare import next_attempt
from outlast.engine.followup.child import Followup, Repetition, Search
from outlast.engine.followup.model_files import model_in
from outlast.engine.followup.refit import ONE_TRAINING, relative_to, write_facts
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.opened import opened_briefly

#: What an evaluation has no use for: it trains nothing, and keeps nothing.
_UNUSED = {"resume_args": None, "oom": None}


@dataclass(frozen=True)
class Model:
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


@dataclass(frozen=True)
class Look:
    """A look at the test set.

    Attributes:
        number: From 1.
        trials: Of the evaluation, one for each model.
    """

    number: int
    trials: tuple[Trial, ...]

    @property
    def scores(self) -> list[tuple[Trial, AttemptEnded]]:
        """The first score of each model that has one."""
        return [(trial, scored[0]) for trial in self.trials if (scored := _scored(trial))]

    @property
    def happened(self) -> bool:
        """Whether anything of the test set is known by it."""
        return bool(self.scores)

    @property
    def times(self) -> int:
        """How often it has happened: more than once where a person had its finished trials try again."""
        return max((len(_scored(trial)) for trial in self.trials), default=0)

    @property
    def whole(self) -> bool:
        """Whether every model has its score."""
        return len(self.scores) == len(self.trials)

    @property
    def models(self) -> set[tuple[int, int | None, str]]:
        """The names of its models."""
        return {
            (t.of if t.of is not None else -1, t.told.get("refit"), str(t.told.get("made_at"))) for t in self.trials
        }

    @property
    def at(self) -> str:
        """When its first score was known; empty before."""
        return min((outcome.at for _, outcome in self.scores), default="")


def _scored(trial: Trial) -> list[AttemptEnded]:
    """Its attempts that came to a score, whatever became of the trial since."""
    return [outcome for outcome in trial.ended if outcome.state is TrialState.COMPLETE]


def looked(study: Study) -> int:
    """How often the test set was looked at."""
    return sum(look.times for look in looks_in(study))


def looks_in(study: Study) -> list[Look]:
    """The looks of an evaluation, those that were only begun included; without trials that were taken back."""
    found: dict[int, list[Trial]] = {}
    for trial in study.trials.values():
        if "look" in trial.told and not _taken_back(trial):
            found.setdefault(int(trial.told["look"]), []).append(trial)
    return [Look(number, tuple(trials)) for number, trials in sorted(found.items())]


def models_of(search: Search, number: int | None = None, *, refitted_of: int | None = None) -> list[Model]:
    """What there is to score: the models of the last refit, or that of one of the search's own trials.

    Args:
        search: Whose.
        number: The search's trial; by default what was trained for good is meant.
        refitted_of: Whose refit, where several trials were trained for good; the last one by default.

    Raises:
        UsageError: There is no model.
    """
    if number is not None:
        trial = search.study.trials.get(number)
        if trial is None or trial.state is not TrialState.COMPLETE:
            raise UsageError(
                f"trial {number} does not exist or has not completed", cure=f"outlast show {search.folder}"
            )
        return [_model(search.paths, search.settings, trial, number, None)]
    followup = Followup(search, "refit")
    trials = [trial for trial in followup.study.trials.values() if trial.of is not None]
    if not trials:
        raise UsageError(
            "nothing was trained for good yet",
            cure=f"outlast refit {search.folder}  (or --trial N: the model of one of the search's own trials)",
        )
    last = trials[-1].of if refitted_of is None else refitted_of
    meant = [trial for trial in trials if trial.of == last]
    if any(trial.state is not TrialState.COMPLETE for trial in meant):
        raise UsageError(f"the refit of trial {last} is not done", cure=f"outlast refit {search.folder} --trial {last}")
    folder = live_of(followup.folder)
    settings, _ = recorded_settings(folder)
    assert last is not None
    return [_model(study_paths(folder, settings), settings, trial, last, trial.number) for trial in meant]


def _model(paths: StudyPaths, settings: Settings, trial: Trial, of: int, refit: int | None) -> Model:
    checkpoints = paths.trial(trial.number).checkpoints
    path = model_in(checkpoints, settings.checkpoints.pattern)
    if path is None:
        raise UsageError(
            f"the training left no checkpoint in {checkpoints}",
            cure="the training has to save its model in ${checkpoint_dir} (or OUTLAST_CHECKPOINT_DIR)",
        )
    return Model(of, trial.seed, refit, trial.finished_at or "", path, checkpoints)


@dataclass(frozen=True)
class Evaluation:
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
            cure="a model that is chosen by its test score has none: --again looks all the same, and is counted",
        )
    retired = tuple(t.number for look in looks for t in look.trials if not t.state.finished)
    number = 1 + sum(look.happened for look in looks)
    return Evaluation(followup, tuple(models), number, _wanted(search, followup, study, models, number), retired)


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
            if trial.state in (TrialState.CREATED, TrialState.INTERRUPTED):
                attempt, now = next_attempt(trial), utc_now()
                events.append(AttemptOpened(trial.number, attempt, now, "none"))
                events.append(
                    AttemptEnded(trial.number, attempt, now, TrialState.INFEASIBLE, Cause.CONSTRAINT, _REPLACED)
                )
        opened.ledger.append(events)


_REPLACED = "not scored: another model took the place of this one before"


def _taken_back(trial: Trial) -> bool:
    return trial.state is TrialState.INFEASIBLE and trial.reason == _REPLACED and not _scored(trial)


def evaluation_facts(study: Study) -> dict[str, Any]:
    """What ``evaluation.json`` says: every look that has happened, oldest first, with its scores; of several models the mean."""
    looks = [_look_facts(study, look) for look in looks_in(study) if look.happened]
    return {"version": 1, "looked": looked(study), "looks": looks}


def is_untold(followup: Followup) -> bool:
    """Whether a look has happened of which nobody was told: whoever began it was cut off before ``evaluation.json``."""
    told = read_json(StudyPaths.at(live_of(followup.folder)).evaluation)
    return looked(followup.study) > (int(told.get("looked", 0)) if isinstance(told, dict) else 0)


def write_evaluation(followup: Followup) -> dict[str, Any]:
    """Write ``evaluation.json`` from the ledger where it says anything else, and return what it says."""
    facts: dict[str, Any] = plain_json(evaluation_facts(followup.study))
    write_facts(StudyPaths.at(live_of(followup.folder)).evaluation, facts)
    return facts


def _look_facts(study: Study, look: Look) -> dict[str, Any]:
    names = _metric_names(study, look.scores[0][1])
    values = [outcome.values for _, outcome in look.scores if outcome.values is not None]
    scores = {name: fmean(each[at] for each in values) for at, name in enumerate(names)}
    return {
        "look": look.number,
        "at": look.at,
        "times": look.times,
        "whole": look.whole,
        "scores": scores,
        "models": [
            {
                "trial": trial.of,
                "refit": trial.told.get("refit"),
                "made_at": trial.told.get("made_at"),
                "scores": dict(zip(names, outcome.values or (), strict=False)),
                "metrics": dict(sorted(outcome.metrics.items())),
            }
            for trial, outcome in look.scores
        ],
    }


def _metric_names(study: Study, outcome: AttemptEnded) -> list[str]:
    """What its scores are of: as the study file said it then."""
    revision = [each for each in study.revisions if each.at <= outcome.at][-1]
    given = revision.settings["metric"]
    return [metric["name"] for metric in (given if isinstance(given, list) else [given])]


def said_of(study: Study) -> str:
    """How often the test set was looked at, when, and what was seen, in one line."""
    return f"{times(looked(study))} ({'; '.join(map(said_of_look, evaluation_facts(study)['looks']))})"


def said_of_look(look: Mapping[str, Any]) -> str:
    """What was seen, when, of which trial's model.

    Args:
        look: Of `evaluation_facts`.
    """
    shown = ", ".join(f"{name} = {value:.6g}" for name, value in look["scores"].items())
    again = "" if look["times"] == 1 else f", {times(look['times'])}"
    return f"{shown}, trial {look['models'][0]['trial']}, {look['at'][:16].replace('T', ' ')} UTC{again}"


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


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
