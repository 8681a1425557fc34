"""A session that ends at a known time: when that is, and whether an attempt that begins now comes to anything before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState

_SAMPLE = 50  # finished trials that are looked at
_UNKNOWN_STEPS = 10  # parts of a trial after which it has saved something, where it reports no steps
_MARGIN, _SHARE = 60.0, 0.05  # seconds for the last records and files, but at most this share of the session


def moment_of(clock: str, now: datetime) -> datetime:
    """The moment that a clock time means: of a time of day the next one, on the clock that it names or that of `now`.

    Args:
        clock: ``15:00``, ``2026-11-30 15:00``, with ``Z`` or ``+01:00`` behind it if it means another clock.
        now: With its zone, or without one: the time of day here, whose zone's rules hold on every day.

    Raises:
        ValueError: It is no time.
    """
    text = clock.replace("Z", "+00:00")
    if text[4:5] == "-":
        return _placed(datetime.fromisoformat(text), now)
    hour, _, rest = text.partition(":")
    at = datetime.fromisoformat(f"2000-01-01 {int(hour):02d}:{rest}").timetz()
    today = (now if at.tzinfo is None else now.astimezone(at.tzinfo)).date()
    found = _placed(datetime.combine(today, at), now)
    return found if found > _placed(now, now) else _placed(datetime.combine(today + timedelta(days=1), at), now)


def _placed(at: datetime, now: datetime) -> datetime:
    if at.tzinfo is not None:
        return at
    return at.astimezone() if now.tzinfo is None else at.replace(tzinfo=now.tzinfo)


def lead_seconds(session: float, grace: float, home: float = 0.0) -> float:
    """Seconds before the deadline at which running trials are asked to save a checkpoint and leave.

    Args:
        session: Seconds from the run's begin to the deadline.
        grace: Of a trial.
        home: That what is new has lately taken to be brought home.
    """
    return grace + min(_MARGIN, _SHARE * max(0.0, session)) + 2.0 * home


def comes_to_something(study: Study, left: float) -> bool:
    """Whether an attempt that begins now ends, or saves a checkpoint to go on from, within so many seconds.

    What trials of this study took so far is what one takes. A study that knows nothing yet begins.
    """
    ended = [trial for trial in study.in_state(TrialState.COMPLETE, TrialState.PRUNED) if trial.source != "imported"]
    recent = [trial for trial in ended if trial.attempts][-_SAMPLE:]
    complete = [trial for trial in recent if trial.state is TrialState.COMPLETE] or recent
    if not complete:
        return True
    whole = _middle([trial.seconds for trial in complete])
    if whole <= left:
        return True
    if not any(attempt.outcome is not None and attempt.outcome.saved for trial in recent for attempt in trial.attempts):
        return False
    return left >= 2.0 * whole / _middle([_steps(trial) for trial in complete])


def _middle(figures: Sequence[float]) -> float:
    return sorted(figures)[len(figures) // 2]


def _steps(trial: Trial) -> int:
    last = trial.last_step()
    return _UNKNOWN_STEPS if last is None or last < 1 else last + 1
