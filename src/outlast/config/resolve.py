"""Settings as plain data in our dialect: what the ledger and ``study.yaml`` keep. Defaults and secrets are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from outlast.config import units
from outlast.config.secrets import mask_secrets
from outlast.config.settings import IsolationSettings, MetricSettings, Settings
from outlast.space.definitions import to_definition

_DURATIONS = {"time", "timeout", "grace", "hang_after"}


def resolve(settings: Settings, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The study in our dialect, as plain data that can be written as JSON or YAML and read back equal.

    Args:
        settings: The study.
        secrets: Environment variables whose value is not here because it was masked when it was recorded.
    """
    out: dict[str, Any] = {"name": settings.name}
    if settings.command is not None:
        out["command"] = list(settings.command)
    if settings.function is not None:
        out["function"] = settings.function
    metrics = [_metric(metric) for metric in settings.metrics]
    out["metric"] = metrics[0] if len(metrics) == 1 else metrics
    out["parameters"] = {parameter.name: to_definition(parameter) for parameter in settings.parameters}
    out["nested"] = None if settings.nested is None else list(settings.nested)
    out["budget"] = _changed(settings.budget)
    out["sampler"] = _named(settings.sampler.name, {"seed": settings.sampler.seed, **settings.sampler.options}, "auto")
    out["pruner"] = _named(settings.pruner.name, settings.pruner.options, "none")
    out["constraints"] = list(settings.constraints)
    out["enqueue"] = [dict(entry) for entry in settings.enqueue]
    out["cwd"], out["config"], out["derive"] = settings.cwd, settings.config, settings.derive
    out["env"] = {**settings.env, **(secrets or {})}
    out["trial"] = _changed(settings.trial)
    out["parallel"] = None if settings.parallel == "auto" else settings.parallel
    out["resources"] = _changed(settings.resources)
    if "memory" in out["resources"]:
        out["resources"]["memory"] = units.format_size(out["resources"]["memory"])
    out["executor"] = _named(settings.executor.name, settings.executor.options, "local")
    out["slurm"], out["code"] = settings.slurm, settings.code
    out["checkpoints"], out["faults"] = _changed(settings.checkpoints), _changed(settings.faults)
    out["check"], out["isolation"] = _changed(settings.check), _isolation(settings.isolation)
    out |= settings.later
    keep = ["name"] if settings.function is not None else ["name", "parameters"]
    keep += [] if settings.nested is None else ["nested"]
    return mask_secrets({k: v for k, v in out.items() if k in keep or (v not in (None, [], {}) or k in settings.later)})


def _isolation(isolation: IsolationSettings) -> Any:
    if isolation.mode == "process":
        return None
    return "worker" if isolation == IsolationSettings(mode="worker") else {"worker": isolation.trials}


def _metric(metric: MetricSettings) -> dict[str, Any]:
    return {"name": metric.name, "goal": metric.goal, **_changed(metric, leave=("name", "goal"))}


def _changed(section: Any, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for each in fields(section):
        key, value = each.name, getattr(section, each.name)
        if key in leave or value == each.default:
            continue
        out[key] = units.format_duration(value) if key in _DURATIONS else _plain(value)
    return out


def _named(name: str, options: Mapping[str, Any], default: str) -> Any:
    options = {key: value for key, value in options.items() if value is not None}
    if options:
        return {"name": name, **options}
    return None if name == default else name


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
