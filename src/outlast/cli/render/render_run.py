"""What a person sees when a run starts, goes on, ends or fails. Values in, renderables out: ``console.print`` them.

Nothing is decided here: `outlast.monitor` and `outlast.results` say what is so, this says it on a terminal. At 2 a.m.
the order is: how far, what is best, how fast, what is wrong, what to type next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from outlast.cli.render.phrases import (
    STATE_STYLES,
    best_text,
    counts_text,
    hours_text,
    running_lines,
    state_text,
    supervisor_text,
    tally_text,
    total_text,
)
from outlast.cli.render.styled import Group, Text
from outlast.cli.render.text import (
    LABELS,
    Command,
    Facts,
    Paragraph,
    bar,
    clean,
    is_unicode,
    next_line,
    one_line,
    param,
    params_text,
    percent,
)
from outlast.config.settings import MetricSettings, Settings
from outlast.core.best import is_best, table_value
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import BY_HAND, TrialState
from outlast.errors import OutlastError
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview
from outlast.monitor.queue import queue_in_words
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.speed_words import ahead_text, deadline_text, rate_text, speed_text
from outlast.monitor.times import duration, metric_value, time_span

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

_RESUMED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.INTERRUPTED)


def start_banner(
    snapshot: Snapshot,
    settings: Settings,
    *,
    index: str,
    slots: int,
    sampler: str | None = None,
    notes: Sequence[tuple[str, str]] = (),
    kept: bool = True,
    new: bool = False,
) -> RenderableType:
    """What a run says first; "resuming" where the study was there and holds trials already.

    Args:
        index: The index's path or address, passwords left out.
        slots: Attempts side by side.
        sampler: What ``auto`` turned out to be; the settings' word by default.
        notes: Further (label, text) lines: which checkpoints will be deleted, what a lost session would lose.
        kept: Whether anything of the study is left when the command ends.
        new: Whether it has just been begun; trials that wait in it then are the first ones, taken from elsewhere.
    """
    resuming = not new and sum(snapshot.counts.values()) > 0
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
        ("pruner", settings.pruner.name),
        ("deadline", deadline_text(snapshot)),
        *((label, one_line(text)) for label, text in notes),
    ]
    if resuming:
        rows += [("so far", counts_text(snapshot, always=_RESUMED)), ("best", best_text(snapshot, both=True))]
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
        configuration: The best trial's whole configuration; empty while there is none.
        files: (label, path) of the result files that are there.
        story: Of a halted study, the failure that halted it; it stands in for the warnings.
        kept: Whether anything of the study is left for a next command to look at.
    """
    rows: list[tuple[str, str | Text]] = [
        ("state", state_text(snapshot)),
        ("trials", tally_text(snapshot)),
        *_time_rows(snapshot),
        ("rate", rate_text(snapshot)),
        ("best", best_text(snapshot) or Text("no trial has completed", style="yellow")),
    ]
    inner = [(f"  {one_line(name)}", param(value, exact=True)) for name, value in configuration.items()]
    column = max(LABELS, *(len(label) for label, _ in (*inner, *files, ("", ""))))
    parts: list[RenderableType] = [
        Text(),
        Paragraph(Text.assemble(("Study statistics", "bold"), "  ", (one_line(snapshot.study), "bold cyan"))),
        Facts([*rows, *inner, *files], label_width=column),
    ]
    if not kept:
        return Group(*parts, *problems(snapshot.warnings), *([] if story is None else [Text(), story]))
    if story is None:
        then = [Command(snapshot.then, label="then")] if snapshot.then else []
        return Group(*parts, *problems(snapshot.warnings), next_line(snapshot.next_command), *then)
    command, what = snapshot.once_mended
    return Group(*parts, Text(), story, next_line(command), Facts([("", what)], label_width=LABELS))


def status(snapshot: Snapshot) -> RenderableType:
    """The text of ``outlast status``."""
    parts: list[RenderableType] = [
        Paragraph(Text.assemble((one_line(snapshot.study), "bold cyan"), "  ", state_text(snapshot))),
        Facts(
            [
                ("run by", _runner_text(snapshot)),
                ("best", best_text(snapshot)),
                ("", "" if snapshot.best is None else params_text(snapshot.best.params)),
                ("trials", counts_text(snapshot)),
                ("queue", queue_in_words(snapshot.jobs, snapshot.silence)),
                ("rate", speed_text(snapshot)),
                ("deadline", deadline_text(snapshot)),
                *_time_rows(snapshot),
                ("ahead", ahead_text(snapshot)),
            ],
            label_width=LABELS,
        ),
    ]
    parts.insert(1, Progress(snapshot))
    if snapshot.running and snapshot.live is not None:
        parts += [Text(), *running_lines(snapshot.running, snapshot.metrics[0][0])]
    return Group(*parts, *problems(snapshot.warnings), next_line(snapshot.next_command))


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
    of = "" if trial.of is None else f" (trial {trial.of}, seed {trial.seed})"
    words = [f"trial {trial.number}{of} {trial.state.value}{' by hand' if trial.reason == BY_HAND else ''}"]
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
    best = trial.of is None and is_best(
        study, trial, settings.metrics
    )  # one repetition of several is no better than another
    line = trial_line(trial, settings.metrics, best=best)
    return f"{line}  {params_text(trial.params)}" if params and trial.params else line


def _time_rows(snapshot: Snapshot) -> list[tuple[str, str | Text]]:
    """When it was run and for how long, and what that went into."""
    time = snapshot.time
    when = "" if time.began is None else time_span(time.began, time.ended)
    ran = f"{duration(time.running_seconds)} of running" if time.running_seconds and snapshot.live is None else ""
    return [
        ("when", ", ".join(filter(None, (when, ran)))),
        ("GPU hours" if snapshot.hours.gpu else "training", hours_text(snapshot)),
    ]


def warnings(found: Sequence[HealthWarning]) -> list[RenderableType]:
    """Each warning with its cure under it."""
    parts: list[RenderableType] = []
    for warning in found:
        label, style = ("warning", "bold yellow") if warning.is_trouble else ("note", "bold")
        parts.append(Facts([(label, clean(warning.text))], label_width=LABELS, label_style=style))
        parts += _cure(warning.cure, LABELS + 4)
    return parts


def _cure(text: str, indent: int) -> list[RenderableType]:
    """What helps, below what is wrong; a command stays on its line."""
    return [
        Command(line, indent) if line.startswith("outlast ") else Paragraph(Text(line), indent)
        for line in clean(text).splitlines()
    ]


def event_text(text: str) -> Text:
    """One line of a live run with the little colour that it needs."""
    line = Text(one_line(text))
    for word, style in (*STATE_STYLES.items(), ("(best)", "bold green")):
        line.highlight_words([f" {word} " if word != "(best)" else word], style=style)
    return line


class Progress:
    """The bar with its figures, as wide as fits; without a target the number of finished trials alone."""

    def __init__(self, of: Snapshot | Overview) -> None:
        self._of = of

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        snapshot = self._of
        if isinstance(snapshot, Overview) and snapshot.without:
            yield Text(f"  {total_text(snapshot)}", "bold")
            return
        if snapshot.share is None:
            yield Text(f"  {snapshot.finished} finished, no target")
            return
        figures = f"  {snapshot.counted}/{snapshot.target}  {percent(snapshot.share).removesuffix('.0')}%"
        width = max(8, min(48, options.max_width - 2 - len(figures)))
        yield Text.assemble("  ", bar(snapshot.share, width, unicode=is_unicode(console)), (figures, "bold"))


def _runner_text(snapshot: Snapshot) -> str:
    live, by = snapshot.live, supervisor_text(snapshot)
    runner = f"pid {live.pid} on {one_line(live.host)}" if live is not None and live.pid else ""
    return "; ".join(filter(None, (runner, f"looked after by {by}" if by else "")))


def problems(found: Sequence[HealthWarning]) -> list[RenderableType]:
    """The warnings, set off by a blank line; nothing where there are none."""
    return [Text(), *warnings(found)] if found else []


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "no"
