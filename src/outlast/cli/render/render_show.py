"""What ``outlast show`` prints: the table of trials, one trial, the best, the failures. Values in, renderables out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from outlast.cli.render.phrases import STATE_STYLES
from outlast.cli.render.styled import Group, Text
from outlast.cli.render.text import (
    LABELS,
    Command,
    Facts,
    Paragraph,
    Rows,
    clean,
    is_unicode,
    next_line,
    one_line,
    param,
    params_text,
    sparkline,
)
from outlast.config.settings import MetricSettings, Settings
from outlast.core.best import best_trials, ranked, table_value
from outlast.core.fold import Study
from outlast.core.lately import when_it_ran
from outlast.core.moments import parse_time
from outlast.core.records import Attempt, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.by_hand import CONFIG_FILE
from outlast.monitor.times import duration, figure, local_time, metric_value, time_span
from outlast.results.failures import FailureGroup

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

_MOST_NOTED = 300  # characters of an attribute; the record has all of it


def show_trials(
    study: Study,
    settings: Settings,
    *,
    folder: str,
    limit: int | None = 30,
    findings: Sequence[tuple[str, str]] = (),
) -> RenderableType:
    """The table of trials, best first (`limit` of them, or all), and what they say in a few (label, sentence) lines."""
    metrics = settings.metrics
    shown = ranked(study, metrics, limit)
    if not shown:
        return Group(Text("  no trials yet"), next_line(f"outlast run {folder}"))
    best = {trial.number for trial in best_trials(study, metrics)}
    names = [parameter.name for parameter in settings.parameters if parameter.latent is not None]
    names += sorted({name for trial in shown for name in trial.params} - set(names))
    header = ["trial", "state", *(one_line(metric.name) for metric in metrics), "time", *map(one_line, names)]
    rows = [_table_row(trial, metrics, names) for trial in shown]
    right = frozenset({0, *range(2, 3 + len(metrics))})
    styles = {at: "bold" for at, trial in enumerate(shown) if trial.number in best}
    parts: list[RenderableType] = [Rows(header, rows, right=right, keep=3 + len(metrics), styles=styles)]
    if len(shown) < len(study.trials):
        parts.append(Text(f"  and {len(study.trials) - len(shown)} more: {folder}/trials.csv", style="dim"))
    began, ended = when_it_ran(study, live=study.ended is None)
    ran = "" if began is None else time_span(began, ended)
    said = [
        (label if at == 0 or findings[at - 1][0] != label else "", text) for at, (label, text) in enumerate(findings)
    ]
    parts += [Text(), Facts([("when", ran), *((label, one_line(text)) for label, text in said)], label_width=LABELS)]
    if findings:
        parts.append(Command(f"outlast show {folder} analysis", label="all of it"))
    return Group(*parts, Command(f"outlast show {folder} {shown[0].number}", label="next"))


def show_analysis(sections: Sequence[tuple[str, Sequence[str]]]) -> RenderableType:
    """What the trials say: (heading, sentences)."""
    parts: list[RenderableType] = []
    for heading, sentences in sections:
        parts += [Text(), Text(heading, style="bold")] if parts else [Text(heading, style="bold")]
        parts += [Paragraph(Text(one_line(text)), indent=4, head=Text("  - ")) for text in sentences]
    return Group(*parts)


def show_trial(
    trial: Trial,
    settings: Settings,
    *,
    configuration: Mapping[str, Any],
    paths: Sequence[tuple[str, str]] = (),
    tail: Sequence[str] = (),
    command: str = "",
    running: Sequence[Mapping[int, float]] = (),
) -> RenderableType:
    """Everything about one trial.

    `configuration` is the whole one, constants included; `paths` are (label, path) of its log, checkpoints and so on; `tail` is
    the end of its output, where that helps; `command` runs it by hand; `running` is, per objective, what an attempt that runs has
    reported so far.
    """
    state = Text(trial.state.value, style=STATE_STYLES[trial.state.value])
    cause = (
        f" ({trial.cause.value})" if trial.cause is not None and trial.cause.value != _OBVIOUS.get(trial.state) else ""
    )
    rows: list[tuple[str, str | Text]] = [
        ("state", Text.assemble(state, cause)),
        ("reason", clean(trial.reason)),
        *_value_rows(trial, settings.metrics),
        ("time", f"{duration(trial.seconds)} of training" if trial.ended else ""),
        ("started", _moment(trial.started_at)),
        ("finished", _moment(trial.finished_at)),
        ("seed", str(trial.seed)),
        ("repeats", "" if trial.of is None else f"trial {trial.of} of the search"),
        ("source", "" if trial.source == "sampler" else one_line(trial.source)),
        ("revision", "" if trial.revision == 1 else str(trial.revision)),
        ("code", trial.code),
    ]
    column = max(LABELS, *(len(one_line(metric.name)) for metric in settings.metrics))
    parts: list[RenderableType] = [Text(f"trial {trial.number}", style="bold cyan"), Facts(rows, label_width=column)]
    for at in range(len(settings.metrics)):
        if curve := {**trial.curve(at), **(running[at] if at < len(running) else {})}:
            unit = "parts" if any(outcome.part is not None for outcome in trial.ended) else "steps"
            parts.append(_Curve("curve" if at == 0 else f"curve {at + 1}", curve, column, unit))
    parts += _section(
        "parameters", [(one_line(name), param(value, exact=True)) for name, value in configuration.items()]
    )
    for title, attrs in (("user attributes", trial.user_attrs), ("system attributes", trial.optuna_attrs)):
        noted = [(one_line(name), one_line(json.dumps(value), _MOST_NOTED)) for name, value in attrs.items()]
        parts += _section(title, noted)
    objectives = {metric.name for metric in settings.metrics}
    others = [(one_line(k), figure(v)) for k, v in sorted(trial.metrics.items()) if k not in objectives]
    parts += _section("other metrics", others)
    parts += _section("attempts", [(str(attempt.number), _attempt_text(attempt)) for attempt in trial.attempts])
    if tail:
        parts += [Text(), Text("last lines of output", style="dim"), *_log(tail)]
    parts += _section("files", list(paths))
    if command:
        note = f"{CONFIG_FILE}: the `config` in the trial's record" if CONFIG_FILE in command else ""
        parts += [Text(), Text("by hand", style="dim"), Command(command), *([Text(f"  {note}")] if note else [])]
    return Group(*parts)


def _moment(at: str | None) -> str:
    moment = parse_time(at)
    return "" if moment is None else local_time(moment)


def show_best(
    trials: Sequence[RenderableType],
    *,
    folder: str,
    files: Sequence[tuple[str, str]] = (),
    confirmed: Mapping[str, Any] | None = None,
) -> RenderableType:
    """The best trial, or the Pareto front, each with all that `show_trial` says of it."""
    if not trials:
        return Group(Text("  no trial has completed", style="yellow"), next_line(f"outlast show {folder}"))
    parts = [part for trial in trials for part in (trial, Text())]
    results = _section("the study's best files", list(files))[1:]
    parts += [*results, *_confirmed(confirmed, folder), next_line(f"outlast show {folder}")]
    return Group(*parts)


def _confirmed(said: Mapping[str, Any] | None, folder: str) -> list[RenderableType]:
    """What fresh seeds say of the best, which may be another trial than the one with the best score."""
    best = None if said is None else said.get("best")
    if said is None or not best:
        return []
    name, n = said["metric"]["name"], best["n"]
    mean, *ends = (metric_value(name, float(best[key])) for key in ("mean", "low", "high") if best[key] is not None)
    interval = f" (95%: {' to '.join(ends)})" if n > 1 else ""
    taken = f"trial {best['trial']}: mean {one_line(name)} {mean}{interval} over {n} fresh seed{'' if n == 1 else 's'}"
    rows = [("taken" if said["final"] else "so far", taken), ("because", best["reason"]), ("verdict", said["verdict"])]
    if len(said.get("newer", ())) == 1:  # a Pareto front is repeated in part
        rows.append(
            ("but", f"trial {said['newer'][0]} was found since and is no part of that: outlast confirm {folder}")
        )
    return _section("confirmed" if said["final"] else "being confirmed", rows)


def show_failures(
    groups: Sequence[FailureGroup], *, folder: str, tails: Mapping[int, Sequence[str]] | None = None
) -> RenderableType:
    """Failures grouped by signature: how many, the first one, why, its last lines, what they have in common.

    Groups come largest first; `tails` are the last lines of output, by trial.
    """
    if not groups:
        return Text("  no trial has failed", style="green")
    parts: list[RenderableType] = []
    for group in groups:
        number = len(group.trials)
        listed = ", ".join(map(str, group.trials[:12])) + (f" and {number - 12} more" if number > 12 else "")
        rows: list[tuple[str, str | Text]] = [
            ("trials", listed if number > 1 else ""),
            ("all with", ", ".join(filter(None, (params_text(dict(group.shared)), _ranges_text(group))))),
            ("signature", one_line(group.signature, 60)),
        ]
        title = f"{number} {'trial' if number == 1 else 'trials'}  {group.cause.value}"
        parts.append(Paragraph(Text.assemble((title, "bold red"), f"  first in trial {group.first}")))
        parts.append(Facts([("", Text(clean(group.reason), style="bold"))], indent=0, label_width=0))
        parts.append(Facts(rows, label_width=LABELS))
        parts += _log((tails or {}).get(group.first, ()))
        parts.append(Text())
    first = groups[0]
    parts.append(Command(f"outlast show {folder} {first.first}", label="details"))
    if first.cause is not Cause.SPACE_CHANGED:  # those come back by themselves, with a study file that holds them
        parts.append(Command(f"outlast retry {folder} --cause {first.cause.value}", label="once mended"))
    return Group(*parts)


def _ranges_text(group: FailureGroup) -> str:
    """``lr > 0.5``."""
    return ", ".join(f"{one_line(name)} {sign} {param(bound)}" for name, sign, bound in group.ranges)


_OBVIOUS = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "pruned"}


class _Curve:
    """A trial's reports as one line."""

    def __init__(self, label: str, curve: Mapping[int, float], column: int, unit: str) -> None:
        self._label, self._curve, self._column, self._unit = label, curve, column, unit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Any:
        steps = sorted(self._curve)
        values = [self._curve[step] for step in steps]
        line = sparkline(values, max(8, min(48, options.max_width - self._column - 4)), unicode=is_unicode(console))
        finite = [value for value in values if math.isfinite(value)]
        span = f"{figure(min(finite))} to {figure(max(finite))}" if finite else "no finite value"
        yield Facts([(self._label, Text(line, style="cyan"))], label_width=self._column)
        yield Facts([("", f"{self._unit} {steps[0]} to {steps[-1]}, {span}")], label_width=self._column)


def _value_rows(trial: Trial, metrics: Sequence[MetricSettings]) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = []
    for at, metric in enumerate(metrics):
        value = table_value(trial, metrics, at)
        if value is not None and trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            rows.append((one_line(metric.name), Text(metric_value(metric.name, value, both=True), style="bold")))
    return rows


def _attempt_text(attempt: Attempt) -> Text:
    resumed = ", resumed" if attempt.resumed else ""
    outcome = attempt.outcome
    job = f"job {attempt.job}" if attempt.job else ""
    if outcome is None:
        return Text(f"running since {attempt.opened_at}{resumed}{', ' * bool(job)}{job}")
    how = (
        f"exit code {outcome.exit_code}" if outcome.exit_code else f"signal {outcome.signal}" if outcome.signal else ""
    )
    step = f"step {outcome.last_step}" if outcome.last_step is not None else ""
    facts = ", ".join(filter(None, (duration(outcome.seconds), step, how, job, one_line(outcome.host))))
    if outcome.cause is Cause.PART:  # it ended well, and is no interruption
        return Text.assemble((one_line(outcome.reason), STATE_STYLES["complete"]), (f"  {facts}{resumed}", "dim"))
    reason = f": {one_line(outcome.reason)}" if outcome.reason else ""
    state = (outcome.state.value, STATE_STYLES[outcome.state.value])
    cause = "" if _OBVIOUS.get(outcome.state) == outcome.cause.value else f" ({outcome.cause.value})"
    return Text.assemble(state, f"{cause}{reason}", (f"  {facts}{resumed}", "dim"))


def _table_row(trial: Trial, metrics: Sequence[MetricSettings], names: Sequence[str]) -> list[str | Text]:
    state = Text(trial.state.value, style=STATE_STYLES[trial.state.value])
    if trial.state is TrialState.FAILED and trial.cause is not None:
        state.append(f" ({trial.cause.value})", style="dim")
    values = [(metric.name, table_value(trial, metrics, at)) for at, metric in enumerate(metrics)]
    return [
        str(trial.number),
        state,
        *("" if value is None else metric_value(name, value) for name, value in values),
        duration(trial.seconds) if trial.ended else "",
        *(param(trial.params[name]) if name in trial.params else "" for name in names),
    ]


def _log(lines: Sequence[str]) -> list[RenderableType]:
    """As it was printed: a traceback is read, and searched for, line by line."""
    return [Text(f"    {line}", no_wrap=True, overflow="ignore") for line in clean("\n".join(lines)).splitlines()]


def _section(title: str, rows: Sequence[tuple[str, str | Text]]) -> list[RenderableType]:
    return [Text(), Text(title, style="dim"), Facts(rows, label_width=LABELS - 2)] if rows else []
