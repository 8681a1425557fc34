"""From a path to settings: dialect, ``extends``, ``--set``, ``matrix``; and from a study's own record.

Other dialects are imported where a file may speak them: a record speaks ours.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from outlast.config import native, overrides
from outlast.config.chain import read_chain, resolve_chain, start_of
from outlast.config.matrix import multiplied
from outlast.config.resolved import IDLE_INDEX_KEYS
from outlast.config.settings import Settings
from outlast.config.shapes import At
from outlast.config.yaml import Document, Place
from outlast.errors import StudyFileError

#: What makes a campaign of a file.
CAMPAIGN_KEY = "studies"
Metric = tuple[str, Literal["maximize", "minimize"]]


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
    return only_one(load_studies(path, overrides=overrides, metric=metric, name=name), os.fspath(path))


def load_studies(
    path: str | Path, *, overrides: Sequence[str] = (), metric: Metric | None = None, name: str | None = None
) -> list[Settings]:
    """Read a study file that may make several studies: one for each combination of its ``matrix``.

    Args and errors are those of `load_study_file`. Names get the values as suffixes.
    """
    file = os.fspath(path)
    called = None if name is None else (name, Place("--name"))
    return _sound(
        [each for _, each in read_studies(file, read_chain(file), changes=overrides, metric=metric, name=called)]
    )


def only_one(read: Sequence[Settings | StudyFileError], file: str) -> Settings:
    """The one study that a document makes.

    Raises:
        StudyFileError: It makes several, or something is wrong with it.
    """
    studies = _sound(read)
    if len(studies) > 1:
        raise StudyFileError(
            f"makes {len(studies)} studies where one is meant: {', '.join(study.name for study in studies)}",
            file=file,
            key="matrix",
            cure="--set matrix=null leaves it out; or a file for each value that says `extends:`",
        )
    return studies[0]


def _sound(read: Sequence[Settings | StudyFileError]) -> list[Settings]:
    for each in read:
        if isinstance(each, StudyFileError):
            raise each
    return [each for each in read if isinstance(each, Settings)]


def read_studies(
    file: str,
    chain: Sequence[Document],
    *,
    changes: Sequence[str] = (),
    metric: Metric | None = None,
    name: tuple[str, Place] | None = None,
) -> list[tuple[str, Settings | StudyFileError]]:
    """The studies that a document makes: the name of each, with its settings or what is wrong with it alone.

    Args:
        file: The study file. Its folder is where relative paths start; its name is the study's where nothing else is said.
        chain: It, behind what it extends; see `outlast.config.chain.read_chain`.
        changes, metric: See `load_study_file`.
        name: What the study is called whatever the file says, and where that was said.

    Raises:
        StudyFileError: What is wrong with all of them.
    """
    if CAMPAIGN_KEY in chain[-1].data:
        cure = "name one of its studies, or the command's own file; `run`, `check` and `submit` take a campaign"
        raise chain[-1].error((CAMPAIGN_KEY,), "is a campaign's: several studies, where one is meant", cure)
    folder = os.path.dirname(os.path.abspath(file))
    document, notes = resolve_chain(chain, changes, folder)
    if metric is not None:
        _put_metric(document, metric)
    if name is not None:
        document.put(("name",), *name)
    document.data.setdefault("name", native.clean_name(os.path.splitext(os.path.basename(file))[0]))
    found = [_settings(one, folder, notes) for one in multiplied(document)]
    names = [each for each, _ in found]
    if (twice := next((each for each in names if names.count(each) > 1), None)) is not None:
        wrong = [each for name, each in found if name == twice and isinstance(each, StudyFileError)]
        raise wrong[0] if wrong else document.error(("matrix",), f"makes two studies named `{twice}`")
    return found


def _settings(one: Document, folder: str, notes: tuple[str, ...]) -> tuple[str, Settings | StudyFileError]:
    from outlast.config.mlflow_file import follow_mlflow_file
    from outlast.config.placeholders import fill_name, fill_places

    try:
        fill_name(one)
        fill_places(one)
        start = start_of(one, folder)
        follow_mlflow_file(one, start)
        return str(one.data["name"]), native.read(one, working_directory=start, notes=notes)
    except StudyFileError as error:
        return str(one.data["name"]), error


def settings_from_resolved(
    resolved: Mapping[str, Any], working_directory: str, changes: Sequence[str] = (), *, described: bool = False
) -> Settings:
    """The settings of a study from its own record (ledger, ``study.yaml``). Files need not be there.

    Args:
        resolved: The record.
        working_directory: Where the study's trainings run.
        changes: ``key=value`` texts, applied to it as ``--set`` applies them to a study file.
        described: It is a new study's description and no record: placeholders in all its paths are filled in.

    Raises:
        StudyFileError: The record is not a study file of ours, or is none any more with the changes.
    """
    document = _on_record(resolved)
    changed: list[Sequence[str]] = []
    for change in changes:
        parts, value, place = overrides.parse_override(change)
        if parts == ["cwd"]:
            raise StudyFileError("is read from a study file only", file=place.file, cure="run the study file with it")
        overrides.override(document, parts, value, place, tuple(native.STUDY_FILE.shapes))
        changed.append(parts)
    if described or changed:
        from outlast.config.placeholders import fill_places

        fill_places(document, None if described else changed)
    return native.read(document, working_directory=working_directory, files=False)


def _on_record(resolved: Mapping[str, Any]) -> Document:
    """A record to read, without what was taken as it stood once and had no effect. What a person changes comes after this."""
    document = Document(copy.deepcopy(dict(resolved)), "study.yaml")
    if isinstance(index := document.data.get("index"), dict):
        for name in IDLE_INDEX_KEYS:
            index.pop(name, None)
    for key in ("confirm", "refit", "evaluate", "notify", "tracking"):
        with contextlib.suppress(KeyError):
            try:
                native.STUDY_FILE.shapes[key].read(document.data[key], At(document, (key,)))
            except StudyFileError:
                del document.data[key]
    return document


def to_yaml(settings: Settings) -> str:
    """The text of ``study.yaml``: the resolved study in our dialect."""
    return resolved_to_yaml(settings.resolved)


def resolved_to_yaml(resolved: Mapping[str, Any]) -> str:
    """The same of a study that is resolved already, as a ledger keeps it."""
    from outlast.config import yaml_writer

    return (
        f"# Study {resolved['name']}, resolved by Outlast; secrets are left out. Change your own study file, not this.\n"
        + yaml_writer.dump(resolved, compact=True)
    )


def _put_metric(document: Document, metric: Metric) -> None:
    name, goal = metric
    given = document.data.get("metric")
    several = given if isinstance(given, list) else [given]
    kept = next((one for one in several if isinstance(one, Mapping) and one.get("name") == name), {})
    document.data.pop("goal", None)
    document.put(("metric",), {**kept, "name": name, "goal": goal}, Place(f"--{goal} {name}"))
