"""Spaces on the command line: ``-- python train.py --lr '~log(1e-5,1e-1)' --opt '~choice(adam,sgd)'``.

An argument whose value begins with ``~`` and is a short form becomes a parameter named after its flag.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, Literal

from outlast.config import native
from outlast.config.settings import Settings
from outlast.config.yaml import Document, Place
from outlast.errors import StudyFileError

_FILE = "command line"
#: ``~log(…)`` or ``~[a, b]``; a home directory (``~/data``) is left alone.
_SEARCHED = re.compile(r"^~\s*([A-Za-z_]+\s*\(|\[)", re.DOTALL)


def settings_from_command(
    argv: Sequence[str],
    *,
    name: str | None,
    metric: tuple[str, Literal["maximize", "minimize"]] | None,
    trials: int | None,
    parallel: int | None = None,
) -> Settings:
    """The study that a command with searched arguments says.

    Args:
        argv: The command, as after ``--``.
        name: The study's name; the script's stem by default.
        metric: Name and goal.
        trials: The budget.
        parallel: How many trials at once.

    Raises:
        StudyFileError: No command, nothing searched, a short form that is none, a parameter without a name or twice.
    """
    if not argv:
        raise StudyFileError(
            "there is no command", file=_FILE, cure="outlast run --maximize val_acc -- python train.py …"
        )
    document = Document({}, _FILE)
    command: list[str] = []
    parameters: dict[str, Any] = {}
    for index, word in enumerate(argv):
        flag, equals, value = word.partition("=")
        if equals and _SEARCHED.match(value):
            parameter = flag.lstrip("-")
            _add(parameters, parameter, value, word)
            command.append(f"{flag}=${{{parameter}}}")
        elif _SEARCHED.match(word):
            parameter = argv[index - 1].lstrip("-") if index and argv[index - 1].startswith("-") else ""
            _add(parameters, parameter, word, word)
            command.append(f"${{{parameter}}}")
        else:
            command.append(word)
    if not parameters:
        raise StudyFileError(
            "no argument is searched", file=_FILE, cure="mark what to search with ~ and quotes: --lr '~log(1e-5,1e-1)'"
        )
    document.data = {"name": name or native.clean_name(script_stem(argv)), "command": command, "parameters": parameters}
    if metric is not None:
        document.data["metric"] = {"name": metric[0], "goal": metric[1]}
    if trials is not None:
        document.put(("budget", "trials"), trials, Place("--trials"))
    if parallel is not None:
        document.put(("parallel",), parallel, Place("--parallel"))
    return native.read(document, working_directory=os.getcwd())


def _add(parameters: dict[str, Any], name: str, value: str, word: str) -> None:
    if not name:
        raise StudyFileError(f"`{word}` has no flag to be named after", file=_FILE, cure=f"write --name '{word}'")
    if name in parameters:
        raise StudyFileError(f"`{name}` is searched twice", file=_FILE)
    text = value[1:].strip()
    if not text.endswith("]" if text.startswith("[") else ")"):
        raise StudyFileError(
            f"`{word}`: the bracket is not closed", file=_FILE, cure="quote the whole: --lr '~log(1e-5,1e-1)'"
        )
    parameters[name] = f"choice({text[1:-1]})" if text.startswith("[") else text


def script_stem(argv: Sequence[str]) -> str:
    """What the study is called: the script, the module after ``-m``, else the program."""
    for index, word in enumerate(argv):
        if word == "-m" and index + 1 < len(argv):
            return argv[index + 1].rpartition(".")[2]
        if word.endswith((".py", ".sh")):
            return os.path.splitext(os.path.basename(word))[0]
    return os.path.splitext(os.path.basename(argv[0]))[0]
