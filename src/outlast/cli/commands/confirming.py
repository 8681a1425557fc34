"""The command that runs the best of a search again: confirm."""

from __future__ import annotations

import json

import click

from outlast.cli.commands.model import asked_for
from outlast.cli.help import Command
from outlast.cli.options import WholeNumber, dir_option, json_option, study_argument


@click.command(cls=Command)
@study_argument
@dir_option
@click.option("--top", metavar="K", type=WholeNumber(1), help="So many of the best.  [default: 3, or the study file's]")
@click.option(
    "--seeds", metavar="N", type=WholeNumber(1), help="Fresh seeds for each.  [default: 5, or the study file's]"
)
@click.option("--no-race", is_flag=True, help="All seeds, also for configurations that cannot win any more.")
@click.option(
    "--no-run", is_flag=True, help="Only lay out what is to be run next, for `submit` or `run` of DIR/confirm."
)
@click.option("--fresh", is_flag=True, help="Set earlier repetitions aside, and start anew.")
@json_option
@click.pass_context
def confirm(
    context: click.Context,
    study: str | None,
    directory: str | None,
    top: int | None,
    seeds: int | None,
    no_race: bool,
    no_run: bool,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run the best of a search again with fresh seeds, and say which is really best. The same command goes on with the rest.

    The repetitions are a study of their own, in DIR/confirm. What they say is written to DIR/confirm/confirmation.json, the
    configuration that is taken to DIR/confirmed_config.yaml.

    Example:
        outlast confirm studies/digits
        outlast confirm studies/digits --top 5 --seeds 10
        outlast confirm studies/digits --no-run --json
    """
    from msgspec.structs import replace

    from outlast.cli.running.confirm_here import confirm_here
    from outlast.engine.followup.child import the_search

    folder, given, _ = asked_for(study, directory)
    search = the_search(folder)
    usual = (given or search.settings).confirm
    wanted = replace(usual, top=top or usual.top, seeds=seeds or usual.seeds, race=usual.race and not no_race)
    said, code = confirm_here(search, wanted, run=not no_run, fresh=fresh, quiet=as_json)
    if as_json:
        click.echo(json.dumps(said))
    context.exit(code)
