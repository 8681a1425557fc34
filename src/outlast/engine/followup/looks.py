"""Looks at the test set, as an evaluation's ledger has them: how often, when, at which models, with what scores.

A look is begun when its trials stand in the ledger, and has happened when a score of it does. One that was cut off in between is
the same look when it goes on. A look at several models (a refit with several seeds) scores each of them once.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from msgspec import Struct

from outlast._system.reading import read_json
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import AttemptEnded, Trial
from outlast.core.states import TrialState
from outlast.engine.followup.child import Followup
from outlast.engine.followup.refit import write_facts
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

#: Why a trial was never scored that was begun for a model which is not there any more.
REPLACED = "not scored: another model took the place of this one before"


class Look(Struct, frozen=True):
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


def _taken_back(trial: Trial) -> bool:
    return trial.state is TrialState.INFEASIBLE and trial.reason == REPLACED and not _scored(trial)


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
