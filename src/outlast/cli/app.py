"""The list of commands."""

from __future__ import annotations

import typer

from outlast.cli import care, cluster, inspect, search
from outlast.cli.help import CARE, RESULTS, SEARCH, Command, Group

__all__ = ["app"]

app = typer.Typer(
    name="outlast",
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(cls=Command, rich_help_panel=SEARCH)(search.init)
app.command(cls=Command, rich_help_panel=SEARCH)(search.check)
app.command(cls=Command, rich_help_panel=SEARCH)(search.run)
app.command(cls=Command, rich_help_panel=SEARCH)(cluster.submit)
app.command(cls=Command, rich_help_panel=SEARCH)(inspect.status)
app.command(cls=Command, rich_help_panel=SEARCH)(inspect.logs)
app.command(cls=Command, rich_help_panel=SEARCH)(search.stop)
app.command(cls=Command, rich_help_panel=RESULTS)(inspect.show)
app.command(cls=Command, rich_help_panel=CARE)(care.retry)
app.command("import", cls=Command, rich_help_panel=CARE)(care.import_)
app.command(cls=Command, rich_help_panel=CARE)(care.repair)
app.command(cls=Command, rich_help_panel=CARE)(care.clean)
app.command(cls=Command, hidden=True)(cluster.worker)
app.command(cls=Command, hidden=True)(cluster.finisher)
app.command(cls=Command, hidden=True)(cluster.controller)


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
