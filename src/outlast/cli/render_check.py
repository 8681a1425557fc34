"""What `check` found, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from outlast.cli.text import Paragraph, clean, one_line, params_text
from outlast.config.settings import Settings
from outlast.config.units import format_duration
from outlast.core.finding import Finding
from outlast.engine.check.verdicts import Tried
from outlast.space.covering import small_categoricals

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "error": ("error", "bold red")}


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
