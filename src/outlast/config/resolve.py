"""Settings as plain data in our dialect: what the ledger and ``study.yaml`` keep. Defaults and secrets are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from outlast.config import units
from outlast.config.secrets import mask_secrets
from outlast.config.settings import ChosenSettings, IsolationSettings, MetricSettings, Settings
from outlast.space.definitions import to_definition

#: What else a study is, which its file does not say.
_NOT_KEPT = ("working_directory", "resolved", "notes")
_UNITS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("time", "timeout", "grace", "hang_after"), units.format_duration),
    "memory": units.format_size,
}


def resolve(settings: Settings, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The study in our dialect, as plain data that can be written as JSON or YAML and read back equal.

    Args:
        settings: The study.
        secrets: Environment variables whose value is not here because it was masked when it was recorded.
    """
    out: dict[str, Any] = {}
    for name, value in asdict(settings).items():
        if name == "metrics":
            metrics = _plain(value)
            out["metric"] = metrics[0] if len(metrics) == 1 else metrics
        elif name == "parameters":
            out["parameters"] = {parameter.name: to_definition(parameter) for parameter in value}
        elif name == "env":
            out["env"] = {**value, **(secrets or {})}
        elif name not in ("later", *_NOT_KEPT):
            out[name] = _plain(value)
    keep = {"name"}
    keep |= {"parameters"} if settings.function is None else set()
    keep |= {"nested"} if settings.nested is not None else set()
    out["parallel"] = None if settings.parallel == "auto" else settings.parallel
    said = {key: value for key, value in out.items() if key in keep or value not in (None, [], {})}
    return mask_secrets({**said, **settings.later})


def _plain(value: Any) -> Any:
    """A part of the settings as a study file says it: the shortest way, defaults left out."""
    if isinstance(value, ChosenSettings):
        options = {"seed": getattr(value, "seed", None), **value.options}
        options = {key: option for key, option in options.items() if option is not None}
        if options:
            return {"name": value.name, **options}
        return None if value.name == type(value)().name else value.name
    if isinstance(value, IsolationSettings):
        short = {IsolationSettings(): None, IsolationSettings(mode="worker"): "worker"}
        return short.get(value, {"worker": value.trials})
    if isinstance(value, Struct):
        usual = dict(zip(reversed(value.__struct_fields__), reversed(value.__struct_defaults__), strict=False))
        always = ("name", "goal") if isinstance(value, MetricSettings) else ()
        said = {
            key: one for key, one in asdict(value).items() if key in always or key not in usual or one != usual[key]
        }
        return {key: _UNITS.get(key, _plain)(one) for key, one in said.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
