"""A training command that was typed without the ``--`` in front of it: recognised, and told how it is written."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence

from outlast.cli.targets.locate import SUFFIXES, by_name, is_study_folder
from outlast.errors import UsageError

_INTERPRETERS = {".py": "python", ".sh": "bash", ".jl": "julia", ".r": "Rscript", ".lua": "lua", ".rb": "ruby"}
#: A test holds it against the commands' own options.
_WITH_A_VALUE = frozenset(
    [
        "--trials",
        "--deadline",
        "--index",
        "--storage",
        "--parallel",
        "--print-unit",
        "--maximize",
        "--minimize",
        "--set",
        "--dir",
        "--name",
        "--limit",
        "--output",
        "-o",
    ]
) | {"--from", "--from-top", "--from-as"}
_TAKES_A_COMMAND = ("check", "init", "run", "submit")


def without_dashes(words: Sequence[str]) -> UsageError | None:
    """The error for a command line such as ``run python train.py``; ``None`` where it is no such one.

    The words are those behind ``outlast``, up to the first ``--``.
    """
    if not words or words[0] not in _TAKES_A_COMMAND:
        return None
    places = (at for at in range(1, len(words)) if words[at - 1] not in _WITH_A_VALUE)
    at = next((at for at in places if not words[at].startswith("-")), None)
    if at is None or not _is_program(words[at]):
        return None
    training = list(words[at:])
    interpreter = _INTERPRETERS.get(os.path.splitext(training[0])[1].lower())
    if interpreter is not None and not os.access(training[0], os.X_OK):
        training.insert(0, interpreter)
    ours = list(words[:at])
    if words[0] != "init" and not {"--maximize", "--minimize"} & set(ours):
        ours += ["--maximize", "METRIC"]
    cure = f"outlast {shlex.join(ours)} -- {shlex.join(training)}"
    if words[0] != "init" and "~" not in cure:
        cure += "\nwhat is to be searched stands in place of a value: --lr '~log(1e-5,1e-1)'"
    return UsageError(f"{words[at]} is a training command, which stands behind a --", cure=cure)


def _is_program(word: str) -> bool:
    """Whether a word can only be the beginning of a command: no study of that name, no study file."""
    if word.lower().endswith(SUFFIXES) or os.path.isdir(word) or is_study_folder(by_name(word)):
        return False
    if os.path.splitext(word)[1].lower() in _INTERPRETERS:
        return True
    return os.access(word, os.X_OK) if os.path.isfile(word) else shutil.which(word) is not None
