"""``splits.json``: the folds of a study, drawn once and the same for every trial and after every restart."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from outlast._system.files import write_atomic, write_once
from outlast._system.reading import read_bytes
from outlast.config.settings import Settings
from outlast.core.file_names import StudyNames
from outlast.core.parts import Part, draw_folds, parts
from outlast.errors import StudyFileError


def study_parts(settings: Settings) -> tuple[Part, ...]:
    """The parts of every trial; empty where a trial is whole."""
    folds = settings.trial.folds
    return parts(settings.trial.seeds, None if folds is None else int(folds["n"]))


def ensure_splits(root: Path, settings: Settings, study_seed: int, *, fence: Callable[[], object]) -> None:
    """Write ``splits.json`` if the study has folds and the file is not there yet, or has those of an earlier revision.

    Those are kept as ``splits.1.json`` and so on: as a copy, so that what trains finds folds at any time, and a holder that was
    superseded takes none away.

    Args:
        fence: Raises where somebody else holds the study.

    Raises:
        StudyFileError: As `drawn_splits` does.
    """
    if settings.trial.folds is None:
        return
    path = StudyNames(root).splits
    there = read_bytes(path)
    known = _content(there)
    wanted = _origin(settings.trial.folds, study_seed)
    if isinstance(known, dict) and all(known.get(key, value) == value for key, value in wanted.items()):
        return
    splits = drawn_splits(settings, study_seed)
    if there is None:
        write_once(path, json.dumps(splits), fence=fence)
        return
    for old in (path.with_name(f"splits.{n}.json") for n in count(1)):
        if write_once(old, there, fence=fence) or read_bytes(old) == there:
            break
    write_atomic(path, json.dumps(splits), fence=fence)


def _content(text: bytes | None) -> Any | None:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def drawn_splits(settings: Settings, study_seed: int) -> dict[str, Any]:
    """The content of ``splits.json`` for a study with folds.

    Raises:
        StudyFileError: The file of ids cannot be read, lacks a column, or has fewer examples than folds.
    """
    folds = settings.trial.folds or {}
    splits = _origin(folds, study_seed)
    if folds.get("ids") is not None:
        stratify = folds.get("stratify")
        columns = {"stratify": "label" if stratify is True else stratify or None, "group": folds.get("group")}
        rows = _rows(os.path.join(settings.working_directory, str(folds["ids"])), [c for c in columns.values() if c])
        try:
            drawn = draw_folds(rows, splits["n"], seed=splits["seed"], shuffle=splits["shuffle"], **columns)
        except ValueError as error:
            raise StudyFileError(str(error), key="trial.folds") from error
        splits["folds"] = drawn
    return splits


def _origin(folds: Mapping[str, Any], study_seed: int) -> dict[str, Any]:
    """What determines the folds: where it differs from what is there, they are drawn anew."""
    return {
        "version": 1,
        "n": int(folds["n"]),
        "seed": int(folds.get("seed", study_seed)),
        "shuffle": folds.get("shuffle", True),
        "drawn_from": {key: folds[key] for key in ("ids", "stratify", "group") if folds.get(key)},
    }


def _rows(path: str, columns: list[str]) -> list[Mapping[str, Any]]:
    """The examples of a file of ids: a line each, or a CSV whose first column, or ``id``, is the id."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            if not path.endswith((".csv", ".tsv")):
                rows: list[Mapping[str, Any]] = [{"id": line.strip()} for line in file if line.strip()]
            else:
                found = list(csv.DictReader(file, delimiter="\t" if path.endswith(".tsv") else ","))
                rows = [{**row, "id": row.get("id", next(iter(row.values())))} for row in found]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyFileError(f"the ids in {path} cannot be read: {error}", key="trial.folds.ids") from error
    for column in columns:
        if rows and column not in rows[0]:
            known = ", ".join(rows[0])
            raise StudyFileError(f"{path} has no column {column!r}; it has {known}", key="trial.folds")
    return rows
