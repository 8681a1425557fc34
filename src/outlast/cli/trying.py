"""`check` with trials run for real: what is printed on the way, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.errors import UsageError


def seconds_of(limit: str) -> float:
    """What ``--limit`` says.

    Raises:
        UsageError: It is no duration.
    """
    from outlast.config.units import parse_duration

    try:
        seconds = parse_duration(limit)
    except ValueError as error:
        raise UsageError(f"--limit: {error}") from None
    if seconds <= 0:
        raise UsageError("--limit must be more than nothing", cure="such as 90s or 10m")
    return seconds


def try_out(
    settings: Settings,
    folder: str,
    findings: Sequence[Finding],
    *,
    smoke: bool = False,
    rehearse: bool = False,
    limit: float = 180.0,
    as_json: bool = False,
) -> int:
    """Print what was found; if nothing speaks against it, run the trials that were asked for and print what they showed.

    Returns:
        The exit code: 2 if study file, command or machine is at fault, 1 if a trial failed or starts over when resumed,
        4 if somebody ended it, else 0.
    """
    from outlast.cli.render_check import check_table
    from outlast.cli.text import make_console

    console = make_console(stderr=as_json)
    facts: dict[str, Any] = {"findings": [finding.to_json() for finding in findings], "smoke": None, "rehearse": None}
    if not as_json:
        console.print(check_table(findings))
    code = 2 if any(finding.level == "error" for finding in findings) else 0
    if smoke and code == 0:
        code = _smoke(settings, folder, limit, facts, console, as_json)
    if rehearse and code in (0, 1):
        code = max(code, _rehearse(settings, folder, limit, facts, console, as_json))
    if as_json:
        click.echo(json.dumps(facts))
    elif code == 4:
        console.print("ended early; nothing was left behind")
    return code


def _smoke(settings: Settings, folder: str, limit: float, facts: dict[str, Any], console: Any, as_json: bool) -> int:
    from outlast.cli.render_check import check_table, smoke_head, traceback_tail, tried_line
    from outlast.engine.check.smoke import smoke
    from outlast.engine.check.verdicts import Tried

    shown: set[str] = set()

    def tell(trial: Tried) -> None:
        if as_json:
            return
        console.print(tried_line(trial, settings))
        tail = traceback_tail(trial)
        if tail is not None and trial.reason not in shown:  # once for each way to fail
            shown.add(trial.reason)
            console.print(tail)

    if not as_json:
        console.print(smoke_head(settings, limit))
    found = smoke(settings, folder, limit=limit, tell=tell, say=console.print)
    facts["smoke"] = found.to_json()
    if not as_json:
        console.print(check_table(found.findings))
    return 4 if found.interrupted else 0 if found.passed else 1


def _rehearse(settings: Settings, folder: str, limit: float, facts: dict[str, Any], console: Any, as_json: bool) -> int:
    from outlast.cli.render_check import check_table
    from outlast.engine.check.rehearse import rehearse

    if not as_json:
        console.print("rehearsal: one trial, killed after a checkpoint and resumed")
    found = rehearse(settings, folder, limit=limit, say=console.print)
    facts["rehearse"] = found.to_json()
    if not as_json:
        console.print(check_table([found.finding]))
    return 4 if found.verdict == "interrupted" else 0 if found.passed else 1
