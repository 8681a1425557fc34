"""Completion for the shell that a person types in: the lines for it, and where they belong."""

from __future__ import annotations

import os
from pathlib import Path

import click

from outlast.errors import OutlastError, UsageError

_VARIABLE = "_OUTLAST_COMPLETE"
_ZSH_LINE = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"


def script(group: click.Command) -> str:
    """The lines that teach the shell to complete our commands.

    Raises:
        UsageError: It is no shell that can be taught.
    """
    return _script(group, _shell())


def install(group: click.Command) -> str:
    """Put them where the shell finds them when it starts; returns what was done, in words.

    Raises:
        UsageError: It is no shell that can be taught.
        OutlastError: The home folder cannot be written.
    """
    shell = _shell()
    lines = _script(group, shell)
    place = {"bash": ".bash_completions/outlast.sh", "zsh": ".zfunc/_outlast"}.get(
        shell, ".config/fish/completions/outlast.fish"
    )
    file = Path.home() / place
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lines)
        if shell == "bash":
            _add_line(Path.home() / ".bashrc", f"source '{file}'")
        elif shell == "zsh":
            _add_line(Path.home() / ".zshrc", _ZSH_LINE)
    except OSError as error:
        raise OutlastError(f"{error.filename} cannot be written: {error.strerror}", cure="--show-completion") from None
    return f"{shell} completion installed in {file}\nCompletion will take effect once you restart the terminal"


def _script(group: click.Command, shell: str) -> str:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"completion is not known for {shell}", cure="it is for bash, zsh and fish")
    return kind(group, {}, "outlast", _VARIABLE).source()


def _shell() -> str:
    import shellingham  # type: ignore[import-untyped]

    try:
        return str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        raise UsageError("the shell cannot be told", cure="type it in bash, zsh or fish") from None


def _add_line(file: Path, line: str) -> None:
    """Append only, in bytes: the file is a person's, in whatever encoding, and must outlive a full disk."""
    wanted = os.fsencode(line)
    with file.open("a+b") as mine:
        mine.seek(0)
        text = mine.read()
        if wanted not in text:
            mine.write((b"\n" if text else b"") + wanted + b"\n")
