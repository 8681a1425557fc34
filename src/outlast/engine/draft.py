"""A first study file for a script: it is asked for its help, and its parser describes itself on the way."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence

from outlast.config.init import draft
from outlast.config.script_options import Option, described_options, hydra_options, parse_options
from outlast.errors import UsageError
from outlast.runner.hooks import hooks_path

_HELP_WITHIN = 120.0  # seconds for a script to print its help
_BY_HAND = "write the study file by hand: five keys are enough"


def draft_study(command: Sequence[str]) -> str:
    """The text of a study file for a training command.

    Args:
        command: How the training is started, such as ``["python", "train.py"]``.

    Raises:
        UsageError: It cannot be started, or does not answer ``--help``.
    """
    with tempfile.TemporaryDirectory(prefix="outlast-init-") as folder:
        described = os.path.join(folder, "options.json")
        said = _help(command, described)
        options = _described(described)
    if options:
        return draft(options, command)
    composed = hydra_options(said)
    return draft(composed or parse_options(said), command, hydra=bool(composed))


def _help(command: Sequence[str], described: str) -> str:
    path = os.pathsep.join(filter(None, [hooks_path(), os.environ.get("PYTHONPATH")]))
    shown = " ".join(command)
    try:
        done = subprocess.run(
            [*command, "--help"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_HELP_WITHIN,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "OUTLAST_OPTIONS_FILE": described},
        )
    except OSError as error:
        raise UsageError(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        fact = f"`{shown} --help` did not end within {_HELP_WITHIN:g} s: does it know --help?"
        raise UsageError(fact, cure=_BY_HAND) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UsageError(f"`{shown} --help` failed: {last}", cure=_BY_HAND)
    return done.stdout


def _described(path: str) -> list[Option]:
    try:
        with open(path) as file:
            return described_options(json.load(file))
    except (OSError, ValueError, LookupError, TypeError):
        return []  # no parser that we know: its help is read
