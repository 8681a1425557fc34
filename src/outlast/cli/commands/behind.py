"""Commands that only our own processes give."""

from __future__ import annotations

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
    from outlast._system.process_behind import told
    from outlast.config.settings import NotifySettings
    from outlast.engine.telling.teller import Teller

    if once:
        from outlast.engine.telling.on_record import told_on_record

        notify, cwd, env = told_on_record(study)
        os.environ.update({name: value for name, value in env.items() if name not in os.environ})
        if notify:
            Teller(study, notify, cwd).run()
        return
    pipe = sys.stdin.fileno()
    given = told(pipe)
    Teller(study, NotifySettings.of(given), given["cwd"], pipe).run()


@click.command(cls=Command, hidden=True)
@folder_argument
@click.option("--once", is_flag=True, help="Send what there is to send, to the trackers that are on record, and leave.")
def send(study: str, once: bool) -> None:
    """Send a study to its trackers; behind a run, which come on the input, which lasts as long as the run does.

    Example:
        outlast send studies/digits --once
    """
    from outlast._system.process_behind import told
    from outlast.config.tracking_section import TrackingSettings
    from outlast.engine.record.recorded import recorded_settings
    from outlast.engine.sending.sender import Sender

    if once:
        settings, _ = recorded_settings(study)
        Sender(study, settings.tracking, environment={**os.environ, **settings.env}).run()
    else:
        pipe = sys.stdin.fileno()
        given = told(pipe)
        Sender(study, TrackingSettings.of(given["tracking"]), None if given["once"] else pipe).run()
    sys.stdout.flush()
    os._exit(0)  # a tracker that hangs has a thread that nobody can end
