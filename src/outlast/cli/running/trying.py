"""`check`: what it found, and with trials run for real what is printed on the way; the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from outlast.cli.render.styled import Group, Text
from outlast.cli.render.text import Paragraph, clean, make_console, one_line, params_text
from outlast.config.settings import Settings
from outlast.config.units import format_duration, parse_duration
from outlast.core.finding import Finding
from outlast.engine.check.verdicts import Tried
from outlast.errors import UsageError
from outlast.space.covering import small_categoricals

if TYPE_CHECKING:
    from rich.console import RenderableType

_Show = Callable[..., None]
_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "error": ("error", "bold red")}


def seconds_of(limit: str) -> float:
    """What ``--limit`` says.

    Raises:
        UsageError: It is no duration.
    """
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
    console = make_console(stderr=as_json)
    show = _nothing if as_json else console.print
    show(check_table(findings))
    code, facts = tried(settings, folder, findings, show, console.print, smoke=smoke, rehearse=rehearse, limit=limit)
    if as_json:
        click.echo(json.dumps(facts))
    elif code == 4:
        console.print("ended early; nothing was left behind")
    return code


def tried(
    settings: Settings,
    folder: str,
    findings: Sequence[Finding],
    show: _Show,
    say: _Show,
    *,
    smoke: bool,
    rehearse: bool,
    limit: float,
) -> tuple[int, dict[str, Any]]:
    """As `try_out`, after what was found is printed: the exit code, and the facts as `check --json` has them."""
    facts: dict[str, Any] = {"findings": [finding.to_json() for finding in findings], "smoke": None, "rehearse": None}
    code = 2 if any(finding.level == "error" for finding in findings) else 0
    if smoke and code == 0:
        code = _smoke(settings, folder, limit, facts, show, say)
    if rehearse and code in (0, 1):
        code = max(code, _rehearse(settings, folder, limit, facts, show, say))
    return code, facts


def _nothing(*_shown: Any) -> None:
    """Facts are printed as one document, at the end."""


def _smoke(settings: Settings, folder: str, limit: float, facts: dict[str, Any], show: _Show, say: _Show) -> int:
    from outlast.engine.check.smoke import smoke

    shown: set[str] = set()

    def tell(trial: Tried) -> None:
        show(tried_line(trial, settings))
        tail = traceback_tail(trial)
        if tail is not None and trial.reason not in shown:  # once for each way to fail
            shown.add(trial.reason)
            show(tail)

    show(smoke_head(settings, limit))
    found = smoke(settings, folder, limit=limit, tell=tell, say=say)
    facts["smoke"] = found.to_json()
    show(check_table(found.findings))
    return 4 if found.interrupted else 0 if found.passed else 1


def _rehearse(settings: Settings, folder: str, limit: float, facts: dict[str, Any], show: _Show, say: _Show) -> int:
    from outlast.engine.check.rehearse import rehearse

    show("rehearsal: one trial, killed after a checkpoint and resumed")
    found = rehearse(settings, folder, limit=limit, say=say)
    facts["rehearse"] = found.to_json()
    show(check_table([found.finding]))
    return 4 if found.verdict == "interrupted" else 0 if found.passed else 1


def check_table(findings: Sequence[Finding]) -> RenderableType:
    """A line each, cures indented below."""
    lines: list[RenderableType] = []
    for finding in findings:
        word, style = _MARKS[finding.level]
        head = Text.assemble((f"{word:>6}", style), "  ")
        lines.append(Paragraph(Text(f"{finding.about}: {finding.text}"), indent=8, head=head))
        if finding.cure and finding.level != "ok":
            lines.append(Paragraph(Text(finding.cure, style="dim"), indent=8))
    return Group(*lines)


def smoke_head(settings: Settings, limit: float) -> RenderableType:
    """What is about to be run, and when a trial ends."""
    names = ", ".join(small_categoricals(settings.space))
    which = f"one trial, and one for each value of {names}" if names else "one trial"
    metrics = " and ".join(metric.name for metric in settings.metrics)
    args = " ".join(settings.check.args)
    until = f"with {args}" if args else f"{'each ' if names else ''}to its first report of {metrics}"
    return Text(f"smoke: {which}; {until}, at most {format_duration(limit)}")


def tried_line(trial: Tried, settings: Settings) -> RenderableType:
    """A line for a trial that was tried out."""
    word, style = {"passed": ("ok", "green"), "failed": ("failed", "bold red")}.get(trial.outcome, ("ended", ""))
    names = small_categoricals(settings.space)
    values = params_text({name: value for name, value in trial.params.items() if name in names})
    scores = ", ".join(f"{name} {value:.6g}" for name, value in trial.scores.items())
    about = [f"trial {trial.number}", values, one_line(trial.reason), f"{trial.seconds:.1f} s", scores]
    return Text.assemble((f"{word:>6}", style), "  ", ", ".join(filter(None, about)))


def traceback_tail(trial: Tried, lines: int = 6) -> RenderableType | None:
    """The last lines of what a failed trial said, indented; ``None`` where it said nothing."""
    last = clean(trial.traceback).rstrip().splitlines()[-lines:] if trial.outcome == "failed" else []
    return Text("\n".join(f"        {line}" for line in last), style="dim") if last else None
