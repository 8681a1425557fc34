"""`clean`: what would be freed, the question, what is freed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import click

from outlast.engine.care.clean import Waste, find_waste, free, require_idle
from outlast.errors import UsageError

_MOST_LINES = 40
_UNITS = ("B", "KB", "MB", "GB", "TB")


def clean_study(folder: str, *, keep: int | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Show what could go and delete it after a yes.

    Raises:
        StudyBusy: Somebody runs the study (not with `dry_run`).
        UsageError: There is nobody to ask and no `yes`.
    """
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
