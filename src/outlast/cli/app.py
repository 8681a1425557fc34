"""The list of commands."""

from __future__ import annotations

import click

from outlast.cli.help import Group

_HEADINGS = {
    "Search": {
        "init": "outlast.cli.commands.search:init",
        "check": "outlast.cli.commands.search:check",
        "run": "outlast.cli.commands.search:run",
        "submit": "outlast.cli.commands.cluster:submit",
        "status": "outlast.cli.commands.inspect:status",
        "serve": "outlast.cli.commands.serving:serve",
        "logs": "outlast.cli.commands.inspect:logs",
        "stop": "outlast.cli.commands.search:stop",
    },
    "Results": {
        "show": "outlast.cli.commands.inspect:show",
        "report": "outlast.cli.commands.reporting:report",
        "confirm": "outlast.cli.commands.confirming:confirm",
        "refit": "outlast.cli.commands.model:refit",
        "evaluate": "outlast.cli.commands.model:evaluate",
        "export": "outlast.cli.commands.model:export",
        "dashboard": "outlast.cli.commands.dashboard:dashboard",
    },
    "Care": {
        "retry": "outlast.cli.commands.care:retry",
        "import": "outlast.cli.commands.care:import_",
        "repair": "outlast.cli.commands.care:repair",
        "clean": "outlast.cli.commands.cleaning:clean",
        "track": "outlast.cli.commands.tracking_now:track",
    },
    "": {
        "worker": "outlast.cli.commands.cluster:worker",
        "finisher": "outlast.cli.commands.cluster:finisher",
        "controller": "outlast.cli.commands.cluster:controller",
        "coordinate": "outlast.cli.commands.coordinating:coordinate",
        "tell": "outlast.cli.commands.behind:tell",
        "send": "outlast.cli.commands.behind:send",
    },
}


@click.group(
    cls=Group,
    headings=_HEADINGS,
    subcommand_metavar="COMMAND [ARGS]...",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--version", is_flag=True, help="Print the version and leave.")
@click.option("--install-completion", is_flag=True, help="Install completion for the current shell.")
@click.option(
    "--show-completion",
    is_flag=True,
    help="Show completion for the current shell, to copy it or customize the installation.",
)
@click.pass_context
def app(context: click.Context, version: bool, install_completion: bool, show_completion: bool) -> None:
    """Hyperparameter searches that outlast crashes, preemptions and deadlines.

    Example:
        outlast init -- python train.py
        outlast run study.yaml
        outlast status
    """
    if version:
        from outlast._version import __version__

        click.echo(f"outlast {__version__}")
    elif install_completion or show_completion:
        from outlast.cli.completion import install, script

        click.echo((install if install_completion else script)(context.command))
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())
    else:
        return
    context.exit()
