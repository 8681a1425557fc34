"""best_config.yaml and best_results.json as text. Pure."""

from __future__ import annotations

import json
from typing import Any

from outlast.config import yaml_writer
from outlast.config.settings import Settings
from outlast.core.best import best_trial, best_trials, ranked
from outlast.core.budget import remaining
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.results.configuration import configuration
from outlast.results.trial_table import study_summary

_TOP = 10  # as many as a person compares, or confirms with more seeds


def best_config_yaml(study: Study, settings: Settings, *, resolved: str | None = None) -> str | None:
    """The best trial's whole configuration as YAML, nested as the training had it, with a header comment.

    Every YAML reader, 1.1 or 1.2, reads the same values from it. Where the study has a base configuration it is `resolved`, the
    file that the best trial was given. ``None`` while no trial has completed.
    """
    best = best_trial(study, settings.metrics)
    if best is None:
        return None
    values = ", ".join(
        f"{m.name} = {v!r} ({m.goal})" for m, v in zip(settings.metrics, best.values or (), strict=False)
    )
    header = f"{study.name or settings.name}: trial {best.number}, {values}"
    if len(settings.metrics) > 1:
        front = best_trials(study, settings.metrics)
        header += f"; one of {len(front)} on the Pareto front, see best_results.json"
    whole = resolved or yaml_writer.dump(settings.nest(configuration(best, study, settings)))
    return f"# {' '.join(_printable(header).split())}\n{whole}"


def best_results(study: Study, settings: Settings, *, checkpoint: str | None = None) -> dict[str, Any]:
    """What best_results.json says, as plain data.

    The study, its objectives, the best trial (``None`` while there is none) with its whole configuration, the ten best for
    comparing and confirming, the Pareto front where there are several objectives, the counts, and what the study took (times,
    attempts, interruptions, GPU hours). `checkpoint` is where the best trial's checkpoints lie, relative to the study folder.
    """
    metrics = settings.metrics
    best = best_trial(study, metrics)
    counts = study.counts()
    out: dict[str, Any] = {
        "study": study.name or settings.name,
        "metric": {"name": metrics[0].name, "goal": metrics[0].goal},
        "best": None,
        "top": [
            _entry(trial, study, settings)
            for trial in ranked(study, metrics, _TOP)
            if trial.state is TrialState.COMPLETE and trial.values is not None
        ],
        "counts": {
            **{state.value: counts[state] for state in TrialState},
            "remaining": remaining(study, settings.budget.trials, settings.budget.count),
        },
        "target": settings.budget.trials,
        "summary": dict(study_summary(study, settings)),
    }
    if best is not None:
        out["best"] = {
            **_entry(best, study, settings),
            "metrics": dict(sorted(best.metrics.items())),
            "seed": best.seed,
            "attempts": len(best.attempts),
            "seconds": round(best.seconds, 3),
            "started_at": best.started_at,
            "finished_at": best.finished_at,
            "revision": best.revision,
            "code": best.code,
            "checkpoint": checkpoint,
        }
    if len(metrics) > 1:
        out["metrics"] = [{"name": metric.name, "goal": metric.goal} for metric in metrics]
        out["pareto_front"] = [_entry(trial, study, settings) for trial in best_trials(study, metrics)]
    return out


def best_results_json(study: Study, settings: Settings, *, checkpoint: str | None = None) -> str:
    """The content of best_results.json. Non-finite numbers are texts, so that every JSON reader takes them."""
    plain = plain_json(best_results(study, settings, checkpoint=checkpoint))
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def _entry(trial: Trial, study: Study, settings: Settings) -> dict[str, Any]:
    names = [metric.name for metric in settings.metrics]
    values = {"values": dict(zip(names, trial.values or (), strict=False))} if len(names) > 1 else {}
    return {"trial": trial.number, "value": trial.value, **values, "params": configuration(trial, study, settings)}


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text.encode("utf-8", "replace").decode("utf-8"))
