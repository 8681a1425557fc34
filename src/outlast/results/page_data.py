"""What the page of a report is drawn from: one study as plain data. Pure: what lies in files is handed over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast._version import __version__
from outlast.config import yaml_writer
from outlast.config.secrets import mask_code, mask_secrets, mask_text
from outlast.config.settings import Settings
from outlast.config.units import format_duration, format_size
from outlast.core.best import best_trial, best_trials, ranked
from outlast.core.fold import Study, seconds_between
from outlast.core.states import TrialState
from outlast.results.configuration import configuration
from outlast.results.failures import group_failures
from outlast.results.page_columns import as_columns_say, attempt_columns, curve_columns, parameters_of, trial_columns

_MOST_WARNINGS = 30
_COMPARED = (
    "name", "folder", "metrics", "state", "hours", "counts", "target", "ran_seconds", "sampler", "pruner",
)  # fmt: skip
_COMPARED_COLUMNS = ("number", "state", "values", "seconds", "gpu_seconds", "epochs", "finished", "feasible")
#: Groups of failures that a page shows.
MOST_FAILURES = 60


class FromFiles(Struct, frozen=True):
    """What the fold does not say, as far as somebody has read it.

    Attributes:
        folder: What the study folder is called, for commands.
        logs: Trial → the end of what it printed.
        stories: Trial → its traceback, for the first of each group that failed alike.
        commands: Trial → the command that trains it again.
        checkpoint: Where the best trial's checkpoints lie, relative to the folder.
        packages: ``name==version`` of the environment that drew the page.
        follow_ups: ``confirm``, ``refit``, ``evaluate`` → what came of them.
        running: Trial → the curve of its attempt that runs.
        diff: What the training runs from and nobody has committed.
    """

    folder: str
    logs: Mapping[int, str] = {}
    stories: Mapping[int, str] = {}
    commands: Mapping[int, str] = {}
    checkpoint: str | None = None
    packages: Sequence[str] = ()
    follow_ups: Mapping[str, Any] = {}
    running: Mapping[int, Mapping[int, float]] = {}
    diff: str = ""


def page_data(
    study: Study,
    settings: Settings,
    files: FromFiles,
    *,
    status: Mapping[str, Any],
    facts: Mapping[str, Any],
    made_at: str,
) -> dict[str, Any]:
    """Everything that a page shows of one study, as plain data.

    Args:
        study: The folded ledger.
        settings: In force.
        files: What was read from its folder.
        status: How it stands, as ``outlast status --json`` says it.
        facts: What the trials say, for the part called analysis.
        made_at: Now, in UTC.
    """
    return {
        "made_at": made_at,
        "study": _study(study, settings, files, status, made_at),
        "space": as_columns_say(parameters_of(settings)),
        "study_file": mask_text(yaml_writer.dump(mask_secrets(settings.resolved))) if settings.resolved else None,
        "best": _best(study, settings, files),
        "trials": trial_columns(study, settings),
        "attempts": attempt_columns(study),
        "curves": curve_columns(study, files.running),
        "stories": {str(number): mask_text(text) for number, text in files.stories.items()},
        "logs": {str(number): mask_text(text) for number, text in files.logs.items()},
        "commands": {str(number): text for number, text in files.commands.items()},
        "environment": _environment(study, files),
        "facts": {
            **facts,
            "drawn": as_columns_say(facts.get("drawn", ())),
            "failures": list(facts.get("failures", ()))[:MOST_FAILURES],
        },
        **{name: _masked(said) for name, said in files.follow_ups.items()},
    }


def for_comparison(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a page of several studies shows of one: no outputs, and nothing else that nobody would see before sending it on.

    Args:
        data: Of `page_data`.
    """
    best = data["best"]
    return {
        "study": {name: data["study"][name] for name in _COMPARED},
        "space": data["space"],
        "best": None if best is None else {key: best[key] for key in ("trial", "values", "configuration", "command")},
        "trials": {**{name: data["trials"][name] for name in _COMPARED_COLUMNS}, "params": {}},
        "attempts": {"row": []},
        "environment": {"code": data["environment"]["code"]},
        "facts": {"drawn": data["facts"]["drawn"]},
    }


def worth_keeping(study: Study, settings: Settings, limit: int) -> list[int]:
    """The trials whose output and command a page should hold, where it cannot hold all: the best, what failed first in each
    way, what runs, then the best of the rest."""
    chosen = [trial.number for trial in best_trials(study, settings.metrics)[:50]]
    chosen += [group.first for group in group_failures(study)]
    chosen += [trial.number for trial in study.in_state(TrialState.RUNNING)]
    chosen += [trial.number for trial in ranked(study, settings.metrics, limit)]
    return list(dict.fromkeys(chosen))[:limit]


def _study(
    study: Study, settings: Settings, files: FromFiles, status: Mapping[str, Any], made_at: str
) -> dict[str, Any]:
    counts = study.counts()
    return {
        "name": study.name or settings.name,
        "folder": files.folder,
        "metrics": [{"name": metric.name, "goal": metric.goal} for metric in settings.metrics],
        "state": status.get("state", ""),
        "reason": mask_text(status.get("reason", "")),
        "eta": status.get("eta"),
        "hours": status["hours"],
        "warnings": [_warning(warning) for warning in status.get("warnings", ())][:_MOST_WARNINGS],
        "counts": {state.value: counts[state] for state in TrialState},
        "counted": sum(counts[TrialState(state)] for state in settings.budget.count),
        "target": settings.budget.trials,
        "created_at": study.created_at,
        "now": round(seconds_between(study.created_at, made_at), 1),
        "ran_seconds": _ran(study, made_at),
        "pareto": [trial.number for trial in best_trials(study, settings.metrics)] if len(settings.metrics) > 1 else [],
        "command": _command(settings),
        "sampler": _named(settings.sampler.name, settings.sampler.options),
        "pruner": _named(settings.pruner.name, settings.pruner.options),
        "budget": _budget(settings),
        "resources": _resources(settings),
        "runs": study.runs,
        "revisions": [
            {"number": each.number, "at": each.at, "changes": [mask_text(text) for text in each.changes]}
            for each in study.revisions
        ],
    }


def _warning(warning: Mapping[str, str]) -> str:
    return mask_text(warning["text"] + (f" ({warning['cure']})" if warning.get("cure") else ""))


def _ran(study: Study, made_at: str) -> float:
    running = seconds_between(study.running_since, made_at) if study.ended is None and study.running_since else 0.0
    return round(study.elapsed_before + running, 1)


def _command(settings: Settings) -> str:
    return mask_text(" ".join(settings.command) if settings.command is not None else settings.function or "")


def _named(name: str, options: Mapping[str, Any]) -> str:
    told = ", ".join(f"{key} {json.dumps(value, default=str)}" for key, value in options.items())
    return f"{name} ({told})" if told else name


def _budget(settings: Settings) -> str:
    budget = settings.budget
    limits = {
        "trials": budget.trials,
        "of running": None if budget.time is None else format_duration(budget.time),
        "GPU hours": budget.gpu_hours,
        "failures at most": budget.max_failures,
    }
    told = ", ".join(f"{limit} {name}" for name, limit in limits.items() if limit is not None)
    return f"{told or 'none'}; counted: {', '.join(budget.count)}"


def _resources(settings: Settings) -> str:
    resources = settings.resources
    told = [f"{resources.gpus:g} GPU" + ("s" if resources.gpus > 1 else "")] if resources.gpus else []
    told += [f"{resources.cpus} CPUs"] if resources.cpus else []
    told += [f"{format_size(resources.memory)} of memory"] if resources.memory else []
    return ", ".join(told)


def _best(study: Study, settings: Settings, files: FromFiles) -> dict[str, Any] | None:
    trial = best_trial(study, settings.metrics)
    if trial is None:
        return None
    whole = configuration(trial, study, settings)
    return {
        "trial": trial.number,
        "values": trial.values,
        "configuration": whole,
        "yaml": yaml_writer.dump(settings.nest(whole)),
        "command": files.commands.get(trial.number),
        "checkpoint": files.checkpoint,
    }


def _environment(study: Study, files: FromFiles) -> dict[str, Any]:
    trials = study.trials.values()
    return {
        "outlast": __version__,
        "code": _different(attempt.code for trial in trials for attempt in trial.attempts),
        "hosts": _different(outcome.host for trial in trials for outcome in trial.ended),
        "gpus": _different(card for trial in trials for attempt in trial.attempts for card in attempt.gpus),
        "study_seed": study.study_seed,
        "packages": list(files.packages),
        "diff": mask_code(files.diff),
        "packages_of": "of the environment that drew this page",
    }


def _masked(said: Any) -> Any:
    if isinstance(said, Mapping):
        return {name: _masked(each) for name, each in said.items()}
    if isinstance(said, (list, tuple)):
        return [_masked(each) for each in said]
    return mask_text(said) if isinstance(said, str) else said


def _different(words: Any) -> list[str]:
    return list(dict.fromkeys(word for word in words if word))[:200]
