"""The list of commands."""

from __future__ import annotations

import click

from outlast.cli.help import Group

_HEADINGS = {
    "Search": {
        "init": "outlast.cli.search:init",
        "check": "outlast.cli.search:check",
        "run": "outlast.cli.search:run",
        "submit": "outlast.cli.cluster:submit",
        "status": "outlast.cli.inspect:status",
        "serve": "outlast.cli.serving:serve",
        "logs": "outlast.cli.inspect:logs",
        "stop": "outlast.cli.search:stop",
    },
    "Results": {
        "show": "outlast.cli.inspect:show",
        "report": "outlast.cli.reporting:report",
        "confirm": "outlast.cli.confirming:confirm",
        "refit": "outlast.cli.model:refit",
        "evaluate": "outlast.cli.model:evaluate",
        "export": "outlast.cli.model:export",
        "dashboard": "outlast.cli.dashboard:dashboard",
    },
    "Care": {
        "retry": "outlast.cli.care:retry",
        "import": "outlast.cli.care:import_",
        "repair": "outlast.cli.care:repair",
        "clean": "outlast.cli.care:clean",
        "track": "outlast.cli.tracking_now:track",
    },
    "": {
        "worker": "outlast.cli.cluster:worker",
        "finisher": "outlast.cli.cluster:finisher",
        "controller": "outlast.cli.cluster:controller",
        "coordinate": "outlast.cli.coordinating:coordinate",
        "tell": "outlast.cli.behind:tell",
        "send": "outlast.cli.behind:send",
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
