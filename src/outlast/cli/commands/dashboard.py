"""`dashboard`: Optuna's own pages about a study, on this machine only."""

from __future__ import annotations

import click

from outlast.cli.help import Command
from outlast.cli.options import WholeNumber, dir_option, study_argument
from outlast.cli.targets.locate import the_folder


@click.command(cls=Command)
@study_argument
@dir_option
@click.option(
    "--port", metavar="N", type=WholeNumber(1, 65535), help="Port.  [default: the first free one from 8080 on]"
)
@click.option("--no-browser", is_flag=True, help="Print the address only.")
def dashboard(study: str | None, directory: str | None, port: int | None, no_browser: bool) -> None:
    """Open optuna-dashboard on a study, also while it runs; Ctrl-C closes it.

    It listens on this machine only. A study on another one: ssh -L 8080:127.0.0.1:8080 HOST, and open the address here.

    Example:
        outlast dashboard studies/digits
        outlast dashboard studies/digits --port 8090 --no-browser
    """
    from outlast.cli.looking.dashboard_shown import show_dashboard

    show_dashboard(the_folder(study, directory), port, browser=not no_browser)
