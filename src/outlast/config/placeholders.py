"""``{backbone}`` in a path: what is the same in every trial of a study stands for itself.

One function fills all of them: `filled`. A brace that is meant is written twice; ``${NAME}``, a variable of the environment,
is left to whoever reads those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outlast._system.platforms import earlier_studies_folder, studies_folder
from outlast.config import native
from outlast.config.settings import Settings
from outlast.config.shapes import At
from outlast.config.yaml import Document
from outlast.config.yaml import Path as KeyPath
from outlast.core.file_names import StudyNames
from outlast.core.nearest import nearest
from outlast.errors import UsageError
from outlast.space.parameters import Parameter

#: Keys of a study file that say where something lies, each with all that is below it.
_PLACES: tuple[KeyPath, ...] = (
    ("checkpoints", "dir"),
    ("index",),
    ("tracking",),
    ("config",),
    ("cwd",),
    ("slurm", "scratch"),
)
#: What may hold a secret, is for people, or is made of such paths itself.
_NO_VALUES = ("parameters", "env", "notify", "tracking", "index", "command", "description", "matrix", "extends")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|(?<!\$)\{([^{}]*)\}")
#: What may be meant as one; a mapping in JSON is none.
_NAME = re.compile(r"[A-Za-z_][\w.-]*|")
#: Who comes in at an address, and the password: neither read nor shown here.
_UNREAD = re.compile(r"^[A-Za-z][\w+.-]*://(?:[^/:?#]*:.*|[^/?#@]*)@|(?<=[?&])[^=&]*pass[^=&]*=[^&]*", re.IGNORECASE)


def filled(text: str, values: Mapping[str, Any]) -> str:
    """A path with its placeholders filled in.

    Args:
        text: The path, or an address, whose ``user:password@`` stays as it is.
        values: What each name stands for, as of `placeholder_values`; ``None`` for what is not the same in every trial.

    Raises:
        UsageError: A placeholder that stands for nothing, with the nearest spelling.
    """

    def stands_for(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name in values and values[name] is not None:
            return _in_a_path(values[name])
        known = [each for each, value in values.items() if value is not None]
        if not _NAME.fullmatch(name):
            return found[0]
        if name in values:
            raise UsageError(f"`{{{name}}}` is searched: a path is the same in every trial", cure=_choice(known))
        raise UsageError(f"`{{{name}}}` stands for nothing", cure=nearest(name, known) or _choice(known))

    done, at = "", 0
    for kept in _UNREAD.finditer(text):
        done, at = done + _PLACEHOLDER.sub(stands_for, text[at : kept.start()]) + kept[0], kept.end()
    return done + _PLACEHOLDER.sub(stands_for, text[at:])


def placeholder_values(settings: Settings) -> dict[str, Any]:
    """What placeholders stand for in a study's paths: its name, each parameter that has one value, and each plain key of the
    study file, by its dotted name, such as ``{sampler}``. What is searched is there with ``None``."""
    return _values(settings.resolved, settings.parameters, settings.name)


def folder_of(settings: Settings, given: str | None = None) -> str:
    """A study's folder: as somebody named it, with placeholders; or ``studies/NAME``, where studies lie on this platform, unless
    only ``studies`` here has a study of that name.

    Raises:
        UsageError: See `filled`.
    """
    if given is None:
        earlier, usual = earlier_studies_folder(), os.path.join(studies_folder(), settings.name)
        before = usual if earlier is None else os.path.join(earlier, settings.name)
        return before if _is_begun(before) and not _is_begun(usual) else usual
    return filled(given, placeholder_values(settings)) if "{" in given or "}" in given else given


def _is_begun(folder: str) -> bool:
    return any(StudyNames(Path(folder)).ledger.glob("*.jsonl"))


def above_placeholders(given: str) -> str:
    """The folder that all the folders lie in which a path with placeholders means."""
    first = next((found for found in _PLACEHOLDER.finditer(given) if found[1] is not None), None)
    return given if first is None else os.path.dirname(given[: first.start()]) or os.curdir


def fill_places(document: Document, only: Sequence[Sequence[str]] | None = None) -> None:
    """Fill in the placeholders of every path in a study file that is one study by now.

    Args:
        document: Changed in place.
        only: The keys that are new, each with all that is below it; by default everything is.

    Raises:
        StudyFileError: See `filled`.
    """
    values: dict[str, Any] | None = None
    for path, text in [found for key in _PLACES for found in _texts(document.data, key)]:
        if ("{" not in text and "}" not in text) or "tags" in path:  # tags are no paths
            continue
        if only is not None and not any(list(map(str, path[: len(key)])) == [*key] for key in only):
            continue
        if values is None:
            values = _values(document.data, _parameters(document), str(document.data["name"]))
        try:
            new = filled(text, values)
        except UsageError as error:
            raise document.error(path, error.fact, error.cure) from None
        document.put(path, new)


def fill_name(document: Document) -> None:
    """Fill in the placeholders of a study's name, as of ``hpo_{backbone}``.

    Raises:
        StudyFileError: See `filled`.
    """
    name = document.data["name"]
    if not isinstance(name, str) or "{" not in name:
        return
    values = _values(document.data, _parameters(document), "")
    del values["name"]
    try:
        document.put(("name",), filled(name, values))
    except UsageError as error:
        raise document.error(("name",), error.fact, error.cure) from None


def _parameters(document: Document) -> tuple[Parameter, ...]:
    given = document.data.get("parameters")
    at = At(document, ("parameters",))
    return () if given is None else native.STUDY_FILE.shapes["parameters"].read(given, at)


def _values(data: Mapping[str, Any], parameters: tuple[Parameter, ...], name: str) -> dict[str, Any]:
    """A parameter wins over a key of the same name; the study's name over both."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key not in _NO_VALUES:
            found |= _plain(key, value)
    for each in parameters:
        found[each.name] = each.value if each.constant else None
    return {**found, "name": name}


def _plain(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        below = {k: v for inner, each in value.items() for k, v in _plain(f"{key}.{inner}", each).items()}
        own = {key: value["name"]} if isinstance(value.get("name"), str) else {}
        return {**below, **own}
    return {key: value} if isinstance(value, (str, int, float)) and "{" not in str(value) else {}


def _texts(data: Any, path: KeyPath, done: KeyPath = ()) -> list[tuple[KeyPath, str]]:
    """The texts at a path and below it, each with where it stands."""
    if path:
        inner = data.get(path[0]) if isinstance(data, Mapping) else None
        return [] if inner is None else _texts(inner, path[1:], (*done, path[0]))
    if isinstance(data, str):
        return [(done, data)]
    items = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, each in items for found in _texts(each, (), (*done, key))]


def _in_a_path(value: Any) -> str:
    """As one step of a path: a model's ``org/name`` makes no folder of its own, and nothing leads out."""
    text = str(value).replace(os.sep, "-").strip()
    return text if text.strip(".") else "-" * max(len(text), 1)


def _choice(known: list[str]) -> str:
    return f"there is: {', '.join(f'{{{each}}}' for each in known[:12])}" if known else "there is none"
