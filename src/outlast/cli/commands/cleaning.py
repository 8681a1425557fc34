"""`clean`: what a study can do without, said first, and freed when a person says yes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outlast.cli.help import Command
from outlast.cli.options import WholeNumber, collect_nothing, dir_option, json_option, study_argument
from outlast.cli.targets.locate_several import studies_named
from outlast.errors import UsageError

if TYPE_CHECKING:
    from outlast.engine.care.clean import Waste

_MOST_LINES = 40
_UNITS = ("B", "KB", "MB", "GB", "TB")


@click.command(cls=Command)
@study_argument
@dir_option
@click.option(
    "--keep",
    metavar="N",
    type=WholeNumber(0),
    help="Keep the best N trials' checkpoints.  [default: checkpoints.keep]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be freed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def clean(
    context: click.Context,
    study: str | None,
    directory: str | None,
    keep: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Free what a study, or each study of a campaign, can do without: superfluous checkpoints, and what was set aside.

    It says first what it would free, and asks. Nothing without an outcome is touched: a trial that waits for its next
    attempt keeps all it has.

    Example:
        outlast clean studies/digits --dry-run
        outlast clean studies/digits --keep 3
    """
    collect_nothing()
    folders, campaign = studies_named(study, directory)
    if campaign is None:
        _clean(folders[0], keep=keep, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    if as_json:
        raise UsageError(f"--json is of one study, and {campaign} is a campaign's", cure="  ".join(folders))
    from outlast.cli.each_study import do_each

    code = do_each(folders, lambda folder: _clean(folder, keep=keep, dry_run=dry_run, yes=yes, as_json=False))
    context.exit(code)


def _clean(folder: str, *, keep: int | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    from outlast.engine.care.clean import find_waste, free, require_idle

    if not dry_run:
        require_idle(folder)
    found = find_waste(folder, keep=keep)
    if not as_json:
        _show(found)
    gone: Sequence[Waste] = ()
    if found and not dry_run and (yes or _confirmed(found, as_json)):
        gone = free(folder, found, keep=keep)
    if as_json:
        freed = sum(waste.size for waste in gone)
        click.echo(json.dumps({"found": [waste.to_json() for waste in found], "deleted": len(gone), "freed": freed}))
    elif gone:
        left = f"; {len(found) - len(gone)} are in use again" if len(gone) < len(found) else ""
        click.echo(f"freed {size_text(sum(waste.size for waste in gone))}{left}")
    elif found and not dry_run:
        click.echo("nothing was deleted")


def size_text(size: float) -> str:
    """``3.2 GB``."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


def _show(found: Sequence[Waste]) -> None:
    if not found:
        click.echo("nothing to free; --keep 3 would keep the checkpoints of the best 3 trials only")
        return
    for waste in found[:_MOST_LINES]:
        click.echo(f"{size_text(waste.size):>10}  {waste.kind:<11}  {os.path.relpath(waste.path)}  ({waste.about})")
    rest = found[_MOST_LINES:]
    if rest:
        click.echo(f"{size_text(sum(waste.size for waste in rest)):>10}  and {len(rest)} more; --json lists them all")
    click.echo(f"{size_text(sum(waste.size for waste in found)):>10}  can be freed")


def _confirmed(found: Sequence[Waste], as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes: nothing was deleted", cure="--yes deletes, --dry-run only looks")
    things = "it" if len(found) == 1 else f"these {len(found)}"
    return click.confirm(f"delete {things} for good?", default=False)
