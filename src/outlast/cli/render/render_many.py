"""What a person sees of several studies: a line each, and all of them together. Values in, renderables out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from outlast.cli.render.phrases import STATE_STYLES, states_text, studies_text, supervisor_text
from outlast.cli.render.render_run import Progress, problems
from outlast.cli.render.styled import Group, Text
from outlast.cli.render.text import LABELS, Facts, Paragraph, is_unicode, next_line, one_line, percent
from outlast.core.moments import parse_time
from outlast.core.states import TrialState
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.speed_words import ahead_text, clock_time, rate_text, speed_text
from outlast.monitor.times import duration, metric_value

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

_MOST_WARNINGS = 8
_NARROWEST_NAME = 12


def several(overview: Overview) -> RenderableType:
    """The text of ``outlast status`` of several studies."""
    counts, target = overview.counts, overview.target
    trials = states_text(counts)
    if target is not None:
        trials.append(f"{', ' if trials else ''}{target - overview.counted} remaining")
    facts: list[tuple[str, str | Text]] = [
        ("run by", supervisor_text(overview)),
        ("trials", trials),
        ("rate", speed_text(overview)),
        ("ahead", ahead_text(overview)),
    ]
    return Group(
        Paragraph(Text.assemble((one_line(overview.name), "bold cyan"), "  ", studies_text(overview))),
        Progress(overview),
        Facts(facts, label_width=LABELS),
        Text(),
        StudyTable(overview),
        *problems(_warnings(overview)),
        next_line(overview.next_command),
    )


def _warnings(overview: Overview) -> list[HealthWarning]:
    """Each with the name of its study, worst first; many alike are one, and of very many the first ones are told."""
    alike: dict[tuple[str, str], list[HealthWarning]] = {}
    for each in overview.findings:
        alike.setdefault((each.key, each.level), []).append(each)
    found: list[HealthWarning] = []
    for same in alike.values():
        found += [replace(each, text=each.named) for each in same[:2]]
        if len(same) > 2:
            names = [one_line(each.study) for each in same[2:]]
            more = f", and {len(names) - 5} more" if len(names) > 5 else ""
            found.append(replace(same[0], text=f"likewise in {', '.join(names[:5])}{more}", cure="", since=""))
    if len(found) > _MOST_WARNINGS:
        others, level = len(found) - _MOST_WARNINGS, found[_MOST_WARNINGS].level
        rest = HealthWarning("", f"and {others} more", f"outlast status {overview.folder} --json", level=level)
        found[_MOST_WARNINGS:] = [rest]
    return found


class _Column(Struct, frozen=True):
    """One column of the table. Those with the highest `rank` go first where there is no room for all."""

    head: str
    rank: int
    cell: Callable[[Sight, Snapshot, Overview], str | Text]
    right: bool = True


def _best(sight: Sight, of: Snapshot, _: Overview) -> str:
    return "" if of.best is None else metric_value(of.metrics[0][0], of.best.value)


def _left(sight: Sight, of: Snapshot, _: Overview) -> str:
    return "" if of.eta is None else duration((of.eta - of.now).total_seconds())


def _done(sight: Sight, of: Snapshot, overview: Overview) -> str:
    return "" if of.eta is None else clock_time(of.eta, overview.now)


def _since(sight: Sight, of: Snapshot, overview: Overview) -> str:
    since = parse_time(of.live.since) if of.live is not None else None
    return "" if since is None else clock_time(since, overview.now)


def _share(sight: Sight, of: Snapshot, _: Overview) -> str:
    return "" if of.share is None else percent(of.share).removesuffix(".0") + "%"


def _count(*states: TrialState) -> Callable[[Sight, Snapshot, Overview], str]:
    return lambda _, of, __: str(sum(of.counts.get(state, 0) for state in states))


_COLUMNS = (
    _Column("study", 0, lambda sight, *_: one_line(sight.name), right=False),
    _Column("state", 0, lambda sight, *_: Text(sight.state, STATE_STYLES[sight.state]), right=False),
    _Column("trials", 0, lambda _, of, __: f"{of.counted}/{'?' if of.target is None else of.target}"),
    _Column("%", 1, _share),
    _Column("complete", 7, _count(TrialState.COMPLETE)),
    _Column("pruned", 6, _count(TrialState.PRUNED)),
    _Column("failed", 3, _count(TrialState.FAILED, TrialState.INFEASIBLE)),
    _Column("now", 8, _count(TrialState.RUNNING)),
    _Column("metric", 12, lambda _, of, __: one_line(of.metrics[0][0], 24)),
    _Column("best", 2, _best),
    _Column("rate", 5, lambda _, of, __: rate_text(of).replace(" per ", "/")),
    _Column("left", 4, _left),
    _Column("done", 9, _done),
    _Column("pid", 10, lambda _, of, __: str(of.live.pid) if of.live is not None and of.live.pid else ""),
    _Column("since", 10, _since),
    _Column("host", 13, lambda _, of, __: one_line(of.live.host, 24) if of.live is not None else "", right=False),
    _Column("folder", 14, lambda sight, *_: one_line(sight.folder), right=False),
)


class StudyTable:
    """A line for each study, with as many columns as there is room for. Never wider than the window."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        overview = self._overview
        rows = [[_cell(column, sight, overview) for column in _COLUMNS] for sight in overview.sights]
        widths = [
            max([len(column.head), *(row[at].cell_len for row in rows)]) if any(row[at] for row in rows) else 0
            for at, column in enumerate(_COLUMNS)
        ]
        name = max(_NARROWEST_NAME, widths[0])
        shown = _that_fit(widths, options.max_width)
        widths[0] = max(8, min(name, options.max_width - _width(shown[1:], widths) - 2 - 2)) if widths[0] else 0
        dots = "…" if is_unicode(console) else "..."
        yield _line([Text(_COLUMNS[at].head, "dim") for at in shown], shown, widths)
        for row in rows:
            row[0] = _shortened(row[0], widths[0], dots)
            yield _line([row[at] for at in shown], shown, widths)


def _cell(column: _Column, sight: Sight, overview: Overview) -> Text:
    if sight.snapshot is None and column.head not in ("study", "state", "folder"):
        return Text()
    cell = column.cell(sight, sight.snapshot, overview)  # type: ignore[arg-type]  # those three do not look at it
    return cell if isinstance(cell, Text) else Text(cell)


def _that_fit(widths: Sequence[int], room: int) -> list[int]:
    """The columns to show, by their places: as many as fit beside a name that may be cut."""
    shown = [at for at, width in enumerate(widths) if width]
    least = [min(widths[0], _NARROWEST_NAME), *widths[1:]]
    while _width(shown, least) + 2 > room and any(_COLUMNS[at].rank for at in shown):
        shown.remove(max(shown, key=lambda at: (_COLUMNS[at].rank, at)))
    return shown


def _width(shown: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[at] for at in shown) + 2 * (len(shown) - 1)


def _shortened(text: Text, width: int, dots: str) -> Text:
    return text if text.cell_len <= width else Text(text.plain[: max(0, width - len(dots))] + dots, text.style)


def _line(cells: Sequence[Text], shown: Sequence[int], widths: Sequence[int]) -> Text:
    line = Text("  ", no_wrap=True, overflow="ignore")
    for at, cell in zip(shown, cells, strict=True):
        blank = " " * (widths[at] - cell.cell_len)
        line.append_text(Text.assemble(blank, cell) if _COLUMNS[at].right else Text.assemble(cell, blank)).append("  ")
    line.rstrip()
    return line
