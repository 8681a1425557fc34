"""The list of commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer

from outlast.cli.help import CARE, RESULTS, SEARCH, Command, Group

__all__ = ["app"]

#: Each command's module and function, and the heading that it stands under; without one it is not listed.
_COMMANDS: dict[str, tuple[str, str, str | None]] = {
    "init": ("search", "init", SEARCH),
    "check": ("search", "check", SEARCH),
    "run": ("search", "run", SEARCH),
    "submit": ("cluster", "submit", SEARCH),
    "status": ("inspect", "status", SEARCH),
    "logs": ("inspect", "logs", SEARCH),
    "stop": ("search", "stop", SEARCH),
    "show": ("inspect", "show", RESULTS),
    "retry": ("care", "retry", CARE),
    "import": ("care", "import_", CARE),
    "repair": ("care", "repair", CARE),
    "clean": ("care", "clean", CARE),
    "worker": ("cluster", "worker", None),
    "finisher": ("cluster", "finisher", None),
    "controller": ("cluster", "controller", None),
}


@cache
def _command(name: str) -> Any:
    module, function, heading = _COMMANDS[name]
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    add = alone.command(name, cls=Command, rich_help_panel=heading, hidden=heading is None)
    add(getattr(import_module(f"outlast.cli.{module}"), function))
    return typer.main.get_command(alone)


class _Commands(Mapping[str, Any]):
    """Each command by its name, made when it is asked for: one does not pay for the others."""

    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Outlast(Group):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands()


app = typer.Typer(
    name="outlast",
    cls=_Outlast,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True),
) -> None:
    """Hyperparameter searches that outlast crashes, preemptions and deadlines.

    Example:
        outlast init -- python train.py
        outlast run study.yaml
        outlast status
    """
    if version:
        from outlast._version import __version__

        typer.echo(f"outlast {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
