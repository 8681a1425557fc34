"""`refit`: the best configuration is trained once more, on everything that is not for testing. What is left is the model."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.files import write_atomic
from outlast._system.reading import read_bytes, read_json
from outlast.config.command import FOLLOWUP_MACROS, MACRO_ITSELF, macros
from outlast.config.settings import RefitSettings, Settings
from outlast.core.best import best_trial
from outlast.core.file_names import StudyNames
from outlast.core.fold import Study
from outlast.core.length import BestReport, best_report
from outlast.core.plain_json import plain_json
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.engine.followup.child import Followup, Repetition, Search
from outlast.engine.followup.confirmation import alike, candidates
from outlast.engine.followup.confirmation_document import confirmed_of
from outlast.engine.followup.model_files import model_in
from outlast.engine.record.recorded import study_paths
from outlast.errors import StudyFileError, UsageError
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

#: How a follow-up differs from its search's trials beside the command: one training on all data, as long as it takes.
ONE_TRAINING = {"seeds": None, "folds": None, "timeout": None, "timeout_counts": None}


class Chosen(Struct, frozen=True):
    """The trial of a search that is trained for good.

    Attributes:
        trial: Its number.
        confirmed: Whether it was confirmed to be the best.
        why: Why it is this one, as a phrase.
    """

    trial: int
    confirmed: bool
    why: str


class Refit(Struct, frozen=True):
    """A refit as it is to be.

    Attributes:
        followup: The study.
        chosen: Whose configuration.
        length: For how long, where the command asks; ``None`` where it does not.
        wanted: Its trainings.
        told: What a person should know, a line each.
    """

    followup: Followup
    chosen: Chosen
    length: BestReport | None
    wanted: tuple[Repetition, ...]
    told: tuple[str, ...]

    def trials(self, study: Study) -> list[Trial]:
        """Its trainings in the follow-up as it is now, in their order."""
        there = {(trial.of, trial.seed): trial for trial in study.trials.values()}
        return [there[each.of, each.seed] for each in self.wanted if (each.of, each.seed) in there]


def choose(search: Search, number: int | None = None) -> Chosen:
    """Whose configuration is trained for good: the one asked for, else the confirmed best, else the search's best.

    Raises:
        UsageError: There is no such trial, or none that has completed.
    """
    best, confirmed = best_trial(search.study, search.settings.metrics), confirmed_best(search)
    if number is not None:
        trial = search.study.trials.get(number)
        if trial is None or trial.state is not TrialState.COMPLETE:
            fact = (
                f"there is no trial {number}"
                if trial is None
                else f"trial {number} has not completed: {trial.state.value}"
            )
            raise UsageError(fact, cure=f"outlast show {search.folder}")
        first = confirmed if confirmed is not None else None if best is None else best.number
        which = "asked for" if first in (None, number) else f"asked for; the best is trial {first}"
        return Chosen(number, number == confirmed, which)
    if confirmed is not None:
        return Chosen(confirmed, True, "the confirmed best")
    if best is None:
        raise UsageError(f"no trial of {search.folder} has completed: there is nothing to train again",
                         cure=f"outlast status {search.folder}")  # fmt: skip
    values = ", ".join(f"{m.name} = {v:.6g}" for m, v in zip(search.settings.metrics, best.values or (), strict=False))
    return Chosen(best.number, False, f"the best of the search: {values}")


def confirmed_best(search: Search) -> int | None:
    """The trial that was confirmed to be the best; ``None`` where nothing was confirmed."""
    number = confirmed_of(_confirmation(search))
    return number if number in search.study.trials else None


def overtaken(search: Search) -> str | None:
    """That the search's best came after what was confirmed, and is no part of it, as a sentence; ``None`` where it is."""
    said = _confirmation(search)
    if confirmed_of(said) is None:
        return None
    there = {entry["trial"] for entry in said.get("ranking", ())} & search.study.trials.keys()
    repeated = {alike(search, number) for number in there}
    best = next((number for number in candidates(search, 1) if alike(search, number) not in repeated), None)
    if best is None:
        return None
    return f"the search has found trial {best} since, which is better there and not confirmed (outlast confirm {search.folder})"


def superseded(search: Search, of: int | None) -> list[str]:
    """What speaks against the model of one of the search's trials by now, a sentence each: another is better, or may be."""
    best = choose(search).trial
    if best != of:
        return [f"trial {best} is the best by now: this is the model of trial {of} (outlast refit {search.folder})"]
    return list(filter(None, [overtaken(search)]))


def _confirmation(search: Search) -> Any:
    return read_json(StudyPaths.at(search.home).confirm / StudyNames.confirmation.name)


def plan_refit(search: Search, section: RefitSettings, *, trial: int | None = None, seeds: int | None = None) -> Refit:
    """What a refit is to be.

    Args:
        search: That is over, or still goes on.
        section: `refit` of the study file.
        trial: Of the search, instead of its best.
        seeds: How many trainings, instead of what the study file says.

    Raises:
        UsageError: There is nothing to train again, or the command asks for what is not known.
    """
    chosen = choose(search, trial)
    command = refit_command(search.settings, section)
    asked = {macro.removeprefix(MACRO_ITSELF) for word in command or () for macro in macros(word)}
    asked &= {*FOLLOWUP_MACROS["refit"]}
    length = _length(search, section, chosen.trial) if asked else None
    told = {} if length is None else {"epochs": length.epochs, "best_step": length.step}
    seeds = seeds or section.seeds
    wanted = tuple(
        _repetition(search, chosen.trial, index, {name: told[name] for name in sorted(asked)}) for index in range(seeds)
    )
    changes: dict[str, Any] = {
        "trial": {**ONE_TRAINING, "needs_score": False},
        "checkpoints": {"keep": None},  # the model is not one among many
    }
    if command is not None:
        changes["command"] = list(command)
    followup = Followup(search, "refit", changes)
    try:
        followup.settings(seeds)
    except StudyFileError as error:
        raise UsageError(
            f"the search's command cannot train once on everything: {error.fact}",
            cure="say how in the study file, such as `refit: {command: python train.py ${args} --data all}`",
        ) from error
    return Refit(followup, chosen, length, wanted, _told(search, section, chosen))


def refit_command(settings: Settings, section: RefitSettings) -> tuple[str, ...] | None:
    """The command of a refit; ``None`` for a study whose training is a Python function."""
    if section.command is not None or settings.command is None:
        return section.command
    return (*settings.command, *section.arguments)


def refuse_other(refit: Refit, study: Study) -> None:
    """Refuse to take a model that is there for one of another training.

    Raises:
        UsageError: A training of it is complete, or for another length, and the study file asks for another one by now.
    """
    settings = refit.followup.settings(len(study.trials) or 1).resolved
    for trial, wanted in zip(refit.trials(study), refit.wanted, strict=False):
        recorded, done = _trained_as(study, trial), trial.state is TrialState.COMPLETE
        # What is not done yet takes any other command, but keeps the length that it was created with.
        changed = [key for key in ("command", "function", "config") if done and recorded.get(key) != settings.get(key)]
        changed += [name for name, value in wanted.told.items() if trial.told.get(name) != value]
        if changed:
            now = ", ".join(
                f"{name}: {trial.told.get(name)} → {wanted.told[name]}" if name in wanted.told else f"another {name}"
                for name in changed
            )
            folder, was = refit.followup.search.folder, "was" if done else "was to be"
            raise UsageError(
                f"trial {trial.of} {was} trained again in {refit.followup.folder}, but otherwise than is asked for now: {now}",
                cure=f"outlast refit {folder} --fresh keeps that under another name and trains anew",
            )


def _trained_as(study: Study, trial: Trial) -> Mapping[str, Any]:
    """The study file that was in force when a training's last attempt began: it may be younger than the training."""
    began = trial.attempts[-1].opened_at if trial.attempts else trial.created_at
    return ([each for each in study.revisions if each.at <= began] or study.revisions)[-1].settings


def refit_facts(refit: Refit, study: Study) -> dict[str, Any]:
    """What ``refit.json`` says: whose configuration, why, for how long, and each training with its model."""
    settings = refit.followup.settings(len(study.trials) or 1)
    paths = study_paths(live_of(refit.followup.folder), settings)
    return {
        "version": 1,
        "trial": refit.chosen.trial,
        "confirmed": refit.chosen.confirmed,
        "why": refit.chosen.why,
        "epochs": None if refit.length is None else refit.length.epochs,
        "best_step": None if refit.length is None else refit.length.step,
        "known": len(study.trials),  # so many trainings were there by then, of whichever configuration
        "trainings": [_training(paths, settings, trial) for trial in refit.trials(study)],
    }


def write_refit(refit: Refit, study: Study) -> dict[str, Any]:
    """Write ``refit.json`` where it says anything else, and return what it says."""
    facts: dict[str, Any] = plain_json(refit_facts(refit, study))
    write_facts(StudyPaths.at(live_of(refit.followup.folder)).refit_facts, facts)
    return facts


def write_facts(path: Any, facts: Any) -> None:
    """Write a derived JSON file where its content changes."""
    text = (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    if read_bytes(path) != text:
        write_atomic(path, text)


def _training(paths: StudyPaths, settings: Settings, trial: Trial) -> dict[str, Any]:
    model = model_in(paths.trial(trial.number).checkpoints, settings.checkpoints.pattern)
    return {
        "trial": trial.number,
        "seed": trial.seed,
        "state": trial.state.value,
        "reason": trial.reason,
        "seconds": round(trial.seconds, 3),
        "finished_at": trial.finished_at,
        "metrics": dict(sorted(trial.metrics.items())),
        "model": None if model is None else relative_to(paths, model),
    }


def relative_to(paths: StudyPaths, place: Any) -> str:
    """A path as seen from a study's folder: it holds wherever both are moved together."""
    return os.path.relpath(place, paths.root)


def _repetition(search: Search, number: int, index: int, told: dict[str, int]) -> Repetition:
    """The first training has the seed that the search's trial had."""
    seed = search.study.trials[number].seed
    if index:
        seed = zlib.crc32(f"{search.study.study_seed}:{number}:refit:{index}".encode()) % 2**31
    return replace(search.repetition(number, seed), told=told)


def _length(search: Search, section: RefitSettings, number: int) -> BestReport:
    """For how long the best configuration is trained: as its trial was best, over the confirming seeds where there are some."""
    again = [
        trial
        for trial in Followup(search, "confirm").study.trials.values()
        if trial.of == number and trial.state is TrialState.COMPLETE
    ]
    found = best_report(again or [search.study.trials[number]], search.settings.metrics[0].goal)
    if section.epochs is not None:
        offset = 0 if found is None else found.step - found.epochs
        return BestReport(section.epochs + offset, section.epochs)
    if found is None:
        raise UsageError(
            f"`refit` asks for ${{epochs}} or ${{best_step}}, and trial {number} reported no steps",
            cure="say how many in the study file: `refit: {epochs: 20}`",
        )
    return found


def _told(search: Search, section: RefitSettings, chosen: Chosen) -> tuple[str, ...]:
    told: list[str] = []
    if not chosen.confirmed:
        told = [f"it is not confirmed: its score may be luck (outlast confirm {search.folder})"]
    elif newer := overtaken(search):
        told = [newer]
    if search.study.ended is None:
        told = [*told, f"the search is not over: another trial may yet be its best (outlast status {search.folder})"]
    if section == RefitSettings(seeds=section.seeds):
        how = "the study file has no `refit:`: the search's own command is run"
        how = "the search's function is called" if search.settings.command is None else how
        told = [*told, f"{how}, on the data that it trains on by itself"]
    return tuple(told)
