"""Commands that only our own processes give."""

from __future__ import annotations

import json
import os
import sys

import click

from outlast.cli.help import Command


@click.command(cls=Command, hidden=True)
@click.argument("folder")
@click.option("--once", is_flag=True, help="Say what there is to say, as the record has it to whom, and leave.")
def tell(folder: str, once: bool) -> None:
    """Tell people of a study or a campaign; behind a run, whom to tell comes on the input, which lasts as long as the run does.

    Example:
        outlast tell studies/digits --once
    """
    from outlast.config.settings import NotifySettings
    from outlast.engine.telling.teller import Teller

    if once:
        from outlast.engine.telling.on_record import told_on_record

        notify, cwd, env = told_on_record(folder)
        os.environ.update({name: value for name, value in env.items() if name not in os.environ})
        if notify:
            Teller(folder, notify, cwd).run()
        return
    pipe, line = sys.stdin.fileno(), b""
    while not line.endswith(b"\n") and (
        byte := os.read(pipe, 1)
    ):  # no more than the line: its end is waited for elsewhere
        line += byte
    given = json.loads(line)
    Teller(folder, NotifySettings.of(given), given["cwd"], pipe).run()
