"""Settings as plain data in our dialect: what the ledger and ``study.yaml`` keep, and what is read of it.

What is written leaves out defaults and secrets, and says each thing the shortest way. It was checked then: `read_record` reads it
for whoever only looks, without places, shapes and checks. What stands there otherwise (a key of another version's, a text where
a list is written) is left to the reader of study files, `outlast.config.load.settings_from_resolved`, which reads it or says
what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from outlast.config import settings as classes
from outlast.config import units
from outlast.config.chosen import ChosenSettings
from outlast.config.secrets import MASK, mask_address, mask_secrets
from outlast.config.settings import (
    LATER_KEYS,
    IndexSettings,
    IsolationSettings,
    MetricSettings,
    NotifySettings,
    Settings,
)
from outlast.config.store_address import masked_address
from outlast.config.tracking_section import TrackingSettings
from outlast.space.definitions import define, to_definition
from outlast.space.parameters import Parameter

#: What else a study is, which its file does not say.
_NOT_KEPT = ("working_directory", "resolved", "notes")
#: What is on record with its unit: how it is written, and read.
_UNITS: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    **dict.fromkeys(("time", "timeout", "grace", "hang_after"), (units.format_duration, units.parse_duration)),
    "memory": (units.format_size, units.parse_size),
}
#: Taken once, without effect; earlier records have them.
IDLE_INDEX_KEYS = ("path", "study_name")

S = TypeVar("S", bound=Struct)


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
        if value != IsolationSettings.of(value.mode):
            return {value.mode: value.trials}
        return None if value == IsolationSettings() else value.mode
    if isinstance(value, IndexSettings) and value.url is not None:
        value = replace(value, url=masked_address(value.url))
        if value == IndexSettings(url=value.url):
            return value.url
    if isinstance(value, NotifySettings):
        value = replace(value, urls=tuple(mask_address(url) for url in value.urls))
    if isinstance(value, Struct):
        defaults = (getattr(each, "factory", lambda each=each: each)() for each in reversed(value.__struct_defaults__))
        usual = dict(zip(reversed(value.__struct_fields__), defaults, strict=False))
        always = ("name", "goal") if isinstance(value, MetricSettings) else ()
        said = {
            key: one for key, one in asdict(value).items() if key in always or key not in usual or one != usual[key]
        }
        return {key: _UNITS[key][0](one) if key in _UNITS else _plain(one) for key, one in said.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def settings_on_record(record: Mapping[str, Any], working_directory: str) -> Settings:
    """The settings that a record says, equal to what `settings_from_resolved` reads, but for the notes.

    Args:
        record: As the ledger has it. It becomes `Settings.resolved`.
        working_directory: Where the study's trainings run.

    Raises:
        StudyFileError: The record is not a study file of ours.
    """
    try:
        return read_record(record, working_directory)
    except (AttributeError, KeyError, TypeError, ValueError):
        from outlast.config.load import settings_from_resolved

        return settings_from_resolved(record, working_directory)


def read_record(record: Mapping[str, Any], working_directory: str) -> Settings:
    """`settings_on_record` without a second try.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: Something stands there otherwise than it is recorded.
    """
    attributes: dict[str, Any] = {}
    for key, value in record.items():
        if key == "metric":
            several = value if isinstance(value, list) else [value]
            attributes["metrics"] = tuple(_section(MetricSettings, each) for each in several)
        elif key == "parameters":
            attributes[key] = tuple(_parameter(name, definition) for name, definition in value.items())
        elif key == "env":
            attributes[key] = {name: text for name, text in value.items() if MASK not in text}
        elif key == "enqueue":
            attributes[key] = tuple(value)
        elif key == "notify":
            attributes[key] = NotifySettings.of(value)
        elif key == "tracking":
            attributes[key] = TrackingSettings.of(value)
        elif key == "index" and isinstance(value, Mapping):
            known = {name: each for name, each in value.items() if name not in IDLE_INDEX_KEYS}
            attributes[key] = _section(IndexSettings, known)
        elif key == "index":
            attributes[key] = IndexSettings.of(value)
        elif key not in LATER_KEYS:
            attributes[key] = _held(Settings.__annotations__[key], value)
    later = {key: record[key] for key in LATER_KEYS if key in record}
    return Settings(**attributes, later=later, working_directory=working_directory, resolved=dict(record))


def _held(annotation: str, value: Any) -> Any:
    """A value as its attribute is annotated: where that names a class of settings, a mapping is read as one of these."""
    if isinstance(value, list):
        return _tuples(value)
    named = re.search(r"\b[A-Z][a-z]+Settings\b", annotation)
    if named is None:
        if isinstance(value, str) and "tuple[" in annotation:
            raise ValueError(f"{value!r} is no list")  # one word for several is a person's way to write it
        return _tuples(value)
    cls = getattr(classes, named[0])
    if issubclass(cls, (ChosenSettings, IsolationSettings, NotifySettings)):
        return cls.of(value)
    return _section(cls, value) if isinstance(value, dict) or named.start() == 0 else value


def _section(cls: type[S], given: Mapping[str, Any]) -> S:
    held = {key: _held(cls.__annotations__[key], value) for key, value in given.items()}
    return cls(**{key: _UNITS[key][1](value) if key in _UNITS else value for key, value in held.items()})


def _parameter(name: str, definition: Mapping[str, Any]) -> Parameter:
    when = definition.get("when")
    conditions = {parent: values if isinstance(values, list) else (values,) for parent, values in (when or {}).items()}
    return define(name, definition, conditions or None)


def _tuples(value: Any) -> Any:
    """Plain data with tuples for lists, as settings hold it."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value
