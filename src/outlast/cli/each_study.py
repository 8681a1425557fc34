"""A command that does the same to each study of a campaign: its words, each behind the study's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import click

from outlast.cli.render.render_run import render_error
from outlast.cli.render.text import make_console, one_line
from outlast.engine.campaign.restarts import worst
from outlast.errors import OutlastError


def name_of(folder: str) -> str:
    """What a study is called where several are told of."""
    return one_line(os.path.basename(os.path.abspath(folder)))


def do_each(folders: Iterable[str], act: Callable[[str], object]) -> int:
    """Do something to each, under its name; what one refuses does not touch the others. Returns the worst exit code."""
    codes = []
    for folder in folders:
        click.echo(f"{name_of(folder)}:")
        try:
            act(folder)
        except OutlastError as error:
            click.echo(f"error:  {error}", err=True)
            codes.append(error.exit_code)
    return worst(codes)


def tell_refused(study: str, what: str, error: OutlastError | None) -> int:
    """Print that a study is not begun, and why. Returns the exit code that says so."""
    console = make_console(stderr=True)
    console.print(f"{study}: {what}")
    if error is not None:
        console.print(render_error(error))
    return 2 if error is None else error.exit_code
