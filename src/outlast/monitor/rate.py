"""How fast a study goes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from outlast.core.fold import Study
from outlast.core.lately import ended_since, latest
from outlast.core.moments import parse_time
from outlast.core.records import Trial
from outlast.core.states import UNFINISHED, TrialState
from outlast.core.sums import GAP_US, moment_of

_RECENT = 30  # trials; more where many slots finish together


def rate_per_hour(
    study: Study,
    count: Sequence[str],
    *,
    now: datetime,
    live: bool = False,
    slots: int = 1,
    trained: Mapping[int, float] | None = None,
) -> float | None:
    """Trials per hour that count towards the budget: of a study that is run now over the recent ones, of one at rest over
    all, so that what is said of it stays the same.

    The clock is the wall time in which at least one attempt was running: several slots are taken as they come, and a
    night in which the study stood still is left out, whether it was stopped in order or its machine died. The current
    run alone is measured as soon as enough trials of it have ended, so that a restart with other hardware shows. While
    a run goes on and nothing ends for longer than usual, the rate falls.

    Args:
        study: The folded ledger. Imported trials were not run here and are left out.
        count: The states that count, as in ``budget.count``.
        now: The current time, aware.
        live: Whether somebody runs the study now.
        slots: How many attempts run side by side.
        trained: Running trial → seconds that its attempt has trained by its own clock: while it was suspended it worked as
            little as a study that nobody ran.

    Returns:
        The rate, or ``None`` before the first trial has ended.
    """
    states = {TrialState(word) for word in count}
    ended = sum(len(numbers) for state, numbers in study.sums.by_end.items() if state in states)
    if not live:
        until = _last_end(study, states)
        return None if until is None else _per_hour(ended, busy_seconds(attempt_spans(study, None), until=until))
    window = max(_RECENT, 5 * slots)
    recent = latest(study, states, window + 1)
    finishes = sorted(moment for trial in recent if (moment := _end(trial)) is not None)
    if not finishes:
        return None
    since = finishes[0] if ended > window else None
    run = parse_time(study.last_run.at) if study.last_run is not None else None
    if run is not None and sum(moment > run for moment in finishes) >= max(5, 2 * slots):
        since = run if since is None else max(since, run)
    done = sum(since is None or moment > since for moment in finishes)
    if not done:  # all of them ended in the same millisecond
        return None
    worked = busy_seconds(attempt_spans(study, since), until=finishes[-1], open_until=finishes[-1])
    usual = worked / done * max(1, slots)
    spans = attempt_spans(study, since, trained or {})
    return _per_hour(done, max(worked, busy_seconds(spans, until=now, open_until=now) - usual))


def _per_hour(done: int, worked: float) -> float | None:
    return done / worked * 3600.0 if worked > 0 else None


def busy_seconds(
    spans: Sequence[tuple[datetime, datetime | None]], *, until: datetime, open_until: datetime | None = None
) -> float:
    """Wall time covered by the spans up to `until`, gaps of up to a minute included.

    Args:
        spans: Starts and ends; an end of ``None`` is an attempt that still runs.
        until: Nothing later counts.
        open_until: The end of attempts that still run; by default they add nothing.
    """
    total, reach = 0.0, None
    for start, end in sorted(spans, key=lambda span: span[0]):
        end = min(until, end or open_until or start)
        if end < start:
            continue
        if reach is None or (start - reach).total_seconds() > GAP_US / 1e6:
            total += (end - start).total_seconds()
            reach = end
        elif end > reach:
            total += (end - reach).total_seconds()
            reach = end
    return total


def attempt_spans(
    study: Study, since: datetime | None, trained: Mapping[int, float] | None = None
) -> list[tuple[datetime, datetime | None]]:
    """When attempts ran, cut at `since`. An attempt ends with its training, not when its outcome was taken in: that may
    have been the next morning. What runs has no end, or has `trained` so far. Without `since`, attempts up to a minute apart
    are one span: cut within that minute, what comes before the cut counts as work."""
    if since is None:
        spans: list[tuple[datetime, datetime | None]] = [
            (moment_of(begin), moment_of(end)) for begin, end in study.sums.stretches
        ]
    else:
        spans = []
        # The records' times have one format and compare like texts.
        for trial in ended_since(study, since.isoformat(timespec="milliseconds")):
            spans += _spans_of(trial, since)
    for trial in study.in_state(*UNFINISHED):
        if trial.source != "imported":
            spans += _spans_of(trial, since, (trained or {}).get(trial.number))
    return spans


def _spans_of(
    trial: Trial, since: datetime | None, so_far: float | None = None
) -> Iterator[tuple[datetime, datetime | None]]:
    """A trial's own, of which those are one that ended before. `so_far`: seconds that the open one has trained."""
    for attempt in trial.attempts:
        start, outcome = parse_time(attempt.opened_at), attempt.outcome
        if start is None or (since is None and outcome is not None):
            continue  # it is in a stretch
        seconds = so_far if outcome is None else outcome.seconds
        end = None if not seconds and outcome is None else start + timedelta(seconds=max(0.0, seconds or 0.0))
        if since is not None:
            if end is not None and end <= since:
                continue
            start = max(start, since)
        yield start, end


def _last_end(study: Study, states: Collection[TrialState]) -> datetime | None:
    """When the last training of a trial in any of these states ended."""
    last, by_end = None, study.sums.by_end
    for state in states:
        for number in reversed(by_end.get(state, ())):
            trial = study.trials[number]
            taken_in, end = parse_time(trial.finished_at), _end(trial)
            if last is not None and taken_in is not None and taken_in < last:
                break  # all others ended before it, too
            if end is not None and (last is None or end > last):
                last = end
    return last


def _end(trial: Trial) -> datetime | None:
    """When the trial's last training ended: by its own clock where known, else when the outcome was taken in."""
    last = trial.attempts[-1]
    opened = parse_time(last.opened_at)
    if opened is None or last.outcome is None or last.outcome.seconds <= 0:
        return parse_time(trial.finished_at)
    taken_in = parse_time(trial.finished_at)
    ended = opened + timedelta(seconds=last.outcome.seconds)
    return ended if taken_in is None else min(ended, taken_in)
