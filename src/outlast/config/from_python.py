"""A study that is said in Python: a study file's keys as arguments, alone or on top of a file; the same checks and errors."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.config.chain import read_chain
from outlast.config.load import Metric, only_one, read_studies
from outlast.config.settings import Settings
from outlast.config.yaml import Document, Place


def settings_from_python(
    file: str | None,
    keys: Mapping[str, Any],
    *,
    said_in: str,
    changes: Sequence[str] = (),
    metric: Metric | None = None,
    default_name: str = "",
    cwd: str | None = None,
) -> Settings:
    """The settings that keys of a study file say, on top of a study file where one is named.

    Args:
        file: A study file, in whichever dialect; relative paths start at its folder, without one in the working directory.
        keys: What changes it, as a file that `extends` it would.
        said_in: What errors call the place of the keys, such as ``Study.create()``.
        changes: ``key=value`` texts that change both, as ``--set`` does.
        metric: Name and goal that win over all of these.
        default_name: The study's name where nothing says it; the file's name by default.
        cwd: The working directory that is meant; this process's by default.

    Raises:
        StudyFileError: Anything wrong with it, before anything runs.
    """
    if file is None:
        document = _document(keys, os.path.join(cwd or os.getcwd(), default_name or "study"), said_in)
        chain, place = [document], document.file
    else:
        chain, place = read_chain(file), file
        if keys:
            chain.append(_document(keys, file, said_in))
    return only_one([each for _, each in read_studies(place, chain, changes=changes, metric=metric)], file or said_in)


def _document(keys: Mapping[str, Any], file: str, said_in: str) -> Document:
    """`file` is where paths start; `said_in` is what errors say."""
    data = {key: value for key, value in keys.items() if key != "name" or value is not None}
    return Document(copy.deepcopy(_plain(data)), file, {(): Place(said_in)})


def _plain(value: Any) -> Any:
    """As a file would have it: mappings, lists and plain scalars, those of NumPy included."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "dtype") and hasattr(value, "tolist") else value
