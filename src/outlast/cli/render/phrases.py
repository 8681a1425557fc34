"""Facts of a snapshot as a person says them: counts, values, speed, hours, state, and a line for each trial that runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from outlast.cli.render.styled import Text
from outlast.cli.render.text import Paragraph, is_unicode, one_line, params_text, percent
from outlast.core.moments import parse_time
from outlast.core.states import STATE_ORDER, StudyState, TrialState
from outlast.monitor.speed_words import clock_time
from outlast.monitor.times import duration, metric_value

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

    from outlast.monitor.overview import Overview
    from outlast.monitor.snapshot import RunningTrial, Snapshot

_PARAMETERS_AT = 42  # the column of a running trial's parameters
STATE_STYLES: Mapping[str, str] = {
    "complete": "green",
    "pruned": "yellow",
    "failed": "red",
    "infeasible": "magenta",
    "interrupted": "blue",
    "running": "cyan",
    "created": "dim",
    "waiting": "yellow",
    "paused": "yellow",
    "stopped": "yellow",
    "halted": "red",
    "unreadable": "bold red",
    "cannot start": "bold red",
    "not begun": "dim",
    "done": "green",
}
_STUDY_STATES = ("running", "waiting", "paused", "stopped", "halted", "unreadable", "cannot start", "not begun", "done")


def counts_text(snapshot: Snapshot, *, always: Iterable[TrialState] = ()) -> Text:
    """``18 complete, 4 pruned, 1 failed, 25 remaining``: states without trials are left out unless in `always`."""
    text = _left_out_text(states_text(_really(snapshot), always), snapshot)
    if snapshot.remaining is not None:
        text.append(f"{', ' if text else ''}{snapshot.remaining} remaining")
    return text


def tally_text(snapshot: Snapshot) -> Text:
    """``25 of 25: 24 complete, 1 pruned; besides 7 failed``: what counts towards the target, and what does not."""
    if snapshot.target is None:
        return Text.assemble(f"{snapshot.finished} finished: ", counts_text(snapshot))
    really = _really(snapshot)
    counts = {state: number for state, number in really.items() if state.value in snapshot.count}
    others = {state: number for state, number in really.items() if state not in counts}
    text = Text(f"{snapshot.counted} of {snapshot.target}")
    for head, of in ((": ", counts), ("; besides ", others)):
        if any(of.values()):
            text.append(head).append_text(states_text(of))
    _left_out_text(text, snapshot)
    return text.append(f"; {snapshot.remaining} remaining" if snapshot.remaining else "")


def _really(snapshot: Snapshot) -> dict[TrialState, int]:
    """The trials by state, without those that stand as failed only because the study file does not hold them any more."""
    counts = dict(snapshot.counts)
    counts[TrialState.FAILED] = counts.get(TrialState.FAILED, 0) - snapshot.left_out
    return counts


def _left_out_text(text: Text, snapshot: Snapshot) -> Text:
    if snapshot.left_out:
        text.append(f"{', ' if text else ''}{snapshot.left_out} left out (not in the search space any more)")
    return text


def states_text(counts: Mapping[TrialState, int], always: Iterable[TrialState] = ()) -> Text:
    """``18 complete, 4 pruned``; states without trials are left out unless in `always`."""
    text, shown = Text(), set(always)
    for state in STATE_ORDER:
        number = counts.get(state, 0)
        if number or state in shown:
            text.append(", " if text else "")
            text.append(f"{number} {state.value}", style=STATE_STYLES[state.value] if number else "dim")
    return text


def values_text(names: Sequence[str], values: Sequence[float], *, both: bool = False) -> str:
    """``val_accuracy 0.9712, loss 0.12``."""
    pairs = zip(names, values, strict=False)
    return ", ".join(f"{one_line(name)} {metric_value(name, value, both=both)}" for name, value in pairs)


def studies_text(overview: Overview) -> Text:
    """``4 studies: 3 running, 1 halted``."""
    number, states = len(overview.sights), overview.states
    text = Text(f"{number} {'study' if number == 1 else 'studies'}")
    for at, state in enumerate(state for state in _STUDY_STATES if states[state]):
        text.append(", " if at else ": ").append(f"{states[state]} {state}", STATE_STYLES[state])
    return text


def total_text(overview: Overview) -> str:
    """``3/40 (7.5%)``; ``30/30 without gamma`` where nobody knows what that one is to reach."""
    if overview.target is None:
        return f"{overview.counted} trials"
    done = f"{overview.counted}/{overview.target}"
    if overview.share is not None:
        return f"{done} ({percent(overview.share)}%)"
    names, more = overview.without[:5], len(overview.without) - 5
    return f"{done} without {', '.join(map(one_line, names))}" + (f", and {more} more" if more > 0 else "")


def supervisor_text(of: Snapshot | Overview) -> str:
    """``pid 17 on box since 10:00; begun again: evidence 2``: who looks after it; nothing where nobody does."""
    by = of.supervisor
    if by is None:
        return ""
    since = parse_time(by.since)
    when = "" if since is None else f" since {clock_time(since, of.now)}"
    again = [f"{one_line(name)} {times}" for name, times in sorted(by.restarts.items()) if times]
    restarts = f"; begun again: {', '.join(again)}" if again else ""
    return f"pid {by.pid} on {one_line(by.host)}{when}{restarts}"


def hours_text(snapshot: Snapshot) -> str:
    """``12.4: 8 complete, 2.4 pruned, 2 wasted; 3.1 not repeated thanks to resume``; what is nought is left out. In GPU hours,
    or without GPUs as times of training."""
    hours = snapshot.hours
    if not hours.used:
        return ""
    say = _hours if hours.gpu else lambda value: duration(3600.0 * value)
    still = "going on" if snapshot.live is not None else "in trials that wait"
    kinds = (hours.complete, "complete"), (hours.pruned, "pruned"), (hours.wasted, "wasted"), (hours.open, still)
    parts = ", ".join(f"{say(value)} {word}" for value, word in kinds if value)
    saved = f"; {say(hours.saved)} not repeated thanks to resume" if hours.saved else ""
    return f"{say(hours.used)}: {parts}{saved}"


def _hours(value: float) -> str:
    """Hours with at most two decimals; less than a tenth with two digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 0.1 else f"{value:.2g}"


def best_text(snapshot: Snapshot, *, both: bool = False) -> Text:
    """``val_accuracy 0.9712 in trial 7``, with more digits where `both` asks for what was reported, too."""
    if snapshot.best is None:
        return Text()
    values = values_text([name for name, _ in snapshot.metrics], snapshot.best.values, both=both)
    front = f", one of {len(snapshot.pareto)} on the Pareto front" if len(snapshot.pareto) > 1 else ""
    return Text.assemble((values, "bold green"), f" in trial {snapshot.best.trial}{front}")


def state_text(snapshot: Snapshot) -> Text:
    """``running, 2h so far``, or how it stands and why."""
    text = Text(snapshot.state.value, style=STATE_STYLES[snapshot.state.value])
    if snapshot.live is not None and snapshot.state is StudyState.RUNNING:
        text.append(f", {duration(snapshot.time.running_seconds)} so far")
    if snapshot.reason:
        text.append(f": {one_line(snapshot.reason)}")
    return text


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
