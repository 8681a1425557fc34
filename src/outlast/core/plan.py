"""What to do next: from the study's state and a few facts to starts, new trials, and the end of the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import takewhile

from msgspec import Struct

from outlast.core.budget import counted, in_flight, room_for_new
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import Cause, StudyState, TrialState

_DISK_FLOOR, _DISK_SHARE = 64 * 2**20, 0.01  # of space that must be free: the smaller of the two
_INODE_FLOOR = 256
_NO_RESULT = "no trial gave a result"
_RULED_OUT = 1000  # draws in a row by the derive hook: they cost nothing, and need not count towards the budget
_FALSE_STARTS = 10  # in a row: whatever keeps attempts from beginning does not pass by itself


class Limits(Struct, frozen=True):
    """The study's totals and policies."""

    trials: int | None
    count: tuple[str, ...] = ("complete", "pruned", "infeasible")
    time: float | None = None  # seconds
    gpu_hours: float | None = None
    max_failures: int | None = None
    failures_alike: int = 3
    failures_in_all: int = 10  # without a single trial that ended well; those that could not run count as well
    failures_in_a_row: int = 50  # since a trial ended well; unless `max_failures` says how many are bearable
    target_value: float | None = None  # W&B's metric.target
    maximize: bool = True
    needs_result: bool = True  # a search that is over without one is halted, not done


class Starts(Struct, frozen=True):
    """Which waiting trials to start, and how many new ones to draw."""

    existing: tuple[int, ...] = ()
    new: int = 0


class Verdict(Struct, frozen=True):
    """The run is over."""

    state: StudyState
    reason: str


def plan_starts(
    study: Study,
    limits: Limits,
    free_slots: int,
    *,
    not_before: Mapping[int, float] | None = None,
    now: float = 0.0,
    exhausted: bool = False,
) -> Starts:
    """Fill the free slots: interrupted trials first, then created ones, then new ones as far as the budget has room.

    A trial rests until its time in `not_before` (backoff), by the monotonic clock of `now`; an `exhausted` search space holds no
    new configuration.
    """
    wait = not_before or {}
    waiting = study.in_state(TrialState.INTERRUPTED) + study.in_state(TrialState.CREATED)
    ready = [t.number for t in waiting if wait.get(t.number, now) <= now][: max(0, free_slots)]
    left = free_slots - len(ready)
    if left <= 0 or exhausted:
        return Starts(tuple(ready))
    room = room_for_new(study, limits.trials, limits.count)
    return Starts(tuple(ready), left if room is None else min(left, room))


def verdict(study: Study, limits: Limits, *, elapsed: float, exhausted: bool = False) -> Verdict | None:
    """Whether the study is done or halted; ``None`` while there is something to do or to wait for.

    A halt does not wait for running trials; being done does.
    """
    halt = halting(study, limits)
    if halt is not None:
        return halt
    if study.in_state(TrialState.RUNNING):
        return None
    over = _over(study, limits, elapsed, exhausted)
    if over is None:
        return None
    without = _without_result(study, limits) if limits.needs_result else None
    return Verdict(StudyState.DONE, over) if without is None else Verdict(StudyState.HALTED, f"{over}, and {without}")


def _over(study: Study, limits: Limits, elapsed: float, exhausted: bool) -> str | None:
    """Why there is nothing left to do, once nothing runs; ``None`` while there is something."""
    spent = used_up(study, limits, elapsed)
    if spent is not None:
        return f"the {spent} budget is used up"
    if target_value_reached(study, limits):
        return f"a trial reached the target value {limits.target_value:g}"
    if in_flight(study):
        return None
    if limits.trials is not None and counted(study, limits.count) >= limits.trials:
        if len(study.trials) != limits.trials:  # some do not count, or the target was lowered
            return f"the target of {limits.trials} trial{'' if limits.trials == 1 else 's'} is reached"
        return f"all {limits.trials} trials are finished" if limits.trials != 1 else "the one trial is finished"
    return "the search space is used up: every configuration was tried" if exhausted else None


def _without_result(study: Study, limits: Limits) -> str | None:
    """That no trial has completed, and what became of them instead, as a phrase; ``None`` where there is a result, or where
    none was asked for."""
    counts = study.counts()
    if counts[TrialState.COMPLETE]:
        return None
    if not counts:
        return None if limits.trials == 0 else f"{_NO_RESULT}: none was begun"
    said = ", ".join(f"{number} {state.value}" for state, number in counts.most_common())
    first = next((t.reason for t in study.in_state(TrialState.FAILED, TrialState.INFEASIBLE) if t.reason), "")
    return f"{_NO_RESULT}: {said}" + (f"; the first: {first}" if first else "")


def over_without_result(study: Study) -> bool:
    """Whether the study is halted because there is nothing left to do and nothing came of it: running it again would change
    nothing."""
    ended = study.ended
    return ended is not None and ended.state == StudyState.HALTED.value and f", and {_NO_RESULT}" in ended.reason


def used_up(study: Study, limits: Limits, elapsed: float, gpu_seconds: float = 0.0) -> str | None:
    """Which budget that is measured in time is used up, as a word; ``None`` while there is some left of each.

    The study was run for `elapsed` seconds; `gpu_seconds` is what running attempts have used, beyond those that have ended.
    """
    if limits.time is not None and elapsed >= limits.time:
        return "time"
    if limits.gpu_hours is not None and study.gpu_seconds + gpu_seconds >= limits.gpu_hours * 3600.0:
        return "GPU hour"
    return None


def target_value_reached(study: Study, limits: Limits) -> bool:
    """Whether a complete trial is as good as the metric's target."""
    if limits.target_value is None or study.extreme_values is None:
        return False
    smallest, largest = study.extreme_values
    return largest >= limits.target_value if limits.maximize else smallest <= limits.target_value


def halting(study: Study, limits: Limits) -> Verdict | None:
    """Why going on makes no sense although there is something to do; ``None`` if it does."""
    recent, success = study.failures_since_run, study.latest_success
    if study.false_starts >= _FALSE_STARTS:
        return _halted(
            f"{study.false_starts} attempts in a row were opened here and never began: something is wrong with this machine or "
            "the study's folder (outlast repair --check looks)"
        )
    if limits.max_failures is not None and study.counts()[TrialState.FAILED] and len(recent) >= limits.max_failures:
        return _halted(f"{len(recent)} trials failed (max_failures: {limits.max_failures})")
    if study.ruled_out_in_a_row >= _RULED_OUT:
        return _halted(f"the derive hook ruled out the last {study.ruled_out_in_a_row} configurations")
    if success is not None and study.last_run is not None and success >= study.last_run.at:
        row = [outcome for outcome in recent if outcome.at > success]
        if limits.max_failures is None and len(row) >= limits.failures_in_a_row:
            return _halted(
                f"the last {len(row)} trials failed, and none ended well in between: {row[-1].reason} "
                "(budget.max_failures allows more)"
            )
        return None
    first = [outcome for outcome in recent if outcome.cause is not Cause.DIVERGED][: limits.failures_alike]
    if len(first) == limits.failures_alike and len({o.signature for o in first}) == 1 and first[0].signature:
        return _halted(f"the first {len(first)} failures are alike: {first[0].reason}")
    in_vain = sorted([*recent, *study.infeasible_since_run], key=lambda outcome: outcome.at)
    if len(in_vain) >= max(limits.failures_in_all, limits.failures_alike):
        what = "failed" if len(recent) == len(in_vain) else "failed or could not run" if recent else "could not run"
        return _halted(f"{len(in_vain)} trials {what} and none has ended well: {in_vain[0].reason}")
    return None


def _halted(reason: str) -> Verdict:
    return Verdict(StudyState.HALTED, reason)


def setbacks_in_a_row(trial: Trial, causes: Collection[Cause]) -> int:
    """How often in a row, up to now, the trial's attempts ended for one of these causes; starts that never were left out."""
    began = [outcome for outcome in trial.ended if outcome.cause is not Cause.NEVER_STARTED]
    return sum(1 for _ in takewhile(lambda outcome: outcome.cause in causes, reversed(began)))


def false_starts(trial: Trial) -> int:
    """How often in a row, up to now, the trial's attempts were opened and never began."""
    return sum(1 for _ in takewhile(lambda outcome: outcome.cause is Cause.NEVER_STARTED, reversed(trial.ended)))


def backoff(setbacks: int, *, first: float = 1.0, most: float = 300.0) -> float:
    """Seconds to wait before the next attempt: doubling with every setback in a row, bounded."""
    return 0.0 if setbacks <= 0 else min(most, first * 2.0 ** (min(setbacks, 60) - 1))


def no_room(free: int, size: int, inodes_free: int, inodes: int) -> str | None:
    """What a disk lacks for a study to go on, as a phrase; ``None`` while there is enough.

    Args:
        free: Bytes that may be used.
        size: Bytes in all.
        inodes_free: Files that may be made.
        inodes: In all; 0 where the filesystem does not count them.
    """
    if free < min(_DISK_FLOOR, _DISK_SHARE * size):
        return f"only {free / 2**20:.1f} MB are free"
    if inodes and inodes_free < min(_INODE_FLOOR, _DISK_SHARE * inodes):
        return f"only {inodes_free} inodes are free"
    return None
