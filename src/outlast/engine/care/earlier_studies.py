"""Earlier searches as a new one can use them: what was tried and what came of it, best first, wherever it is kept."""

from __future__ import annotations

import ast
import csv
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.core.best import Objective, ranked
from outlast.core.fold import Study, fold
from outlast.core.states import TrialState
from outlast.engine.record.recorded import recorded_settings
from outlast.errors import StudyNotFound, UsageError
from outlast.optimizer.importing.imported_study import ImportedStudy, import_storage
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

#: How tables name a parameter: plainly; as Optuna's data frames do; as W&B and Ray Tune do.
_PREFIXES = ("", "params_", "config.", "config/")
#: And a score: by its name, or as the only value of a trial.
_SCORES = ("", "summary.", "metric.")
#: A study's only objective, by names that say nothing of which it is.
_ALONE = ("value", "score")
_BAD = ("fail", "crash", "killed", "prun", "infeasible", "running", "error", "interrupted", "waiting")


class EarlierResult(Struct, frozen=True):
    """One trial of an earlier search that came to its end well.

    Attributes:
        label: What it is called there: a number, or a run's name.
        params: Values by name. Of a table they are text, as it stands there.
        values: One score per objective; empty where none can be compared with this study's.
    """

    label: str
    params: Mapping[str, Any]
    values: tuple[float, ...] = ()


class EarlierStudy(Struct, frozen=True):
    """An earlier search.

    Attributes:
        name: What it is called; a table by its folder and file: many are called trials.csv.
        results: Its complete trials, best first.
        comparable: Whether their values are of the same objectives as this study's.
        as_text: Whether values of parameters are text.
        notes: How it was read, where that is a guess.
    """

    name: str
    results: tuple[EarlierResult, ...]
    comparable: bool
    as_text: bool = False
    notes: tuple[str, ...] = ()


def earlier_study(place: str, metrics: Sequence[Objective]) -> EarlierStudy:
    """Read an earlier search; nothing of it is changed.

    Args:
        place: A study folder, an Optuna storage (``PLACE::NAME`` for one of several studies in it), or a table: CSV as
            Outlast, Optuna, W&B and Ray Tune write it, JSON or JSON lines with a ``config`` and a ``summary`` a run.
        metrics: This study's objectives.

    Raises:
        StudyNotFound: There is nothing, or several studies and none named.
        UsageError: It is none of these, or holds no score that tells what was good.
    """
    file, _, name = place.partition("::")
    if os.path.isdir(file):
        return _of_folder(file, metrics)
    if "://" not in file and not os.path.exists(file):
        raise StudyNotFound(f"--from {place}: there is no such file or folder")
    if file.lower().endswith((".csv", ".tsv", ".json", ".jsonl", ".ndjson")):
        return _of_table(file, metrics)
    return _of_storage(import_storage(file, name or None), metrics)


def _of_folder(folder: str, metrics: Sequence[Objective]) -> EarlierStudy:
    live = live_of(folder)
    if not StudyPaths.at(live).exists:
        cure = "name a study folder, an Optuna storage or a table"
        raise StudyNotFound(f"--from {folder}: there is no study in this folder", cure=cure)
    settings, study = recorded_settings(live)
    return EarlierStudy(settings.name, _results(study, settings.metrics), _alike(settings.metrics, metrics))


class _Goal(Struct, frozen=True):
    name: str
    goal: str


def _of_storage(imported: ImportedStudy, metrics: Sequence[Objective]) -> EarlierStudy:
    names = imported.metric_names or tuple(metric.name for metric in metrics)
    theirs = [_Goal(name, goal) for name, goal in zip(names, imported.directions, strict=False)]
    study = fold(imported.events)
    return EarlierStudy(
        imported.name, _results(study, theirs), len(theirs) == len(imported.directions) and _alike(theirs, metrics)
    )


def _results(study: Study, metrics: Sequence[Objective]) -> tuple[EarlierResult, ...]:
    complete = (trial for trial in ranked(study, metrics) if trial.state is TrialState.COMPLETE and trial.feasible)
    return tuple(EarlierResult(str(trial.number), trial.params, trial.values or ()) for trial in complete)


def _alike(theirs: Sequence[Objective], ours: Sequence[Objective]) -> bool:
    return [(metric.name, metric.goal) for metric in theirs] == [(metric.name, metric.goal) for metric in ours]


# -- tables --------------------------------------------------------------------------------------------------------


def _of_table(file: str, metrics: Sequence[Objective]) -> EarlierStudy:
    rows = _rows(file)
    found = [(row, _scores(row, metrics)) for row in rows if not _ended_badly(row)]
    scored = [(row, values) for row, values in found if values]
    if not scored:
        wanted = ", ".join(metric.name for metric in metrics)
        raise UsageError(
            f"--from {file}: no row has a score ({wanted}) and an end", cure=f"a column named like the metric: {wanted}"
        )
    signs = [-1.0 if metric.goal == "maximize" else 1.0 for metric in metrics]
    scored.sort(key=lambda entry: [sign * value for sign, value in zip(signs, entry[1], strict=True)])
    results = tuple(EarlierResult(_label(row, at), _params(row), values) for at, (row, values) in enumerate(scored))
    name = os.path.join(*os.path.abspath(file).split(os.sep)[-2:])
    return EarlierStudy(
        name, results, comparable=True, as_text=True, notes=_guesses([row for row, _ in scored], metrics)
    )


def _guesses(rows: Sequence[Mapping[str, Any]], metrics: Sequence[Objective]) -> tuple[str, ...]:
    """That a score is taken for this study's which nothing says it is."""
    metric = metrics[0].name
    used = [name for name in _ALONE if any(_columns(row, metrics)[0][0] == name != metric for row in rows)]
    return tuple(f"its column `{name}` is taken for {metric}" for name in used)


def _rows(file: str) -> list[dict[str, Any]]:
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            if file.lower().endswith((".csv", ".tsv")):
                delimiter = "\t" if file.lower().endswith(".tsv") else ","
                rows = csv.DictReader(lines, delimiter=delimiter)
                names = [name for name in rows.fieldnames or () if name]
                if twice := next((name for name in names if names.count(name) > 1), None):
                    raise UsageError(
                        f"--from {file}: two columns are called {twice}", cure="give each a name of its own"
                    )
                return [_flat(row) for row in rows]
            text = lines.read()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--from {file} cannot be read: {error}") from None
    try:
        whole = json.loads(text) if not file.lower().endswith(("jsonl", "ndjson")) else None
        items = [json.loads(line) for line in text.splitlines() if line.strip()] if whole is None else whole
    except ValueError as error:
        raise UsageError(f"--from {file} is no JSON: {error}") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UsageError(f"--from {file} is no list of runs", cure='[{"config": {…}, "summary": {…}}, …]')
    return [_flat(item) for item in items]


def _flat(row: Mapping[Any, Any]) -> dict[str, Any]:
    """One level, dotted: a cell that holds a mapping, as an export of `wandb.Api` has it, is taken apart."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        inner = _mapping(value)
        if inner is None:
            flat[str(key)] = value
        else:
            flat.update({f"{key}.{name}": each for name, each in _flat(inner).items()})
    return flat


def _mapping(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value[:1] == "{":
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(value)
                break
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
    if isinstance(value, Mapping):
        only = value.get("value") if set(value) <= {"value", "desc"} else None  # as W&B's config.yaml has it
        return value if only is None else {"": only}
    return None


def _ended_badly(row: Mapping[str, Any]) -> bool:
    state = str(row.get("state") or row.get("State") or row.get("status") or "").lower()
    return any(word in state for word in _BAD)


def _scores(row: Mapping[str, Any], metrics: Sequence[Objective]) -> tuple[float, ...]:
    found = _columns(row, metrics)
    return tuple(value for _, value in found) if len(found) == len(metrics) else ()


def _columns(row: Mapping[str, Any], metrics: Sequence[Objective]) -> list[tuple[str, float]]:
    """For each objective that has a score, in which column that stands, and the score."""
    found = []
    for at, metric in enumerate(metrics):
        alone = _ALONE if len(metrics) == 1 else ()
        names = (*(prefix + metric.name for prefix in _SCORES), f"values_{at}", f"values_{metric.name}", *alone)
        known = ((name, number) for name in names if (number := _number(row.get(name))) is not None)
        found += [*known][:1]
    return found


def _number(cell: Any) -> float | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _label(row: Mapping[str, Any], position: int) -> str:
    known = (row.get(key) for key in ("number", "Name", "name", "trial_id", "ID", "id"))
    return str(next((label for label in known if label not in (None, "")), position)).replace(" ", "_")


def _params(row: Mapping[str, Any]) -> dict[str, Any]:
    """Every cell under every name that it could be a parameter's by; the space picks those that it knows."""
    found: dict[str, Any] = {}
    for prefix in _PREFIXES:
        for name, cell in row.items():
            if name.startswith(prefix) and cell not in (None, ""):
                found[name[len(prefix) :].rstrip(".")] = cell
    return found


def readings(text: Any) -> Iterator[Any]:
    """What a cell may mean, the likeliest first: a number, a truth value, nothing, a list, text."""
    if not isinstance(text, str):
        yield text
        return
    numbers: tuple[Callable[[str], Any], ...] = (int, float)
    for read in numbers:
        try:
            yield read(text)
        except ValueError:
            continue
    if (word := text.strip().lower()) in ("true", "false"):
        yield word == "true"
    if word in ("none", "null"):
        yield None
    if text[:1] in "[{(":
        try:
            yield ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    yield text
