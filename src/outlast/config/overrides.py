"""Changes to a document: ``--set key=value``, and the file that a study file extends."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.config import notation, yaml
from outlast.config.shapes import At
from outlast.config.store_address import masked_address
from outlast.config.yaml import Document, Path, Place
from outlast.core.nearest import nearest
from outlast.errors import StudyFileError
from outlast.space.definitions import ALL_FIGURES

#: A definition with one of these says all by itself; it replaces the one before instead of changing it.
_WHOLE = ("value", "values", "distribution", "parameters")


def parse_override(text: str) -> tuple[list[str], Any, Place]:
    """``key=value`` as key parts and YAML-typed value.

    Raises:
        StudyFileError: No key, no ``=``, or a value that is not YAML.
    """
    place = Place(f"--set {masked_address(text)}")
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise StudyFileError("is not of the form key=value", file=place.file, cure="such as --set budget.trials=20")
    typed = yaml.parse_value(value, place.file)
    return parts, value.strip() if _is_text(tuple(parts)) and _is_number(typed) else typed, place


#: Sections that may be a word, and the key that this word is.
_SHORT = {"sampler": "name", "pruner": "name", "index": "url"}


def spell(document: Document) -> None:
    """Give numbers that become arguments or environment variables their spelling: ``1.10`` is no ``1.1`` there."""
    for path, text in document.numbers.items():
        if _is_text(path):
            document.put(path, text)


def _is_text(path: Path) -> bool:
    return len(path) > 1 and (
        path[0] in ("env", "command") or path[:2] in (("trial", "resume_args"), ("check", "args"))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def override(document: Document, parts: Sequence[str], value: Any, place: Place, keys: Sequence[str]) -> None:
    """Set one key.

    Args:
        document: Changed in place.
        parts: The dotted key.
        value: What it is to be.
        place: Where that was said.
        keys: The top-level keys that there are.

    Raises:
        StudyFileError: An unknown key, or one inside something that holds none.
    """
    if parts[0] not in keys:
        names = document.data.get("parameters")
        cure = nearest(parts[0], list(keys))
        if isinstance(names, Mapping) and parts[0] in names:
            cure = f"did you mean `parameters.{'.'.join(parts)}`?"
        raise StudyFileError(f"unknown key `{parts[0]}`; allowed: {', '.join(keys)}", file=place.file, cure=cure)
    if parts[0] == "parameters" and len(parts) > 1:
        _set_parameter(document, parts[1:], value, place)
        return
    if parts == ["command"] and "function" in document.data:
        del document.data["function"]
    if parts == ["function"] and "command" in document.data:
        del document.data["command"]
    here: Any = document.data
    path: Path = ()
    for part in parts[:-1]:
        path = (*path, _index(here, part, place))
        here = _step(here, part, place)
    document.put((*path, _index(here, parts[-1], place)), value, place)


def merge(base: Document, top: Document) -> Document:
    """A document that extends another: mappings are merged key by key, everything else is replaced."""
    out = Document(copy.deepcopy(base.data), top.file, {**base.places, (): top.place(())})
    for key, value in top.data.items():
        if key == "parameters" and isinstance(value, Mapping) and isinstance(out.data.get(key), Mapping):
            _merge_parameters(out, value, top, ("parameters",))
        else:
            _merge(out, (key,), value, top)
    if "command" in top.data and "function" not in top.data:
        out.data.pop("function", None)
    if "function" in top.data and "command" not in top.data:
        out.data.pop("command", None)
    return out


def _merge(out: Document, path: Path, value: Any, top: Document) -> None:
    old = _get(out.data, path)
    if isinstance(old, dict) and isinstance(value, Mapping):
        for key, inner in value.items():
            _merge(out, (*path, key), inner, top)
    else:
        out.put(path, copy.deepcopy(value), path, top)


def _merge_parameters(out: Document, group: Mapping[str, Any], top: Document, path: Path) -> None:
    for name, definition in group.items():
        here: Path = (*path, name)
        old = _get(out.data, here)
        if notation.holds_others(definition) and notation.holds_others(old):
            _merge_parameters(out, definition["parameters"], top, (*here, "parameters"))
        elif isinstance(definition, Mapping) and old is not None and not _says_all(definition):
            out.put(here, notation.expand(old, At(out, here)), here, out)
            _merge(out, here, definition, top)
        else:
            out.put(here, copy.deepcopy(definition), here, top)


def _says_all(definition: Mapping[str, Any]) -> bool:
    return any(key in definition for key in _WHOLE) or ("min" in definition and "max" in definition)


def _get(data: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(data, Mapping) or key not in data:
            return None
        data = data[key]
    return data


def _set_parameter(document: Document, parts: Sequence[str], value: Any, place: Place) -> None:
    """``parameters.optimizer.lr.max``: names may be dotted or nested, and definitions short."""
    path: Path = ("parameters",)
    group = document.data.get("parameters") or {}
    if not isinstance(group, dict):
        raise StudyFileError(f"`{parts[0]}`: `parameters` holds no names", file=place.file)
    document.data["parameters"] = group
    found = _find(group, parts, path)
    if found is None:
        if parts[-1] in ALL_FIGURES and len(parts) > 1:
            known = [".".join(keys) for keys, each in notation.definitions(group) if not notation.holds_others(each)]
            name = ".".join(parts[:-1])
            cure = nearest(name, known) or f"parameters: {', '.join(known)}"
            raise StudyFileError(f"unknown parameter `{name}`", file=place.file, cure=cure)
        document.put((*path, ".".join(parts)), value, place)
        return
    where, rest = found
    if not rest:
        document.put(where, value, place)
        return
    definition = notation.expand(_get(document.data, where), At(document, where))
    if rest[0] in ("value", "values"):
        definition = {key: old for key, old in definition.items() if key == "when"}
    if rest[0] == "when" and len(rest) > 1:
        definition["when"] = {**(definition.get("when") or {}), ".".join(rest[1:]): value}
    elif len(rest) == 1:
        definition[rest[0]] = value
    else:
        raise StudyFileError(f"unknown key `{'.'.join(rest)}`", file=place.file)
    document.put(where, definition, where, document)
    inside: Path = (*where, rest[0])
    document.places[inside] = place


def _find(group: Any, parts: Sequence[str], path: Path) -> tuple[Path, Sequence[str]] | None:
    if not isinstance(group, Mapping):
        return None
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name not in group:
            continue
        here: Path = (*path, name)
        if notation.holds_others(group[name]) and end < len(parts):
            rest = parts[end + 1 :] if parts[end] == "parameters" else parts[end:]
            return _find(group[name]["parameters"], rest, (*here, "parameters"))
        return here, parts[end:]
    return None


def _step(here: Any, part: str, place: Place) -> Any:
    key = _index(here, part, place)
    if isinstance(here, list):
        return here[int(key)]
    inner = here.get(key)
    if inner is None:
        inner = {}
    elif isinstance(inner, str) and key in _SHORT:
        inner = {_SHORT[key]: inner}
    here[key] = inner
    return inner


def _index(here: Any, part: str, place: Place) -> Any:
    if isinstance(here, list):
        if not (part.isascii() and part.isdigit()) or int(part) >= len(here):
            raise StudyFileError(f"`{part}` is not one of the {len(here)} items, counted from 0", file=place.file)
        return int(part)
    if not isinstance(here, dict):
        raise StudyFileError(f"`{part}`: there are no keys inside {here!r}", file=place.file)
    return part
