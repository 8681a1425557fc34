"""``matrix``: one study file that makes a study for each combination of values."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from outlast.config import native, overrides
from outlast.config.shapes import At
from outlast.config.yaml import Document

_MAX_STUDIES = 1000


def multiplied(document: Document) -> list[Document]:
    """One document for each combination of a document's ``matrix``, with the values behind its name; without one, itself.

    Raises:
        StudyFileError: It makes no sense, or far too many studies.
    """
    matrix = document.data.get("matrix")
    if matrix is None:
        document.data.pop("matrix", None)
        return [document]
    values: dict[str, Any] = native.STUDY_FILE.shapes["matrix"].read(matrix, At(document, ("matrix",)))
    total = 1
    for each in values.values():
        total *= len(each)
    if total > _MAX_STUDIES:
        raise document.error(("matrix",), f"makes {total} studies; at most {_MAX_STUDIES}")
    return [
        _combination(document, dict(zip(values, picked, strict=True)), values)
        for picked in itertools.product(*values.values())
    ]


def _combination(document: Document, picked: Mapping[str, Any], values: Mapping[str, Any]) -> Document:
    one = Document(copy.deepcopy(document.data), document.file, dict(document.places))
    one.data.pop("matrix", None)
    suffixes = []
    for key, value in picked.items():
        place = document.place(("matrix", key))
        parts = key.split(".")
        if parts[0] in native.STUDY_FILE.shapes:
            overrides.override(one, parts, value, place, tuple(native.STUDY_FILE.shapes))
        else:
            overrides.override(one, ["parameters", *parts], {"value": value}, place, ("parameters",))
        plain = isinstance(value, (str, int, float))
        suffixes.append(native.clean_name(str(value)) if plain else str(values[key].index(value)))
    name = str(document.data["name"])
    one.data["name"] = name if "{" in name else "-".join([name, *suffixes])  # `{backbone}` says where the values go
    return one
