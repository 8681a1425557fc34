"""How fast a study goes. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.monitor.times import parse_time

_RECENT = 30  # trials; more where many slots finish together
_GAP = 60.0  # seconds between attempts that still count as work: sampling, starting, a short restart


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
    ended = [
        trial
        for trial in study.trials.values()
        if trial.finished_at and trial.state in states and trial.source != "imported" and trial.attempts
    ]
    if not ended:
        return None
    window = max(_RECENT, 5 * slots) if live else len(ended)
    recent = heapq.nlargest(window + 1, ended, key=attrgetter("finished_at"))
    finishes = sorted(moment for trial in recent if (moment := _end(trial)) is not None)
    if not finishes:
        return None
    since = finishes[0] if len(ended) > window else None
    run = parse_time(study.last_run.at) if live and study.last_run is not None else None
    if run is not None and sum(moment > run for moment in finishes) >= max(5, 2 * slots):
        since = run if since is None else max(since, run)
    done = sum(since is None or moment > since for moment in finishes)
    if not done:  # all of them ended in the same millisecond
        return None
    spans = attempt_spans(study, since)
    worked = busy_seconds(spans, until=finishes[-1], open_until=finishes[-1] if live else None)
    if live:
        usual = worked / done * max(1, slots)
        spans = attempt_spans(study, since, trained or {})
        worked = max(worked, busy_seconds(spans, until=now, open_until=now) - usual)
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
        if reach is None or (start - reach).total_seconds() > _GAP:
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
    have been the next morning. What runs has no end, or has `trained` so far."""
    floor = "" if since is None else since.isoformat(timespec="milliseconds")
    spans: list[tuple[datetime, datetime | None]] = []
    for trial in study.trials.values():
        # The records' times have one format and compare like texts; most of a long study is skipped unparsed.
        if trial.source == "imported" or (trial.finished_at is not None and trial.finished_at < floor):
            continue
        for attempt in trial.attempts:
            start = parse_time(attempt.opened_at)
            if start is None:
                continue
            so_far = (trained or {}).get(trial.number) if attempt.outcome is None else attempt.outcome.seconds
            end = None if not so_far and attempt.outcome is None else start + timedelta(seconds=max(0.0, so_far or 0.0))
            if since is not None:
                if end is not None and end <= since:
                    continue
                start = max(start, since)
            spans.append((start, end))
    return spans


def _end(trial: Trial) -> datetime | None:
    """When the trial's last training ended: by its own clock where known, else when the outcome was taken in."""
    last = trial.attempts[-1]
    opened = parse_time(last.opened_at)
    if opened is None or last.outcome is None or last.outcome.seconds <= 0:
        return parse_time(trial.finished_at)
    taken_in = parse_time(trial.finished_at)
    ended = opened + timedelta(seconds=last.outcome.seconds)
    return ended if taken_in is None else min(ended, taken_in)
