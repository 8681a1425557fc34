"""When a study will be done, from its fold. Pure. The method is in `outlast.monitor.forecast`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from outlast.core.fold import Study
from outlast.core.lately import latest
from outlast.core.moments import parse_time
from outlast.core.records import Trial
from outlast.core.states import FINISHED, TrialState
from outlast.monitor.forecast import Ended, Forecast, Running, forecast
from outlast.monitor.rate import busy_seconds

_SAMPLE = 300  # finished trials that are looked at


def time_left(
    study: Study,
    count: Sequence[str],
    left: int,
    *,
    now: datetime,
    slots: int = 1,
    steps: Mapping[int, int] | None = None,
    trained: Mapping[int, float] | None = None,
) -> Forecast | None:
    """How long a study that somebody runs will still take.

    Args:
        study: The folded ledger. Imported trials were not run here and are left out.
        count: The states that count, as in ``budget.count``.
        left: Trials that still have to count.
        now: The current time, aware.
        slots: How many attempts run side by side.
        steps: Running trial → the last step that it has reported, counted from 0.
        trained: Running trial → seconds that its attempt has trained by its own clock.

    Returns:
        The forecast; ``None`` where no trial has counted yet.
    """
    states = {TrialState(word) for word in count}
    recent = [trial for trial in latest(study, FINISHED, _SAMPLE + 1) if trial.finished_at]
    ended = [
        Ended(
            trial.seconds, trial.state in states, _steps(trial, trial.last_step()), _second(trial.attempts[0].opened_at),
            _second(trial.finished_at),
        )
        for trial in recent
    ]  # fmt: skip
    since = ended.pop(0).at if len(ended) > _SAMPLE else -math.inf
    running = [
        Running(_so_far(trial, now, trained or {}), _steps(trial, (steps or {}).get(trial.number)))
        for trial in study.in_state(TrialState.RUNNING)
    ]
    return forecast(ended, running, left=left, slots=slots, gap=_gap(study, recent, now, slots), since=since)


def _second(at: str | None) -> float:
    moment = parse_time(at)
    return 0.0 if moment is None else moment.timestamp()


def _steps(trial: Trial, last: int | None) -> int | None:
    """How many it has reported; of a trial of several parts, each of which counts its own, that says nothing."""
    return None if last is None or any(outcome.part is not None for outcome in trial.ended) else last + 1


def _so_far(trial: Trial, now: datetime, trained: Mapping[int, float]) -> float:
    attempt = trial.open_attempt
    opened = parse_time(attempt.opened_at) if attempt is not None else None
    seconds = trained.get(trial.number)
    if seconds is None:
        seconds = 0.0 if opened is None else (now - opened).total_seconds()
    return trial.seconds + max(0.0, seconds)


def _gap(study: Study, recent: Sequence[Trial], now: datetime, slots: int) -> float:
    """Seconds for which a slot stands empty between two trials of the current run: sampling, starting, waiting for a card."""
    run = study.last_run.at if study.last_run is not None else ""
    ended = [
        (opened, opened + timedelta(seconds=attempt.outcome.seconds))
        for trial in recent[-max(30, 5 * slots) :]
        for attempt in trial.attempts
        if attempt.outcome is not None
        and attempt.opened_at >= run
        and (opened := parse_time(attempt.opened_at)) is not None
    ]
    if len(ended) < max(5, 2 * slots):
        return 0.0
    ends = sorted(end for _, end in ended)
    since, until = ends[slots - 1], ends[-1]
    counted = len(ended) - slots
    going = [
        (opened, until)
        for trial in study.in_state(TrialState.RUNNING)
        if trial.open_attempt is not None and (opened := parse_time(trial.open_attempt.opened_at)) is not None
    ]
    spans = [(max(since, begin), min(until, end)) for begin, end in (*ended, *going) if end > since and begin < until]
    taken = sum((end - begin).total_seconds() for begin, end in spans)
    wall = busy_seconds(spans, until=until)
    return max(0.0, (slots * wall - taken) / counted) if counted > 0 else 0.0
