"""`run --detach`: the same command again in a session of its own, which supervises; here it is waited for until it has begun."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import click

from outlast._system.syncing import make_dir
from outlast.cli.invocation import Invocation
from outlast.cli.options import HANDED_OVER
from outlast.config.store_address import masked_address
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder
from outlast.study.supervision import Charge, live_supervision

_DETACHED = "OUTLAST_DETACHED"  # for the process in the background only: nothing that it starts sees it
_WITHIN = 30.0  # seconds for a run in the background to take its studies in hand


def is_detached() -> bool:
    """Whether this process is the one in the background. It is told once."""
    return os.environ.pop(_DETACHED, None) is not None


def detach(invocation: Invocation, folder: str, record: Path, log: Path, *, done: Collection[str] = ()) -> int:
    """Start it, wait until it has the studies in hand, and say who they are. Returns the exit code.

    Args:
        folder: Of the study or campaign, as a person types it.
        record: The supervisor's (`outlast.study.supervision`).
        log: What its words go to.
        done: Flags of the command that are obeyed already.
    """
    ours = [argument for argument in invocation.before if argument not in ("--detach", *done)]
    ours, secrets = _without_secrets(ours)
    arguments = [*ours, "--", *invocation.command] if invocation.command else ours
    new = not log.parent.exists()
    make_dir(log.parent)
    with open(log, "ab") as output:
        began = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "outlast", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **secrets, _DETACHED: "1"},
        )
    _await(process, lambda: _in_hand(record, process.pid))
    if process.poll() is not None:  # it failed, or there was nothing left to do: either way it has said so
        with open(log, "rb") as lines:
            lines.seek(began)
            words = lines.read().decode(errors="replace")
        click.echo(words, nl=False, err=process.returncode != 0)
        _leave_nothing(log, record, new)
        return process.returncode
    _tell(folder, record, log, process.pid)
    return 0


def _without_secrets(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The words of a command line that others may see, and what goes through the environment: a store with its password."""
    left, secrets = list(words), {}
    for at, word in enumerate(left):
        name, between, value = word.partition("=") if word.startswith("--") else ("", "", word)
        named = name if between else left[at - 1] if at else ""
        if named not in ("--index", "--storage", "--set") or masked_address(value) == value:
            continue
        key, _, said = ("index", "", value) if named != "--set" else value.partition("=")
        if key not in ("index", "index.url"):
            continue
        if said.lstrip().startswith("{"):
            fact = "a password within braces cannot go along to the background: others could read it there"
            raise UsageError(fact, cure="--index URL, or ${NAME} of the environment in its place")
        secrets[HANDED_OVER] = said.strip().strip("\"'")
        left[at] = f"--index=${{{HANDED_OVER}}}"
        if not between:
            left[at - 1] = ""
    return [word for word in left if word], secrets


def _await(process: subprocess.Popen[bytes], fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN
    while process.poll() is None and not fact() and time.monotonic() < deadline:
        time.sleep(0.05)


def _in_hand(record: Path, pid: int) -> bool:
    """Whether each of its studies is held, or over, and not all are over: then it says so itself, and leaves."""
    found = live_supervision(record)
    if found is None or found.process.pid != pid:
        return False
    begun = [each for each in found.charges if each.condition in ("starting", "running", "waiting")]
    return bool(begun) and all(each.condition == "waiting" or _is_held(each) for each in begun)


def _is_held(charge: Charge) -> bool:
    holder = current_holder(StudyPaths.at(charge.folder).ledger)
    return charge.process is not None and holder.get("pid") == charge.process.pid


def _leave_nothing(log: Path, record: Path, new: bool) -> None:
    """Of a study that never began, no folder."""
    if new and not StudyPaths.at(log.parent).exists:
        for each in (log, record):
            each.unlink(missing_ok=True)
        if not os.listdir(log.parent):
            os.rmdir(log.parent)


def _tell(folder: str, record: Path, log: Path, supervisor: int) -> None:
    found = live_supervision(record)
    charges = () if found is None else found.charges
    where = os.path.relpath(log)
    if len(charges) == 1 and charges[0].process is not None and charges[0].condition == "running":
        click.echo(f"running in the background (pid {charges[0].process.pid}); its words go to {where}")
        click.echo(f"should it die, its supervisor begins it again (pid {supervisor})")
    else:
        click.echo(f"running in the background (supervisor: pid {supervisor}); words go to {where}")
        for each in charges:
            about = f"pid {each.process.pid}" if each.condition == "running" and each.process else each.condition
            click.echo(f"  {each.study}: {about}" + (f": {each.word}" if each.word else ""))
    click.echo(f"watch it:  outlast status -w {folder}\nend it:    outlast stop {folder}")
