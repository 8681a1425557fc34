"""What an exported model is, and what is known of it: whose configuration, every score, and what it was trained with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from outlast._system.reading import read_json
from outlast._version import __version__
from outlast.config.command import find_interpreter
from outlast.config.settings import Settings
from outlast.core.file_names import StudyNames
from outlast.core.plain_json import plain_json
from outlast.core.records import Trial
from outlast.engine.attempts.code_snapshot import as_taken
from outlast.engine.followup.child import Followup, Search
from outlast.engine.followup.confirmation_document import confirmed_of
from outlast.engine.followup.evaluate import Model, model_of, refitted
from outlast.engine.followup.looks import evaluation_facts
from outlast.engine.followup.model_files import is_pretrained
from outlast.engine.followup.refit import Chosen, choose, superseded
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths

_ASK = (
    "import json,platform,importlib.metadata as m;print(json.dumps({'python':platform.python_version(),"
    "'packages':sorted({d.metadata['Name']+'=='+d.version for d in m.distributions() if d.metadata['Name']},key=str.lower)}))"
)


class Subject(Struct, frozen=True):
    """What is exported: a trial's configuration, what trained it last, and what that left."""

    chosen: Chosen
    settings: Settings  # of the study that trained it
    paths: StudyPaths
    trial: Trial  # in that study
    model: Model | None
    told: list[str] = []

    @property
    def refitted(self) -> bool:
        """Whether it was trained for good."""
        return self.trial.source == "refit"


def subject_of(search: Search, number: int | None) -> Subject:
    """What is exported: what was trained for good last, or else the search's best; of one trial what there is of it.

    Raises:
        UsageError: There is no such trial, or its refit is not done.
    """
    if any(number in (None, trial.of) for trial in Followup(search, "refit").study.trials.values()):
        paths, settings, trials = refitted(search, number)
        trial, told = trials[0], list[str]()
        chosen = choose(search)
        chosen = chosen if chosen.trial == trial.of else choose(search, trial.of)
        if number is None:
            told = superseded(search, trial.of)
    else:
        chosen = choose(search, number)
        trial, paths = search.study.trials[chosen.trial], search.paths
        settings = as_taken(StudyPaths.at(search.folder), search.settings, search.study)
        told = [f"it was not trained for good (outlast refit {search.folder}): this is the search's own model"]
    try:
        model: Model | None = model_of(
            search, paths, settings, trial, refit=trial.number if trial.source == "refit" else None
        )
    except UsageError:
        model = None
        told.append("its training left no checkpoint: there is no model in the folder")
    return Subject(chosen, settings, paths, trial, model, told)


def exported_facts(search: Search, subject: Subject, whole: Mapping[str, Any]) -> dict[str, Any]:
    """What ``metrics.json`` says."""
    trial = search.study.trials[subject.chosen.trial]
    names = [metric.name for metric in search.settings.metrics]
    metric = search.settings.metrics[0]
    confirmed = read_json(StudyPaths.at(search.home).confirm / StudyNames.confirmation.name)
    best = confirmed["best"] if confirmed and confirmed_of(confirmed) == trial.number else None
    looks = evaluation_facts(Followup(search, "evaluate").study)
    of_this = None if subject.model is None else list(subject.model.name)
    for look in looks["looks"]:
        look["of_this_model"] = any([m["trial"], m["refit"], m["made_at"]] == of_this for m in look["models"])
    facts = {
        "version": 1,
        "study": search.settings.name,
        "metric": {"name": metric.name, "goal": metric.goal},
        "params": dict(whole),
        "pretrained": subject.model is not None and is_pretrained(subject.model.path),
        "search": {
            "trial": trial.number,
            "scores": dict(zip(names, trial.values or (), strict=False)),
            "metrics": dict(sorted(trial.metrics.items())),
            "trials": {state.value: count for state, count in sorted(search.study.counts().items())},
        },
        "confirm": {key: best.get(key) for key in ("mean", "low", "high", "std", "n")} if best else None,
        "refit": {
            "seed": subject.trial.seed,
            "trained_for": {name: subject.trial.told[name] for name in sorted(subject.trial.told)},
            "metrics": dict(sorted(subject.trial.metrics.items())),
            "seconds": round(subject.trial.seconds, 3),
        }
        if subject.refitted
        else None,
        "test": looks if looks["looked"] else None,
    }
    found: dict[str, Any] = plain_json(facts)
    return found


def environment_of(subject: Subject) -> dict[str, Any]:
    """What the model was trained with: the machine as it is on record, and the packages of the Python that trainings run in."""
    last = subject.trial.attempts[-1] if subject.trial.attempts else None
    outcome = subject.trial.last
    asked: dict[str, Any] = {}
    try:
        done = subprocess.run([find_interpreter(), "-c", _ASK], capture_output=True, timeout=60, check=True)
        asked = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        pass
    return {
        "outlast": __version__,
        "python": asked.get("python"),
        "packages": asked.get("packages"),
        "code": subject.trial.code or None,
        "host": outcome.host if outcome is not None else None,
        "gpus": len(last.gpus) if last is not None else 0,
        "resources": subject.settings.resolved.get("resources"),
    }
