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
    from outlast.cli.run_here import run_here
    from outlast.engine.campaign.orders import orders_given

    orders = orders_given()
    given = None if orders.warm_start is None else orders.warm_start.prepared(orders.settings)
    code = run_here(
        orders.settings, orders.folder, orders.accept_changes, given=given, supervised=True, sharing=orders.sharing
    )
    click.get_current_context().exit(code)
