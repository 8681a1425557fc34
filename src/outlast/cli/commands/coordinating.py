"""The process behind one study of several, or of a run in the background: it coordinates, and its words go to ``run.log``."""

from __future__ import annotations

import click

from outlast.cli.help import Command
from outlast.cli.options import folder_argument


@click.command(cls=Command, hidden=True)
@folder_argument
def coordinate(study: str) -> None:
    """Run one study for a supervisor, which says on the standard input how. Nobody types this.

    Example:
        outlast coordinate studies/digits
    """
    from outlast.cli.render.render_run import render_error
    from outlast.cli.render.text import make_console
    from outlast.cli.running.run_here import run_here
    from outlast.engine.campaign.orders import orders_given
    from outlast.engine.campaign.restarts import REFUSED
    from outlast.errors import OutlastError

    orders = orders_given()
    given = None if orders.warm_start is None else orders.warm_start.prepared(orders.settings)
    try:
        code = run_here(
            orders.settings, orders.folder, orders.accept_changes, given=given, supervised=True, sharing=orders.sharing
        )
    except OutlastError as error:
        if error.worth_retrying or error.exit_code == REFUSED:
            raise
        make_console(stderr=True).print(
            render_error(error)
        )  # a person has to mend that, a ledger that is damaged for one
        code = REFUSED
    click.get_current_context().exit(code)
