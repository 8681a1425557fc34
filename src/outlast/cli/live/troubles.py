"""What failed and what is wrong, as lines."""

from __future__ import annotations

from outlast.cli.live.lines import Window, cut, fact_lines
from outlast.cli.render.styled import Text
from outlast.cli.render.text import one_line
from outlast.core.moments import parse_time
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.speed_words import clock_time
from outlast.results.failures import FailureGroup, group_failures

_MOST_FAILURES, _MOST_WARNINGS = 4, 4


def failure_lines(sight: Sight | None, window: Window) -> list[Text]:
    """A study's failures by what they have in common, the most frequent first."""
    if sight is None or sight.study is None:
        return []
    return cut([_failure_line(group) for group in group_failures(sight.study)[:_MOST_FAILURES]], window)


def _failure_line(group: FailureGroup) -> Text:
    number, listed = len(group.trials), ", ".join(map(str, group.trials[-3:]))
    which = listed if number < 4 else f"last {listed}"
    return Text.assemble(
        (f"  {'failed':<10}  ", "red"),
        f"{number}× {group.cause.value}",
        (f" ({which})", "dim"),
        f"  {one_line(group.reason)}",
    )


def warning_lines(overview: Overview, window: Window) -> list[Text]:
    """What is wrong with any of the studies, the worst first, since when, and what to do."""
    alone = None if overview.is_campaign or len(overview.sights) != 1 else overview.sights[0].snapshot
    found = overview.findings if alone is None else alone.warnings  # its state says the rest
    lines: list[Text] = []
    for warning in found[:_MOST_WARNINGS]:
        began = parse_time(warning.since)
        since = "" if began is None else f"  since {clock_time(began, overview.now)}"
        label, style = ("warning", "bold yellow") if warning.is_trouble else ("note", "bold")
        said = Text.assemble(one_line(warning.text if alone is not None else warning.named), (since, "dim"))
        lines += fact_lines(label, said, window, most=2, style=style)
        lines += cut([Text(f"{'':<14}{one_line(line)}", style="dim") for line in warning.cure.splitlines()[:2]], window)
    if len(found) > _MOST_WARNINGS:
        lines.append(Text(f"{'':<14}and {len(found) - _MOST_WARNINGS} more: outlast status", style="dim"))
    return lines
