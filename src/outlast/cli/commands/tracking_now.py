"""`track`: a study's trackers are sent what they lack, now."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from outlast.cli.help import Command
from outlast.cli.options import dir_option, json_option, study_argument
from outlast.cli.targets.locate_several import studies_named
from outlast.errors import UsageError

if TYPE_CHECKING:
    from outlast.engine.sending.courier import Courier
    from outlast.engine.sending.sender import Sender

_INSIST = 10.0  # seconds


@click.command(cls=Command)
@study_argument
@dir_option
@click.option("--wait", metavar="SECONDS", type=click.FloatRange(0), default=60.0, show_default=True,
              help="How long a tracker may take that gives no answer.")  # fmt: skip
@json_option
def track(study: str | None, directory: str | None, wait: float, as_json: bool) -> None:
    """Send what the trackers of a study lack, now: after a server was away, or where no process behind a run could send it.

    Nothing is sent twice. Exit code 1: a tracker still lacks something.

    Example:
        outlast track studies/digits
    """
    folders, _ = studies_named(study, directory)
    reports = [_sent(folder, wait) for folder in folders]
    if as_json:
        click.echo(json.dumps(reports[0] if len(reports) == 1 else reports))
    else:
        for folder, report in zip(folders, reports, strict=True):
            for name, each in report["trackers"].items():
                click.echo(f"{folder if len(folders) > 1 else report['study']}: {name}: {_words(each)}")
                if each["cure"]:
                    click.echo(f"  {each['cure']}")
    sys.stdout.flush()
    behind = any(each["lacking"] or each["trouble"] for report in reports for each in report["trackers"].values())
    if any(report["hangs"] for report in reports):
        os._exit(1)  # a tracker that hangs has a thread that nobody can end
    if behind:
        click.get_current_context().exit(1)


def _sent(folder: str, wait: float) -> dict:  # type: ignore[type-arg]
    from outlast.core.file_names import StudyNames
    from outlast.engine.record.recorded import recorded_settings
    from outlast.engine.sending.sender import Sender
    from outlast.engine.sending.unsent import Unsent, read_unsent

    settings, _ = recorded_settings(folder)
    if not settings.tracking:
        cure = "tracking: mlflow in the study file, and outlast run it again: docs/tracking.md"
        raise UsageError(f"{folder} is sent to no tracker", cure=cure)
    sender = Sender(folder, settings.tracking, patience=wait, environment={**os.environ, **settings.env})
    is_ours = sender.run(insist=_INSIST)
    known = {} if is_ours else read_unsent(StudyNames(Path(folder)).unsent)
    return {
        "study": settings.name,
        "hangs": any(each.busy for each in sender.couriers),
        "trackers": {
            each.name: {
                "sent": each.sent, "lacking": sender.lacking(each) if is_ours else 0,
                "trouble": _trouble(sender, each) if is_ours else known.get(each.name, Unsent()).trouble,
                "cure": each.cure, "running": not is_ours,
            }
            for each in sender.couriers
        },
    }  # fmt: skip


def _trouble(sender: Sender, courier: Courier) -> str:
    if not sender.readable:
        return "its study cannot be read, or is not there any more"
    return courier.trouble or ("it gave no answer" if courier.busy else "")


def _words(each: dict) -> str:  # type: ignore[type-arg]
    if each["running"]:
        return "whoever runs the study sends it" + (f"; it takes nothing: {each['trouble']}" if each["trouble"] else "")
    if each["trouble"]:
        return f"takes nothing: {each['trouble']}" + (
            f"; it lacks {_trials(each['lacking'])}" if each["lacking"] else ""
        )
    return f"sent {_trials(each['sent'])}" if each["sent"] else "has everything"


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"
