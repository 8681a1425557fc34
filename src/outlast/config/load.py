"""From a path to settings: dialect, ``extends``, ``--set``, ``matrix``; and from a study's own record.

Other dialects are imported where a file may speak them: a record speaks ours.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from outlast.config import native, overrides, yaml
from outlast.config.resolved import IDLE_INDEX_KEYS
from outlast.config.settings import Settings
from outlast.config.shapes import At
from outlast.config.yaml import Document, Place
from outlast.errors import StudyFileError

Metric = tuple[str, Literal["maximize", "minimize"]]

_SHARED = ("name", "description", "metric", "parameters", "command", "extends", "matrix", "cwd")
_MAX_STUDIES = 1000


def load_study_file(
    path: str | Path, *, overrides: Sequence[str] = (), metric: Metric | None = None, name: str | None = None
) -> Settings:
    """Read one study file, in whichever dialect.

    Args:
        path: The file. Relative paths inside it start at its folder, or at its `cwd`.
        overrides: ``key=value`` texts that change the file; values are typed as YAML.
        metric: Name and goal given on the command line; they win over the file's.
        name: A name for the study that wins over the file's.

    Raises:
        StudyFileError: Anything wrong with it, before anything runs.
    """
    studies = load_studies(path, overrides=overrides, metric=metric, name=name)
    if len(studies) > 1:
        raise StudyFileError(
            f"makes {len(studies)} studies where one is meant: {', '.join(study.name for study in studies)}",
            file=os.fspath(path),
            key="matrix",
            cure="--set matrix=null leaves it out; or a file for each value that says `extends:`",
        )
    return studies[0]


def load_studies(
    path: str | Path, *, overrides: Sequence[str] = (), metric: Metric | None = None, name: str | None = None
) -> list[Settings]:
    """Read a study file that may make several studies: one for each combination of its ``matrix``.

    Args and errors are those of `load_study_file`. Names get the values as suffixes.
    """
    file = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(file))
    document, notes = _document(file, overrides, folder)
    if metric is not None:
        _put_metric(document, metric)
    if name is not None:
        document.put(("name",), name, Place("--name"))
    document.data.setdefault("name", native.clean_name(os.path.splitext(os.path.basename(file))[0]))
    studies = []
    for one in _matrix(document):
        studies.append(native.read(one, working_directory=_start(one, folder), notes=notes))
    names = [study.name for study in studies]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise document.error(("matrix",), f"makes two studies named `{twice}`")
    return studies


def settings_from_resolved(
    resolved: Mapping[str, Any], working_directory: str, changes: Sequence[str] = ()
) -> Settings:
    """The settings of a study from its own record (ledger, ``study.yaml``). Files need not be there.

    Args:
        resolved: The record.
        working_directory: Where the study's trainings run.
        changes: ``key=value`` texts, applied to it as ``--set`` applies them to a study file.

    Raises:
        StudyFileError: The record is not a study file of ours, or is none any more with the changes.
    """
    document = _on_record(resolved)
    for change in changes:
        parts, value, place = overrides.parse_override(change)
        if parts == ["cwd"]:
            raise StudyFileError("is read from a study file only", file=place.file, cure="run the study file with it")
        overrides.override(document, parts, value, place, tuple(native.STUDY_FILE.shapes))
    return native.read(document, working_directory=working_directory, files=False)


def _on_record(resolved: Mapping[str, Any]) -> Document:
    """A record to read, without what was taken as it stood once and had no effect. What a person changes comes after this."""
    document = Document(copy.deepcopy(dict(resolved)), "study.yaml")
    if isinstance(index := document.data.get("index"), dict):
        for name in IDLE_INDEX_KEYS:
            index.pop(name, None)
    for key in ("confirm", "refit", "evaluate"):
        with contextlib.suppress(KeyError):
            try:
                native.STUDY_FILE.shapes[key].read(document.data[key], At(document, (key,)))
            except StudyFileError:
                del document.data[key]
    return document


def to_yaml(settings: Settings) -> str:
    """The text of ``study.yaml``: the resolved study in our dialect."""
    from outlast.config import yaml_writer

    return (
        f"# Study {settings.name}, resolved by Outlast; secrets are left out. Change your own study file, not this.\n"
        + yaml_writer.dump(settings.resolved, compact=True)
    )


def _start(document: Document, folder: str) -> str:
    """Where the command runs and relative paths start: the study file's folder, or what `cwd` says from there."""
    cwd = document.data.get("cwd")
    if not isinstance(cwd, str):  # none, or one that its shape refuses
        return folder
    start = os.path.normpath(os.path.join(folder, cwd))
    if not os.path.isdir(start):
        raise document.error(("cwd",), f"`{cwd}` is no folder", "it is relative to the study file's folder")
    return start


def _document(file: str, changes: Sequence[str], folder: str) -> tuple[Document, tuple[str, ...]]:
    """The document in our dialect, with everything that it extends and every override."""
    from outlast.config import reference_dialect, wandb

    chain = _chain(file)
    notes = tuple(
        note for document in chain if _dialect(document) == "wandb" for note in wandb.as_wandb_reads(document)
    )
    dialects = [dialect for dialect in (_dialect(document) for document in chain) if dialect]
    parsed = [overrides.parse_override(change) for change in changes]
    if len(set(dialects)) > 1:  # each is translated by itself
        translated = []
        for document in chain:
            one, more = _translate(document, _dialect(document) or "outlast", folder, files=False)
            translated.append(one)
            notes += more
        document, dialect = _merged(translated), "outlast"
    else:
        document, dialect = _merged(chain), dialects[0] if dialects else "outlast"
    own = {"wandb": tuple(wandb.SWEEP_FILE.shapes), "reference": tuple(reference_dialect.HPO_FILE.shapes)}.get(
        dialect, ()
    )
    later = []
    for parts, value, place in parsed:
        if parts[0] == "extends":
            raise StudyFileError(
                "is read from a study file only", file=place.file, cure="write `extends:` into the file"
            )
        if parts[0] in own:
            overrides.override(document, parts, value, place, own)
        else:
            later.append((parts, value, place))
    document, more = _translate(document, dialect, _start(document, folder), files=True)
    for parts, value, place in later:
        overrides.override(document, parts, value, place, tuple(native.STUDY_FILE.shapes))
    document.data.pop("extends", None)
    return document, notes + more


def _translate(document: Document, dialect: str, folder: str, *, files: bool) -> tuple[Document, tuple[str, ...]]:
    from outlast.config import reference_dialect, wandb

    if dialect == "wandb":
        return wandb.translate(document, folder=folder, files=files)
    if dialect == "reference":
        return reference_dialect.translate(document)
    return document, ()


def _chain(file: str) -> list[Document]:
    """The file and all that it extends, the farthest first. A base's own name is not handed down."""
    documents: list[Document] = []
    seen: list[str] = []
    here = file
    while True:
        real = os.path.realpath(here)
        if real in seen:
            raise documents[-1].error(("extends",), f"goes round in a circle: `{here}` is extended already")
        seen.append(real)
        document = yaml.read(here)
        if documents:
            document.data.pop("name", None)
        overrides.spell(document)
        documents.append(document)
        base = document.data.get("extends")
        if base is None:
            _rebase(documents[::-1])
            return documents[::-1]
        if not isinstance(base, str) or not base:
            raise document.error(("extends",), "must be a study file's path")
        here = os.path.join(os.path.dirname(here), base)
        if not os.path.exists(here):
            raise document.error(("extends",), f"`{base}` does not exist", "paths start at the study file's folder")


def _rebase(chain: Sequence[Document]) -> None:
    """Paths of bases in other folders, as they are seen from where the study file's own start."""
    homes = [os.path.dirname(os.path.abspath(document.file)) for document in chain]
    starts: list[str] = []
    for document, home in zip(chain, homes, strict=True):
        cwd = document.data.get("cwd")
        handed_down = starts[-1] if starts and "cwd" in _keys(chain[: len(starts)]) else home
        starts.append(os.path.normpath(os.path.join(home, cwd)) if isinstance(cwd, str) else handed_down)
        if isinstance(cwd, str) and home != homes[-1] and not os.path.isabs(cwd):
            document.data["cwd"] = os.path.relpath(starts[-1], homes[-1])
    for document, start in zip(chain, starts, strict=True):
        for key in ("config", "program"):
            value = document.data.get(key)
            if isinstance(value, str) and not os.path.isabs(value) and start != starts[-1]:
                document.data[key] = os.path.relpath(os.path.join(start, value), starts[-1])


def _keys(chain: Sequence[Document]) -> set[str]:
    return {key for document in chain for key, value in document.data.items() if value is not None}


def _merged(chain: Sequence[Document]) -> Document:
    document = chain[0]
    for top in chain[1:]:
        document = overrides.merge(document, top)
    return document


def _dialect(document: Document) -> str | None:
    """Whose words a file speaks; ``None`` where it has only words that all share."""
    from outlast.config import reference_dialect, wandb

    ours = [key for key in document.data if key in native.STUDY_FILE.shapes and key not in _SHARED]
    sweep = [key for key in document.data if key in wandb.ONLY_KEYS]
    hpo = [key for key in document.data if key in reference_dialect.ONLY_KEYS]
    if hpo:
        mixed = [*sweep, *(key for key in document.data if key in reference_dialect.COUNTERPARTS)]
        if mixed:
            raise _mixture(document, mixed[0], hpo[0], "an HPO file's")
        return "reference"
    if sweep and ours:
        raise _mixture(document, ours[0], sweep[0], "a W&B sweep file's")
    if sweep:
        return "wandb"
    return "outlast" if ours else None


def _mixture(document: Document, ours: str, theirs: str, whose: str) -> StudyFileError:
    return document.error(
        (ours,),
        f"two dialects in one file: `{theirs}` (line {document.place((theirs,)).line}) is {whose}, `{ours}` is not",
        f"keep one, or put `{ours}` into a file of its own that says `extends: {os.path.basename(document.file)}`",
    )


def _put_metric(document: Document, metric: Metric) -> None:
    name, goal = metric
    given = document.data.get("metric")
    several = given if isinstance(given, list) else [given]
    kept = next((one for one in several if isinstance(one, Mapping) and one.get("name") == name), {})
    document.data.pop("goal", None)
    document.put(("metric",), {**kept, "name": name, "goal": goal}, Place(f"--{goal} {name}"))


def _matrix(document: Document) -> list[Document]:
    """One document for each combination."""
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
    one.data["name"] = "-".join([str(document.data["name"]), *suffixes])
    return one
