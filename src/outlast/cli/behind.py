"""Commands that only our own processes give."""

from __future__ import annotations

import json
import os
import sys

import click

from outlast.cli.help import Command
from outlast.cli.options import folder_argument


@click.command(cls=Command, hidden=True)
@folder_argument
@click.option("--once", is_flag=True, help="Say what there is to say, as the record has it to whom, and leave.")
def tell(study: str, once: bool) -> None:
    """Tell people of a study or a campaign; behind a run, whom to tell comes on the input, which lasts as long as the run does.

    Example:
        outlast tell studies/digits --once
    """
    from outlast.config.settings import NotifySettings
    from outlast.engine.telling.teller import Teller

    if once:
        from outlast.engine.telling.on_record import told_on_record

        notify, cwd, env = told_on_record(study)
        os.environ.update({name: value for name, value in env.items() if name not in os.environ})
        if notify:
            Teller(study, notify, cwd).run()
        return
    pipe, line = sys.stdin.fileno(), b""  # no more than the line is read: the input's end is waited for elsewhere
    while not line.endswith(b"\n") and (byte := os.read(pipe, 1)):
        line += byte
    given = json.loads(line)
    Teller(study, NotifySettings.of(given), given["cwd"], pipe).run()
