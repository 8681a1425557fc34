"""A study's settings from its own record, for whoever only looks: no places, no shapes, no checks.

What a record says was checked when it was written, in the words of `outlast.config.resolve`: ours, each the shortest way.
What stands there otherwise (a key of another version's, a mapping where a word is meant) is left to the reader of study
files, `outlast.config.load.settings_from_resolved`, which reads it or says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from outlast.config import settings as classes
from outlast.config.secrets import MASK
from outlast.config.settings import LATER_KEYS, ChosenSettings, IsolationSettings, MetricSettings, Settings
from outlast.config.units import parse_duration, parse_size
from outlast.space.definitions import define
from outlast.space.parameters import Parameter

#: What is on record with its unit.
_FIGURES: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("time", "timeout", "grace", "hang_after"), parse_duration),
    "memory": parse_size,
}
#: Taken once, without effect; earlier records have them.
IDLE_INDEX_KEYS = ("path", "study_name")

S = TypeVar("S", bound=Struct)


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
        elif key not in LATER_KEYS:
            attributes[key] = _held(Settings.__annotations__[key], value)
    later = {key: record[key] for key in LATER_KEYS if key in record}
    if "index" in later:
        later["index"] = {key: value for key, value in later["index"].items() if key not in IDLE_INDEX_KEYS}
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
    if issubclass(cls, ChosenSettings):
        return _chosen(cls, value)
    if cls is IsolationSettings:
        worker = IsolationSettings(mode="worker")
        return worker if value == "worker" else replace(worker, trials=value["worker"])
    return _section(cls, value) if isinstance(value, dict) or named.start() == 0 else value


def _section(cls: type[S], given: Mapping[str, Any]) -> S:
    held = {key: _held(cls.__annotations__[key], value) for key, value in given.items()}
    return cls(**{key: _FIGURES[key](value) if key in _FIGURES else value for key, value in held.items()})


def _chosen(cls: type[ChosenSettings], given: Any) -> ChosenSettings:
    if isinstance(given, str):
        return cls(name=given)
    own = {key: given[key] for key in cls.__struct_fields__ if key in given and key != "options"}
    return cls(**own, options={key: value for key, value in given.items() if key not in own})


def _parameter(name: str, definition: Mapping[str, Any]) -> Parameter:
    when = definition.get("when")
    conditions = {parent: values if isinstance(values, list) else (values,) for parent, values in (when or {}).items()}
    return define(name, definition, conditions or None)


def _tuples(value: Any) -> Any:
    """Plain data with tuples for lists, as settings hold it."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value
