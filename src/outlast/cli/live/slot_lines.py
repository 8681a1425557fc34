"""What each slot does: which trial, how far, its last value, for how long, on which card."""

from __future__ import annotations

from collections.abc import Mapping

from outlast.cli.live.choice import Choice, running_of
from outlast.cli.live.columns import Column, lines_of
from outlast.cli.live.curves import usual_steps
from outlast.cli.live.lines import Shown, Window
from outlast.cli.render.phrases import STATE_STYLES
from outlast.cli.render.styled import Text
from outlast.cli.render.text import one_line, params_text
from outlast.core.records import Attempt
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import RunningTrial
from outlast.monitor.times import duration, metric_value


def slots_head(overview: Overview) -> Text:
    """How many slots are busy."""
    live = [each for each in overview.snapshots if each.live is not None]
    busy = sum(len(each.running) for each in live)
    total = overview.parallel or sum(each.live.slots for each in live if each.live is not None)
    of = f" of {total}" if total >= busy else ""
    return Text(f"slots: {busy}{of} busy", style="dim")


def slot_lines(shown: Shown, choice: Choice, window: Window, most: int) -> list[Text]:
    """A line for each trial that runs, at most so many."""
    named = len(shown.overview.sights) > 1
    rows = running_of(shown.overview)
    cells = [row for sight in shown.overview.sights for row in _slot_cells(sight, shown.cards, named=named)]
    marked = rows.index(choice.row) if choice.row in rows else None
    how = [Column(shrinks=True), Column(), Column(drop=4), Column(drop=3), Column(), Column(drop=2), Column(fills=True)]
    dots = "…" if window.unicode else "..."
    columns = how if named else how[1:]
    return lines_of(cells, columns, window.width, marked=marked, strong=True, most=most, dots=dots) if most else []


def _slot_cells(sight: Sight, cards: Mapping[str, str], *, named: bool) -> list[list[Text]]:
    """A row of cells for each trial that runs; the study's name first where there are several."""
    snapshot = sight.snapshot
    if snapshot is None or snapshot.live is None:
        return []
    usual, metric = usual_steps(sight), snapshot.metrics[0][0]
    head = [Text(one_line(sight.name))] if named else []
    shown_as = f"{one_line(metric, 12)} " if named else ""
    return [
        [
            *head,
            *_progress(trial, usual),
            Text("" if trial.value is None else f"{shown_as}{metric_value(metric, trial.value)}"),
            _where(trial, sight, cards),
            Text(params_text(trial.params), style="dim"),
        ]
        for trial in snapshot.running
    ]


def _progress(trial: RunningTrial, usual: int | None) -> list[Text]:
    """Which it is, for how long it has run, how far it is."""
    number = Text(f"trial {trial.trial}")
    if trial.attempt > 1:
        number.append(f" attempt {trial.attempt}", "dim")
    of = "" if usual is None else f" of {usual}"
    step = "" if trial.step is None else f"step {trial.step}{of}"
    return [number, Text(duration(trial.seconds)), Text(step)]


def _where(trial: RunningTrial, sight: Sight, cards: Mapping[str, str]) -> Text:
    if trial.job:
        still = ", suspended" if trial.suspended else ", waits in the queue" if trial.waits else ""
        node = f" on {one_line(trial.node)}" if trial.node else ""
        return Text.assemble((f"job {one_line(trial.job)}{node}", "dim"), (still, STATE_STYLES["waiting"]))
    attempt = _attempt(trial, sight)
    return Text(", ".join(cards.get(card, f"GPU {one_line(card, 12)}") for card in attempt.gpus) if attempt else "")


def _attempt(trial: RunningTrial, sight: Sight) -> Attempt | None:
    found = sight.study.trials.get(trial.trial) if sight.study is not None else None
    return found.open_attempt if found is not None else None
