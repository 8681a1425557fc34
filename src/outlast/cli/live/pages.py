"""The pages behind the page of all: a study's trials, one trial, the end of its log, and what the keys do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from outlast._system.capped_log import log_end
from outlast.cli.live.choice import Choice
from outlast.cli.live.columns import Column, lines_of
from outlast.cli.live.lines import Window, cut
from outlast.cli.render.phrases import STATE_STYLES
from outlast.cli.render.render_show import show_trial
from outlast.cli.render.styled import Text
from outlast.cli.render.text import clean, one_line, params_text
from outlast.config.settings import Settings
from outlast.core.best import table_value
from outlast.core.file_names import TrialPaths
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.engine.attempts.objectives import objectives_of
from outlast.engine.record.recorded import study_paths
from outlast.monitor.overview import Sight
from outlast.monitor.times import duration, metric_value
from outlast.runner.capture.curve import LiveReports
from outlast.study.printed import printed_end

if TYPE_CHECKING:
    from rich.console import RenderableType

_LOG_BYTES = 1 << 16  # of a log are shown, from its end
_TAIL = 12  # lines of it on a trial's page

HELP = """\
↑ ↓  j k     move; PgUp PgDn, Home End, g G: further
⏎  →         open: a study's trials; a trial, its curve, the end of its log
Esc  ←       back to the page before
l            follow the log of the chosen trial
s            stop the chosen trial; asks first, and y stops it: it saves a
             checkpoint if it can, and counts as pruned
Ctrl-L       draw everything anew
q            leave; nothing is stopped by that
Ctrl-C       where you only watch: leave. In the terminal of `outlast run`:
             once, checkpoint and stop; twice, now"""


def trials_of(sight: Sight | None) -> list[int]:
    """A study's trials as its page lists them: what runs, then what ended last, then the others."""
    if sight is None or sight.study is None:
        return []

    def key(trial: Trial) -> tuple[bool, bool, str, int]:
        return trial.state is TrialState.RUNNING, bool(trial.finished_at), trial.finished_at or "", trial.number

    return [trial.number for trial in sorted(sight.study.trials.values(), key=key, reverse=True)]


def trials_page(sight: Sight, choice: Choice, window: Window) -> list[Text]:
    """A study's trials, a line each."""
    numbers = trials_of(sight)
    if sight.study is None or sight.settings is None or not numbers:
        return [Text(one_line(sight.name), "bold cyan"), Text(f"  {one_line(sight.error) or 'no trial has begun yet'}")]
    at = numbers.index(choice.trial) if choice.trial in numbers else 0
    room = max(1, window.height - 1)
    first = max(0, min(at - room // 2, len(numbers) - room))
    cells = [_trial_cells(sight.study.trials[number], sight.settings) for number in numbers[first : first + room]]
    columns = [Column(right=True), Column(), Column(right=True), Column(right=True), Column(fills=True)]
    which = (
        f"trials {first + 1} to {first + len(cells)} of {len(numbers)}" if len(cells) < len(numbers) else "all trials"
    )
    title = Text.assemble((one_line(sight.name), "bold cyan"), f"  {which}, the latest first")
    return cut([title, *lines_of(cells, columns, window.width, marked=at - first, strong=True, most=room)], window)


def _trial_cells(trial: Trial, settings: Settings) -> list[Text]:
    value = table_value(trial, settings.metrics)
    shown = "" if value is None or not math.isfinite(value) else metric_value(settings.metrics[0].name, value)
    state = Text(trial.state.value, STATE_STYLES[trial.state.value])
    if trial.state is TrialState.FAILED and trial.cause is not None:
        state.append(f" ({trial.cause.value})", "dim")
    seconds = duration(trial.seconds) if trial.ended else ""
    return [Text(str(trial.number)), state, Text(shown), Text(seconds, "dim"), Text(params_text(trial.params), "dim")]


def trial_page(sight: Sight, number: int | None) -> RenderableType:
    """All about a trial, the end of its log included."""
    trial = sight.study.trials.get(number) if sight.study is not None and number is not None else None
    if trial is None or sight.settings is None or sight.study is None:
        return Text(f"there is no trial {number}")
    tail = log_lines(sight, number)[-_TAIL:]
    running = _running_curves(trial, sight)
    return show_trial(trial, sight.settings, configuration=trial.params, tail=tail, running=running)


def _running_curves(trial: Trial, sight: Sight) -> list[dict[int, float]]:
    """What a trial's running attempt has reported so far, per objective: on record is only what has ended."""
    attempt = trial.open_attempt
    if attempt is None or sight.settings is None:
        return []
    files = study_paths(sight.folder, sight.settings).attempt(trial.number, attempt.number)
    reports = LiveReports(files.reports, objectives_of(sight.settings)).poll()
    return [
        {report.step: float(report.metrics[metric.name]) for report in reports if metric.name in report.metrics}
        for metric in sight.settings.metrics
    ]


def log_lines(sight: Sight, number: int | None) -> list[str]:
    """The end of what a trial printed, in its latest attempt."""
    if sight.settings is None or number is None:
        return []
    paths = study_paths(sight.folder, sight.settings)
    log = _newest_log(paths.trial(number), sight.study, number)
    if log is None and sight.study is not None and number in sight.study.trials:
        said = printed_end(paths, sight.study, sight.study.trials[number], _LOG_BYTES)
        return clean(said.decode(errors="replace")).splitlines()
    return clean(log_end(log, _LOG_BYTES).decode(errors="replace")).splitlines() if log is not None else []


def _newest_log(files: TrialPaths, study: Study | None, number: int) -> Path | None:
    if files.log.exists():
        return files.log
    attempts = study.trials[number].attempts if study is not None and number in study.trials else ()
    logs = (files.attempt(attempt.number).log for attempt in reversed(attempts))
    return next((log for log in logs if log.exists()), None)


def log_page(sight: Sight, choice: Choice, window: Window) -> list[Text]:
    """The end of a trial's log; scrolled up by `choice.top` lines."""
    lines = log_lines(sight, choice.trial)
    choice.top = max(0, min(choice.top, len(lines) - (window.height - 1)))
    last = len(lines) - choice.top
    above = f", {choice.top} lines below" if choice.top else ", as it comes"
    title = Text.assemble((f"log of trial {choice.trial}", "bold cyan"), f"  {one_line(sight.name)}{above}")
    shown = lines[max(0, last - window.height + 1) : last]
    return cut([title, *(Text(line) for line in shown or ["  it has printed nothing yet"])], window)


def help_page(window: Window) -> list[Text]:
    """What the keys do."""
    said = HELP
    for sign, word in () if window.unicode else (("↑ ↓  j k", "j k     "), ("⏎  → ", "Enter"), ("Esc  ←", "Esc   ")):
        said = said.replace(sign, word)
    return cut([Text("keys", "bold cyan"), *(Text(f"  {line}") for line in said.splitlines())], window)
