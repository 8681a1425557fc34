"""The page of several studies, as lines: how far they are, what runs, what is best, what failed, what is wrong."""

from __future__ import annotations

from outlast.cli.live.choice import Choice, running_of
from outlast.cli.live.columns import Column, lines_of, shares_of
from outlast.cli.live.curves import best_lines
from outlast.cli.live.lines import Shown, Window, bar_line, cut, footer
from outlast.cli.live.slot_lines import slot_lines, slots_head
from outlast.cli.live.troubles import failure_lines, warning_lines
from outlast.cli.render.phrases import STATE_STYLES, studies_text, supervisor_text, total_text
from outlast.cli.render.styled import Text
from outlast.cli.render.text import bar, one_line, percent
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.speed_words import clock_time, rate_text, speed_text
from outlast.monitor.times import duration, metric_value

_WIDE = 120  # columns from which an expected end is told by the clock, with its range


def picture(shown: Shown, choice: Choice, window: Window) -> list[Text]:
    """The page of all, at most as high as the window."""
    overview = shown.overview
    head, foot = _heading(overview, window), footer(shown, choice, window)
    chosen = next((sight for sight in overview.sights if sight.folder == choice.folder), None)
    wrong, best = warning_lines(overview, window), best_lines(chosen, window)
    failed = failure_lines(chosen, window)
    slots = len(running_of(overview))
    gaps = 1 + 2 * bool(slots) + bool(best or failed) + bool(wrong)
    wanted = [len(overview.sights), slots, len(wrong), len(best), len(failed)]
    given = shares_of(wanted, [4, 3, 3, 2, 2], window.height - len(head) - len(foot) - gaps)
    lines = [*head, Text(), *_studies(overview, choice, window, given[0])]
    if given[1]:
        lines += [Text(), slots_head(overview), *slot_lines(shown, choice, window, given[1])]
    if given[3] + given[4]:
        lines += [Text(), *best[: given[3]], *failed[: given[4]]]
    if given[2]:
        lines += [Text(), *wrong[: given[2]]]
    return [*lines[: max(1, window.height - len(foot))], *foot][: window.height]


def _heading(overview: Overview, window: Window) -> list[Text]:
    """The campaign's name, how far all of it is, when it is done, and who supervises it."""
    title = Text.assemble((one_line(overview.name), "bold cyan"), "  ", studies_text(overview))
    if overview.without:
        total = Text(f"  {total_text(overview)}", "bold")
    elif overview.share is None:
        total = Text(f"  {sum(each.finished for each in overview.snapshots)} finished")
    else:
        narrow = Window(window.width // 2, window.height, window.unicode)
        total = bar_line(overview.share, overview.counted, overview.target, narrow)
    lines = [title, total]
    by = supervisor_text(overview)
    for words in (speed_text(overview), f"supervised by {by}" if by else ""):
        if words and lines[-1].cell_len + 2 + len(words) <= window.width:
            lines[-1].append(f"  {words}")
        elif words:
            lines.append(Text(f"  {words}"))
    return cut(lines, window)


def _studies(overview: Overview, choice: Choice, window: Window, most: int) -> list[Text]:
    at = next((at for at, sight in enumerate(overview.sights) if sight.folder == choice.folder), None)
    strong = choice.row is not None and choice.row.trial is None
    columns = [
        Column(shrinks=True), Column(), Column(drop=4), Column(right=True), Column(drop=5), Column(drop=2, right=True),
        Column(drop=3), Column(drop=1),
    ]  # fmt: skip
    cells = [_cells(sight, window) for sight in overview.sights]
    return lines_of(cells, columns, window.width, marked=at, strong=strong, most=most)


def _cells(sight: Sight, window: Window) -> list[Text]:
    snapshot, name = sight.snapshot, Text(one_line(sight.name))
    if snapshot is None:
        return [
            name,
            Text(sight.state, STATE_STYLES[sight.state]),
            Text(one_line(sight.error) if sight.begun else "", "red"),
        ]
    state = Text(sight.state, STATE_STYLES[sight.state])
    if any(warning.is_trouble for warning in snapshot.warnings):
        state.append("!", "bold yellow")
    progress, figures = Text(), Text(f"{snapshot.finished} finished")
    if snapshot.share is not None:
        progress = bar(snapshot.share, max(8, min(32, window.width // 10)), unicode=window.unicode)
        figures = Text(f"{snapshot.counted}/{snapshot.target} {percent(snapshot.share):>5}%")
    best = Text()
    if snapshot.best is not None:
        value = metric_value(snapshot.metrics[0][0], snapshot.best.value)
        best = Text.assemble((value, "green"), (f" #{snapshot.best.trial}", "dim"))
    rate = rate_text(snapshot)
    for unit, short in ((" per hour", "/h"), (" per minute", "/min"), (" per second", "/s")):
        rate = rate.replace(unit, short)
    return [name, state, progress, figures, best, Text(rate), _eta(sight, window), _bad(sight)]


def _eta(sight: Sight, window: Window) -> Text:
    snapshot = sight.snapshot
    if snapshot is None or snapshot.eta is None:
        return Text()
    left = duration((snapshot.eta - snapshot.now).total_seconds())
    if window.width < _WIDE:
        return Text(left)
    ends = snapshot.eta_range or ()
    between = f", {' to '.join(clock_time(end, snapshot.now) for end in ends)}" if ends else ""
    return Text.assemble(left, (f" ({clock_time(snapshot.eta, snapshot.now)}{between})", "dim"))


def _bad(sight: Sight) -> Text:
    text = Text()
    for state, number in sight.snapshot.counts.items() if sight.snapshot is not None else ():
        if number and state.value in ("failed", "infeasible"):
            text.append(", " if text else "").append(f"{number} {state.value}", STATE_STYLES[state.value])
    return text
