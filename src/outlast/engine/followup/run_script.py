"""``run.sh`` of an exported model: the training that made it and the test that scored it, wherever the folder lies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs
from msgspec.structs import replace

from outlast.config.command import CommandContext, render_command
from outlast.config.settings import Settings

_HERE = "@@here@@"  # stands for the exported folder while a command is put together
_VARIABLE = re.compile(r"(?<!\$)\$\{envvar:([A-Za-z_][A-Za-z0-9_]*)\}")
_MARK, _MARKED = "@@variable:{}@@", re.compile(r"@@here@@|@@variable:(\w+)@@")
_HEAD = """\
#!/bin/sh
# {about}
#   ./run.sh train      trains it again, into the folder again/{evaluate}
# It needs the packages that environment.json lists, and the data where the command looks for them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/{code}"
"""


class Runnable(Struct, frozen=True):
    """A command of a model.

    Attributes:
        settings: The study that ran it.
        params: Its whole configuration.
        seed: Of it.
        told: What macros of a follow-up stand for, as `outlast.core.records.TrialCreated` has them.
    """

    settings: Settings
    params: Mapping[str, Any]
    seed: int
    told: Mapping[str, Any]


def run_script(
    about: str, training: Runnable, evaluation: Runnable | None, *, code: str, model: str | None, config: str | None
) -> str | None:
    """The script's text; ``None`` where the training is a Python function, which no shell calls.

    Args:
        about: A line for people.
        training: What made the model.
        evaluation: What scores it, where the study says that.
        code: The folder in which both run, from the exported one.
        model: The model, from the exported folder.
        config: The configuration file that the training was given, likewise.
    """
    if training.settings.command is None:
        return None
    scores = evaluation is not None and model is not None
    words = "\n#   ./run.sh evaluate   scores the model that is here on the test set" if scores else ""
    lines = [_HEAD.format(about=about, evaluate=words, code=code), _environment(training)]
    lines += ['case "${1:-train}" in', "train)", '  mkdir -p "$here/again"', _run(training, "again", None, config)]
    lines += ["  ;;"]
    if evaluation is not None and model is not None:
        lines += ["evaluate)", _run(evaluation, "model", model, config), "  ;;"]
    known = "train or evaluate" if scores else "train"
    return "\n".join([*lines, "*)", f'  echo "./run.sh {known}" >&2', "  exit 2", "  ;;", "esac", ""])


def _environment(training: Runnable) -> str:
    """Variables of the study file, secrets left out: those have to be set by whoever runs it."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in training.settings.env.items()]
    lines += [
        f': "${{{name}:?has to be set: it is secret and no part of this folder}}"'
        for name in training.settings.masked_env
    ]
    return "\n".join([*lines, ""])


def _run(runnable: Runnable, checkpoints: str, model: str | None, config: str | None) -> str:
    folder = f"{_HERE}/{checkpoints}"
    context = CommandContext(
        trial=0,
        attempt=1,
        seed=runnable.seed,
        trial_dir=f"{_HERE}/again",
        checkpoint_dir=folder,
        config_file=None if config is None else f"{_HERE}/{config}",
        args_json_file=f"{_HERE}/params.json",
    )
    numbers = {name: value for name, value in runnable.told.items() if name in ("epochs", "best_step")}
    where = None if model is None else f"{_HERE}/{model}"
    context = replace(context, model=where, **numbers)
    template = tuple(_VARIABLE.sub(lambda m: _MARK.format(m[1]), word) for word in runnable.settings.command or ())
    argv = render_command(structs.replace(runnable.settings, command=template), runnable.params, context)
    told = {"SEED": str(runnable.seed), "CHECKPOINT_DIR": folder, **({} if where is None else {"MODEL": where})}
    told |= {name.upper(): str(value) for name, value in numbers.items()}
    exports = [f"  export OUTLAST_{name}={_quoted(value)}" for name, value in told.items()]
    return "\n".join([*exports, f"  exec {_line(argv)}"])


def _line(words: Sequence[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """One word for a shell; the folder and the variables in it are filled in there."""
    if not _MARKED.search(word):
        return shlex.quote(word)
    parts, end = [], 0
    for match in _MARKED.finditer(word):
        parts += [word[end : match.start()], f'"${{{match[1] or "here"}}}"']
        end = match.end()
    parts.append(word[end:])
    return "".join(part if index % 2 else shlex.quote(part) if part else "" for index, part in enumerate(parts))
