"""What all trials of a study add up to, kept up to date as they change: nobody looks at a hundred thousand for one line.

Spans of time are whole nanoseconds, so that sums are exact: whatever was added may be taken away again, in any order. Moments, in
`stretches`, are whole microseconds, as clocks tell them.

How much of an attempt stands is read from its reports: an attempt that reported steps 0 to 9 and whose successor's first report
was step 8 keeps 8 of 10 steps, and that share of its seconds (start-up, and what came after the last report, are spread evenly
over its steps). An attempt that reported nothing, before one that did, is waste. Where none of a trial's attempts reports
steps, nobody knows what a resume saved: the time goes where the trial goes, and nothing counts as saved.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

from msgspec import Struct

from outlast.core.moments import parse_time
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState

#: Microseconds between two attempts that still count as work: sampling, starting, a short restart.
GAP_US = 60_000_000
#: Of each attempt what `Sums` remembers and cannot forget: when it began, its code, and when it ended after how long, and
#: whether a walltime took it all.
Marks: TypeAlias = "Sequence[tuple[str, str, tuple[str, float, bool] | None]]"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_INTO = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAILED: "wasted",
    TrialState.INFEASIBLE: "wasted",
}  # others: open


class Sums(Struct):
    """What follows from all trials. Imported ones were not run here, and count for `training` only."""

    training: int = 0  # of all attempts that ended
    hours: dict[str, int] = {}  # what `outlast.core.hours` says of attempts that ended
    card_hours: dict[str, int] = {}  # the same, times their cards
    with_cards: int = 0  # attempts
    walltimes: int = 0  # attempts that a walltime ended
    unsaved: int = 0  # of these, without a checkpoint
    unsaved_at: str | None = None  # the first of these
    began: str | None = None  # the first attempt
    ended: str | None = None  # the last outcome
    code: tuple[str, int, str] | None = None  # of the last attempt that has any: when it began, its trial, its code
    stretches: list[
        tuple[int, int]
    ] = []  # in which attempts ran that ended, `GAP_US` apart; microseconds since the epoch
    by_end: dict[TrialState, list[int]] = {}  # finished trials as they ended; of equals the first is last

    @classmethod
    def of(cls, trials: Mapping[int, Trial]) -> Sums:
        """Looks at all of them."""
        found = cls()
        for trial in trials.values():
            found._count(trial, 1)
            found._remember(trial)
            if _ended_here(trial):
                found.by_end.setdefault(trial.state, []).append(trial.number)
        for numbers in found.by_end.values():
            numbers.sort(key=_end_in(trials))
        return found

    def leave(self, trial: Trial, trials: Mapping[int, Trial]) -> Marks:
        """A trial is about to change. What is remembered of it nevertheless is returned, for `enter`."""
        self._count(trial, -1)
        if _ended_here(trial):
            numbers, end = self.by_end[trial.state], _end_in(trials)
            del numbers[bisect_left(numbers, end(trial.number), key=end)]
        return _marks(trial)

    def enter(self, trial: Trial, before: Marks | None, trials: Mapping[int, Trial]) -> bool:
        """A trial came (``None``), or has changed. Returns whether this is right now: if not, all have to be looked at."""
        if before is not None and not _has_grown(before, _marks(trial)):
            return False
        self._count(trial, 1)
        self._remember(trial)
        if _ended_here(trial):
            numbers, end = self.by_end.setdefault(trial.state, []), _end_in(trials)
            if not numbers or end(numbers[-1]) < end(trial.number):  # mostly
                numbers.append(trial.number)
            else:
                insort(numbers, trial.number, key=end)
        return True

    def _count(self, trial: Trial, sign: int) -> None:
        here = trial.source != "imported"
        for attempt in trial.attempts:
            outcome = attempt.outcome
            if outcome is not None:
                self.training += sign * nanoseconds(outcome.seconds)
            if not here:
                continue
            self.with_cards += sign if attempt.cards else 0
            if outcome is not None and outcome.cause is Cause.WALLTIME:
                self.walltimes += sign
                self.unsaved += 0 if outcome.saved else sign
        if not here:
            return
        into = _INTO.get(trial.state, "open")
        for attempt, share, resumed in _what_stands(trial):
            if attempt.outcome is None:
                continue
            seconds = max(0.0, attempt.outcome.seconds)
            saved = resumed and into != "wasted"
            _spend(self.hours, sign, nanoseconds(seconds), share, into, saved=saved)
            if attempt.cards:
                _spend(self.card_hours, sign, nanoseconds(seconds * attempt.cards), share, into, saved=saved)

    def _remember(self, trial: Trial) -> None:
        if trial.source == "imported":
            return
        for attempt in trial.attempts:
            outcome, opened = attempt.outcome, attempt.opened_at
            if self.began is None or opened < self.began:
                self.began = opened
            if attempt.code and (self.code is None or (opened, trial.number, attempt.code) > self.code):
                self.code = opened, trial.number, attempt.code
            if outcome is None:
                continue
            if self.ended is None or outcome.at > self.ended:
                self.ended = outcome.at
            if _is_lost(outcome) and (self.unsaved_at is None or outcome.at < self.unsaved_at):
                self.unsaved_at = outcome.at
            if (moment := parse_time(opened)) is not None:
                begin = (moment - _EPOCH) // _MICROSECOND
                _lay(self.stretches, begin, begin + nanoseconds(max(0.0, outcome.seconds)) // 1000)


def nanoseconds(seconds: float) -> int:
    """The nearest number of them; what is no number is none."""
    try:
        return round(seconds * 1e9)
    except (ValueError, OverflowError):
        return 0


def moment_of(since: int) -> datetime:
    """Of microseconds since the epoch."""
    return _EPOCH + since * _MICROSECOND


def _spend(hours: dict[str, int], sign: int, spent: int, share: float, into: str, *, saved: bool) -> None:
    stands = spent if share == 1.0 else round(share * spent)
    for name, part in (("used", spent), (into, stands), ("wasted", spent - stands), ("saved", stands if saved else 0)):
        if part:
            hours[name] = hours.get(name, 0) + sign * part


def _lay(stretches: list[tuple[int, int]], begin: int, end: int) -> None:
    """Lay one more beside the others, which it may join: what lies between two that are joined is in the stretch, also for who
    asks up to a moment in there."""
    first = bisect_left(stretches, begin - GAP_US, key=lambda each: each[1])
    behind = bisect_right(stretches, end + GAP_US, lo=first, key=lambda each: each[0])
    if first < behind:
        begin, end = min(begin, stretches[first][0]), max(end, stretches[behind - 1][1])
    stretches[first:behind] = [(begin, end)]


def _ended_here(trial: Trial) -> bool:
    return trial.state.finished and trial.source != "imported"


def _is_lost(outcome: AttemptEnded) -> bool:
    return outcome.cause is Cause.WALLTIME and not outcome.saved


def _end_in(trials: Mapping[int, Trial]) -> Callable[[int], tuple[str, int]]:
    return lambda number: (trials[number].finished_at or "", -number)


def _marks(trial: Trial) -> Marks:
    return [
        (each.opened_at, each.code, None if (end := each.outcome) is None else (end.at, end.seconds, _is_lost(end)))
        for each in trial.attempts
    ]


def _has_grown(before: Marks, after: Marks) -> bool:
    """Whether nothing that was remembered of attempts is otherwise now."""
    return len(before) <= len(after) and all(
        was[:2] == now[:2] and was[2] in (None, now[2]) for was, now in zip(before, after, strict=False)
    )


def _what_stands(trial: Trial) -> Iterator[tuple[Attempt, float, bool]]:
    """Each attempt that ran, the share of it that stands, and whether a later one is known to have built on it."""
    for chain in _chains(trial):
        if len(chain) == 1:  # most are, and a curve may be long
            yield chain[0], 1.0, False
            continue
        steps = [_steps(attempt) for attempt in chain]
        told = any(steps)
        for at, attempt in enumerate(chain):
            later = range(at + 1, len(chain))
            if any(not chain[after].resumed for after in later):
                yield attempt, 0.0, False
                continue
            begun = min((min(steps[after]) for after in later if steps[after]), default=None)
            if not told or not later or (begun is None and steps[at]):
                yield attempt, 1.0, False  # nobody knows better, or nobody has gone on from it yet
            elif begun is None:
                yield attempt, 0.0, False
            else:
                kept = sum(step < begun for step in steps[at]) / len(steps[at]) if steps[at] else 0.0
                yield attempt, kept, kept > 0


def _chains(trial: Trial) -> list[list[Attempt]]:
    """The attempts that continue each other: all of a whole trial's, those of each part where it has parts."""
    chains: list[list[Attempt]] = [[]]
    for attempt in trial.attempts:
        outcome = attempt.outcome
        if outcome is not None and outcome.cause is Cause.NEVER_STARTED:
            continue
        before = chains[-1][-1].outcome if chains[-1] else None
        if before is not None and before.cause is Cause.PART:
            chains.append([])
        chains[-1].append(attempt)
    return chains


def _steps(attempt: Attempt) -> Sequence[int]:
    """The steps that an attempt reported."""
    curves = attempt.outcome.curves if attempt.outcome is not None and attempt.outcome.part is None else ()
    return sorted({step for curve in curves for step, _ in curve})
