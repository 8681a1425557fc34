"""The trials that ended last, and when a study ran. Pure. Those that were imported were not run here, and are left out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from datetime import datetime

from outlast.core.fold import Study
from outlast.core.moments import parse_time
from outlast.core.records import Trial
from outlast.core.states import TrialState


def latest(study: Study, states: Collection[TrialState], most: int) -> list[Trial]:
    """The last trials that ended in any of these states, at most so many, in the order in which they ended; of several that
    ended in one moment the one that began first is last."""
    by_end = study.sums.by_end
    found = [study.trials[number] for state in set(states) for number in by_end.get(state, ())[-most:]] if most else []
    return sorted(found, key=lambda trial: (trial.finished_at or "", -trial.number))[-most:]


def ended_since(study: Study, at: str) -> list[Trial]:
    """All that ended then or later, as records have times; in no order."""
    found: list[Trial] = []
    for numbers in study.sums.by_end.values():
        for number in reversed(numbers):
            trial = study.trials[number]
            if (trial.finished_at or "") < at:
                break
            found.append(trial)
    return found


def first_since(study: Study, at: str, most: int) -> list[Trial]:
    """The first that ended then or later, as records have times; at most so many, in the order in which they ended."""
    found: list[Trial] = []
    for numbers in study.sums.by_end.values():
        begin = bisect_left(numbers, at, key=lambda number: study.trials[number].finished_at or "")
        found += (study.trials[number] for number in numbers[begin : begin + most])
    return sorted(found, key=lambda trial: trial.finished_at or "")[:most]


def when_it_ran(study: Study, *, live: bool) -> tuple[datetime | None, datetime | None]:
    """When the first attempt was begun here, and when the last outcome came; ``None`` where there is none, or while it is run."""
    return parse_time(study.sums.began), None if live else parse_time(study.sums.ended)
