"""A trial as a person runs it without Outlast: one line for a shell."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from outlast.config.command import CommandContext, render_command
from outlast.config.secrets import is_masked
from outlast.config.settings import OBJECTIVE, Settings
from outlast.core.records import Trial
from outlast.engine.attempts.folds import study_parts
from outlast.errors import UsageError

#: Stands for the file that ``${config}`` means; its content is the ``config`` of the trial's record.
CONFIG_FILE = "CONFIG.yaml"
_ENVVAR = re.compile(r"(?<!\$)\$\{envvar:([A-Za-z_][A-Za-z0-9_]*)\}")
_MARK, _MARKED = "__outlast_envvar_{}__", re.compile(r"__outlast_envvar_([A-Za-z0-9_]+?)__")


def command_by_hand(
    settings: Settings, trial: Trial, configuration: Mapping[str, Any], *, start: str | None = None
) -> str | None:
    """The training command of a trial with its values, from the start and with a checkpoint folder of its own.

    Variables of the environment stay variables: a secret is not shown. Of several parts it is the first.

    Args:
        settings: In force.
        trial: Which one.
        configuration: Its values.
        start: The folder in which a person types it; the current one if left out.

    Returns:
        ``cd examples/digits && python train.py --lr=0.01``; for an objective that was handed over in Python the call there;
        ``None`` where the command names what is not there any more.
    """
    if settings.command is None:
        return _call(settings, configuration, start)
    part = next(iter(study_parts(settings)), None)
    command = tuple(_ENVVAR.sub(lambda m: _MARK.format(m[1]), word) for word in settings.command)
    folder = f"by-hand/{trial.number:04d}"
    context = CommandContext(
        trial=trial.number,
        attempt=1,
        seed=trial.seed if part is None or part.seed is None else part.seed,
        trial_dir=folder,
        checkpoint_dir=f"{folder}/checkpoints",
        config_file=None if settings.config is None else CONFIG_FILE,
        fold=None if part is None else part.fold,
        splits=None,
        interpreter="python",
        args_json_file=f"{folder}/params.json",
    )
    try:
        words = render_command(replace(settings, command=command), configuration, context)
    except UsageError:  # it names what this revision no longer has
        return None
    return _there(settings, " ".join(map(_quoted, words)), start)


def _call(settings: Settings, configuration: Mapping[str, Any], start: str | None) -> str | None:
    params = settings.nest(settings.space.complete(configuration))
    if settings.function == OBJECTIVE and not settings.parameters:
        return f"objective(optuna.trial.FixedTrial({dict(configuration)!r}))"
    if settings.function == OBJECTIVE:
        return f"objective(**{params!r})"
    module, _, name = (settings.function or "").partition(":")
    code = f"import {module}; from outlast.objective.function import call; print(call({module}.{name}, {params!r}))"
    return _there(settings, f"python -c {shlex.quote(code)}", start)


def _there(settings: Settings, line: str, start: str | None) -> str:
    """The line where the training runs, and with the variables that it is given."""
    place = os.path.relpath(settings.working_directory, start)
    kept = settings.masked_env  # whoever runs the study has the secrets, and a page of it has not
    told = {name: value for name, value in settings.env.items() if name not in kept and not is_masked(value)}
    env = [f"{name}={shlex.quote(value)}" for name, value in told.items()]
    line = " ".join([*env, line])
    return line if place == os.curdir else f"cd {shlex.quote(place)} && {line}"


def _quoted(word: str) -> str:
    """One word for a shell; the variables in it are read there."""
    if not _MARKED.search(word):
        return shlex.quote(word)
    inner = re.sub(r'(["\\$`])', r"\\\1", word)
    return '"' + _MARKED.sub(lambda m: f"${{{m[1]}}}", inner) + '"'
