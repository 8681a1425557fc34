"""Trials that run just now, a line each with as many parameters as there is room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from outlast.cli.phrases import (
    STATE_STYLES,
)
from outlast.cli.text import (
    Paragraph,
    is_unicode,
    params_text,
)
from outlast.monitor.snapshot import RunningTrial
from outlast.monitor.times import duration, metric_value

_PARAMETERS_AT = 42  # the column of a running trial's parameters


def running_lines(trials: Sequence[RunningTrial], metric: str, *, limit: int = 8) -> list[RenderableType]:
    """One line per running trial with its step, latest value and age; at most `limit` lines."""
    shown = trials if len(trials) <= limit else trials[: max(0, limit - 1)]
    lines: list[RenderableType] = []
    for trial in shown:
        attempt = f" attempt {trial.attempt}" if trial.attempt > 1 else ""
        step = "" if trial.step is None else f"step {trial.step}"
        value = "" if trial.value is None else metric_value(metric, trial.value)
        cells = (f"{duration(trial.seconds):<8}", f"{step:<11}", value)
        line = Text.assemble(f"trial {trial.trial:<4}", "  ", "  ".join(cells), (attempt, "dim"), _job_of(trial))
        lines.append(_WithParams(line, trial.params))
    if len(trials) > len(shown):
        lines.append(Text(f"  and {len(trials) - len(shown)} more", style="dim"))
    return lines


class _WithParams:
    """A line with as many of a trial's parameters behind it as there is room for."""

    def __init__(self, line: Text, params: Mapping[str, Any]) -> None:
        self._line, self._params = line, params

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        line, words = self._line.copy(), [params_text({name: value}) for name, value in self._params.items()]
        line.append(" " * (_PARAMETERS_AT - line.cell_len))
        shown: list[str] = []
        room = options.max_width - 2 - line.cell_len - 2
        for word in words:
            more = 4 if len(shown) + 1 < len(words) else 0  # for the dots that say so
            if len(" ".join([*shown, word])) + more > room:
                break
            shown.append(word)
        dots = [] if len(shown) == len(words) or not shown else ["…" if is_unicode(console) else "..."]
        if shown:
            line.append(f"  {' '.join([*shown, *dots])}", style="dim")
        yield Paragraph(line, indent=2)


def _job_of(trial: RunningTrial) -> Text:
    if not trial.job:
        return Text()
    where = f" on {trial.node}" if trial.node else ""
    anew = f", started anew {trial.restarts}×" if trial.restarts else ""
    still = ", suspended" if trial.suspended else ", waits in the queue" if trial.waits else ""
    return Text.assemble((f"  job {trial.job}{where}{anew}", "dim"), (still, STATE_STYLES["waiting"]))
