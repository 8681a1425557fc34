"""What a person sees when a run starts, goes on, ends or fails. Values in, renderables out: ``console.print`` them.

Nothing is decided here: `outlast.monitor` and `outlast.results` say what is so, this says it on a terminal. At 2 a.m.
the order is: how far, what is best, how fast, what is wrong, what to type next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from outlast.cli.text import (
    LABELS,
    Command,
    Facts,
    Paragraph,
    bar,
    clean,
    clock_time,
    is_unicode,
    next_line,
    one_line,
    param,
    params_text,
)
from outlast.config.settings import MetricSettings, Settings
from outlast.core.best import is_best, table_value
from outlast.core.faults import BY_HAND
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import StudyState, TrialState
from outlast.errors import OutlastError
from outlast.monitor.health import HealthWarning
from outlast.monitor.jobs import queue_in_words
from outlast.monitor.snapshot import STATE_ORDER, RunningTrial, Snapshot
from outlast.monitor.times import duration, figure, metric_value, time_span

__all__ = [
    "STATE_STYLES",
    "counts_text",
    "end_summary",
    "ended_line",
    "event_text",
    "hours_text",
    "progress_block",
    "render_error",
    "running_lines",
    "speed_text",
    "start_banner",
    "status",
    "trial_line",
    "values_text",
    "warnings",
]

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
    "done": "green",
}


_PARAMETERS_AT = 42  # the column of a running trial's parameters
_RESUMED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.INTERRUPTED)


def start_banner(
    snapshot: Snapshot,
    settings: Settings,
    *,
    index: str,
    slots: int,
    sampler: str | None = None,
    pruner: str | None = None,
    notes: Sequence[tuple[str, str]] = (),
    kept: bool = True,
) -> RenderableType:
    """What a run says first; "resuming" where the study holds trials already.

    Args:
        snapshot: The study before this run does anything.
        settings: The settings in force.
        index: The index's path or address, passwords left out.
        slots: Attempts side by side.
        sampler: What ``auto`` turned out to be; the settings' word by default.
        pruner: Likewise.
        notes: Further (label, text) lines: which checkpoints will be deleted, what a lost session would lose.
        kept: Whether anything of the study is left when the command ends.
    """
    resuming = sum(snapshot.counts.values()) > 0
    title = "RESUMING" if resuming else "STARTING NEW SEARCH"
    goals = ", ".join(f"{name} ({goal})" for name, goal in snapshot.metrics)
    total = "no limit" if snapshot.target is None else f"{snapshot.target} in total"
    rows: list[tuple[str, str | Text]] = [
        ("study", snapshot.folder if kept else ""),
        ("index", index if kept else ""),
        ("metric", goals),
        ("trials", f"{total}; {_and(snapshot.count)} trials count"),
        ("parallel", f"{slots} {'trial' if slots == 1 else 'trials'} at once"),
        ("sampler", sampler or settings.sampler.name),
        ("pruner", pruner or settings.pruner.name),
        *((label, one_line(text)) for label, text in notes),
    ]
    if resuming:
        rows += [("so far", counts_text(snapshot, always=_RESUMED)), ("best", _best_text(snapshot, both=True))]
    promise = Text("Resumable: you can safely stop and restart with the same command.", style="dim")
    return Group(
        Paragraph(Text.assemble((title, "bold"), "  ", (one_line(snapshot.study), "bold cyan"))),
        Facts(rows, label_width=LABELS),
        *([Paragraph(promise, indent=2)] if kept else []),
        Text(),
    )


def end_summary(
    snapshot: Snapshot,
    *,
    configuration: Mapping[str, Any],
    files: Sequence[tuple[str, str]] = (),
    story: RenderableType | None = None,
    kept: bool = True,
) -> RenderableType:
    """What a run says last: statistics, the best configuration, where things lie, the next command.

    Args:
        snapshot: The study as the run leaves it.
        configuration: The best trial's whole configuration; empty while there is none.
        files: (label, path) of the result files that are there.
        story: Of a halted study, the failure that halted it; it stands in for the warnings.
        kept: Whether anything of the study is left for a next command to look at.
    """
    rows: list[tuple[str, str | Text]] = [
        ("state", _state_text(snapshot)),
        ("trials", _tally_text(snapshot)),
        *_time_rows(snapshot),
        ("rate", "" if snapshot.rate_per_hour is None else f"{_rate(snapshot.rate_per_hour)}"),
        ("best", _best_text(snapshot) or Text("no trial has completed", style="yellow")),
    ]
    inner = [(f"  {one_line(name)}", param(value, exact=True)) for name, value in configuration.items()]
    column = max(LABELS, *(len(label) for label, _ in (*inner, *files, ("", ""))))
    parts: list[RenderableType] = [
        Text(),
        Paragraph(Text.assemble(("Study statistics", "bold"), "  ", (one_line(snapshot.study), "bold cyan"))),
        Facts([*rows, *inner, *files], label_width=column),
    ]
    if not kept:
        return Group(*parts, *_problems(snapshot.warnings), *([] if story is None else [Text(), story]))
    if story is None:
        return Group(*parts, *_problems(snapshot.warnings), next_line(snapshot.next_command))
    command, what = snapshot.once_mended
    return Group(*parts, Text(), story, next_line(command), Facts([("", what)], label_width=LABELS))


def status(snapshot: Snapshot) -> RenderableType:
    """The text of ``outlast status``."""
    ahead = ", ".join(f"{m.percent}% {clock_time(m.at, snapshot.now)}" for m in snapshot.milestones if m.at is not None)
    parts: list[RenderableType] = [
        Paragraph(Text.assemble((one_line(snapshot.study), "bold cyan"), "  ", _state_text(snapshot))),
        Facts(
            [
                ("run by", _runner_text(snapshot)),
                ("best", _best_text(snapshot)),
                ("", "" if snapshot.best is None else params_text(snapshot.best.params)),
                ("trials", counts_text(snapshot)),
                ("queue", queue_in_words(snapshot.jobs, snapshot.silence)),
                ("rate", speed_text(snapshot)),
                *_time_rows(snapshot),
                ("ahead", ahead),
            ],
            label_width=LABELS,
        ),
    ]
    parts.insert(1, _Progress(snapshot))
    if snapshot.running and snapshot.live is not None:
        parts += [Text(), *running_lines(snapshot.running, snapshot.metrics[0][0])]
    return Group(*parts, *_problems(snapshot.warnings), next_line(snapshot.next_command))


def render_error(error: OutlastError) -> RenderableType:
    """An error as a person should see it: fact and place, then the cure. No traceback."""
    text = str(error)
    if error.cure is not None and text.endswith(error.cure):
        text = text[: -len(error.cure)].rstrip()
    rows: list[tuple[str, str | Text]] = [("error:", Text(clean(text), style="bold"))]
    parts: list[RenderableType] = [Facts(rows, indent=0, label_style="bold red")]
    return Group(*parts, *_cure(error.cure or "", 8))


def trial_line(trial: Trial, metrics: Sequence[MetricSettings], *, best: bool = False) -> str:
    """One line about a trial that ended or was interrupted, for the live view and the log.

    ``trial 7 complete val_accuracy=0.9712 (best) 3.2s``
    """
    words = [f"trial {trial.number} {trial.state.value}{' by hand' if trial.reason == BY_HAND else ''}"]
    last = trial.last
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        for at, metric in enumerate(metrics):
            value = table_value(trial, metrics, at)
            if value is not None:
                words.append(f"{one_line(metric.name)}={metric_value(metric.name, value)}")
        if best:
            words.append("(best)")
        if trial.state is TrialState.PRUNED and last is not None and last.last_step is not None:
            words.append(f"at step {last.last_step}")
    elif trial.cause is not None:
        reason = one_line(trial.reason, 200)
        words.append(f"({trial.cause.value}): {reason}" if reason else f"({trial.cause.value})")
    if trial.ended:
        words.append(duration(trial.seconds))
    return " ".join(words)


def ended_line(trial: Trial, study: Study, settings: Settings, *, params: bool) -> str:
    """`trial_line` of a trial that has just ended, with its parameters behind it where there is room for them."""
    line = trial_line(trial, settings.metrics, best=is_best(study, trial, settings.metrics))
    return f"{line}  {params_text(trial.params)}" if params and trial.params else line


def counts_text(snapshot: Snapshot, *, always: Iterable[TrialState] = ()) -> Text:
    """``18 complete, 4 pruned, 1 failed, 25 remaining``: states without trials are left out unless in `always`."""
    text = _left_out_text(_states_text(_really(snapshot), always), snapshot)
    if snapshot.remaining is not None:
        text.append(f"{', ' if text else ''}{snapshot.remaining} remaining")
    return text


def _tally_text(snapshot: Snapshot) -> Text:
    """``25 of 25: 24 complete, 1 pruned; besides 7 failed``: what counts towards the target, and what does not."""
    if snapshot.target is None:
        return Text.assemble(f"{snapshot.finished} finished: ", counts_text(snapshot))
    really = _really(snapshot)
    counts = {state: number for state, number in really.items() if state.value in snapshot.count}
    others = {state: number for state, number in really.items() if state not in counts}
    text = Text(f"{snapshot.counted} of {snapshot.target}")
    for head, of in ((": ", counts), ("; besides ", others)):
        if any(of.values()):
            text.append(head).append_text(_states_text(of))
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


def _states_text(counts: Mapping[TrialState, int], always: Iterable[TrialState] = ()) -> Text:
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


def speed_text(snapshot: Snapshot) -> str:
    """``12.4 per hour, done in 2h 10m (14:32)``; what is not known is left out."""
    parts = [] if snapshot.rate_per_hour is None else [_rate(snapshot.rate_per_hour)]
    if snapshot.eta is not None:
        left = (snapshot.eta - snapshot.now).total_seconds()
        parts.append(f"done in {duration(left)} ({clock_time(snapshot.eta, snapshot.now)})")
    return ", ".join(parts)


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


def _time_rows(snapshot: Snapshot) -> list[tuple[str, str | Text]]:
    """When it was run and for how long, and what that went into."""
    time = snapshot.time
    when = "" if time.began is None else time_span(time.began, time.ended)
    ran = f"{duration(time.running_seconds)} of running" if time.running_seconds and snapshot.live is None else ""
    return [
        ("when", ", ".join(filter(None, (when, ran)))),
        ("GPU hours" if snapshot.hours.gpu else "training", hours_text(snapshot)),
    ]


def _hours(value: float) -> str:
    """Hours with at most two decimals; less than a tenth with two digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 0.1 else f"{value:.2g}"


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


def warnings(found: Sequence[HealthWarning]) -> list[RenderableType]:
    """Each warning with its cure under it."""
    parts: list[RenderableType] = []
    for warning in found:
        parts.append(Facts([("warning", clean(warning.text))], label_width=LABELS, label_style="bold yellow"))
        parts += _cure(warning.cure, LABELS + 4)
    return parts


def _cure(text: str, indent: int) -> list[RenderableType]:
    """What helps, below what is wrong; a command stays on its line."""
    return [
        Command(line, indent) if line.startswith("outlast ") else Paragraph(Text(line), indent)
        for line in clean(text).splitlines()
    ]


def progress_block(
    snapshot: Snapshot, running: Sequence[RunningTrial], metric: str, *, most_running: int = 6
) -> list[RenderableType]:
    """The block under a live run: the bar, the counts, the best, the speed, the running trials, the worst warning."""
    rows: list[tuple[str, str | Text]] = [
        ("trials", counts_text(snapshot)),
        ("best", _best_text(snapshot)),
        ("rate", speed_text(snapshot)),
    ]
    if snapshot.state is not StudyState.RUNNING:
        rows.insert(0, ("state", _state_text(snapshot)))
    block: list[RenderableType] = [Text(), _Progress(snapshot), Facts(rows, label_width=LABELS)]
    if running and most_running > 0:
        block += running_lines(running, metric, limit=most_running)
    worst = [replace(warning, text=one_line(warning.text, 120)) for warning in snapshot.warnings[:1]]
    return block + warnings(worst)


def event_text(text: str) -> Text:
    """One line of a live run with the little colour that it needs."""
    line = Text(one_line(text))
    for word, style in (*STATE_STYLES.items(), ("(best)", "bold green")):
        line.highlight_words([f" {word} " if word != "(best)" else word], style=style)
    return line


class _Progress:
    """The bar with its figures, as wide as fits; without a target the number of finished trials alone."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        snapshot = self._snapshot
        if snapshot.share is None:
            yield Text(f"  {snapshot.finished} finished, no target")
            return
        tenths = int(1000 * snapshot.share + 1e-6)  # 100% is what is reached, not what is nearly
        percent = f"{tenths / 10:.1f}".removesuffix(".0")
        figures = f"  {snapshot.counted}/{snapshot.target}  {percent}%"
        width = max(8, min(48, options.max_width - 2 - len(figures)))
        yield Text.assemble("  ", bar(snapshot.share, width, unicode=is_unicode(console)), (figures, "bold"))


def _best_text(snapshot: Snapshot, *, both: bool = False) -> Text:
    if snapshot.best is None:
        return Text()
    values = values_text([name for name, _ in snapshot.metrics], snapshot.best.values, both=both)
    front = f", one of {len(snapshot.pareto)} on the Pareto front" if len(snapshot.pareto) > 1 else ""
    return Text.assemble((values, "bold green"), f" in trial {snapshot.best.trial}{front}")


def _state_text(snapshot: Snapshot) -> Text:
    text = Text(snapshot.state.value, style=STATE_STYLES[snapshot.state.value])
    if snapshot.live is not None and snapshot.state is StudyState.RUNNING:
        text.append(f", {duration(snapshot.time.running_seconds)} so far")
    if snapshot.reason:
        text.append(f": {one_line(snapshot.reason)}")
    return text


def _runner_text(snapshot: Snapshot) -> str:
    live = snapshot.live
    return f"pid {live.pid} on {one_line(live.host)}" if live is not None and live.pid else ""


def _problems(found: Sequence[HealthWarning]) -> list[RenderableType]:
    return [Text(), *warnings(found)] if found else []


def _rate(per_hour: float) -> str:
    """In the shortest unit in which there is at least one trial."""
    if per_hour >= 3600:
        return f"{figure(per_hour / 3600)} per second"
    return f"{figure(per_hour)} per hour" if per_hour < 60 else f"{figure(per_hour / 60)} per minute"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "no"
