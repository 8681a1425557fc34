"""Who brings up to date what is drawn from a ledger that many hold for a turn each: nobody each time, somebody soon.

A turn draws when that was not done for a while. One that does not leaves a mark, and workers look for it: whoever has nothing
else to do takes a turn for it once it is due, and a worker by hand before it leaves: what runs elsewhere may be nobody's by then.
Nobody leaves a mark where nobody is left to see it: then it is drawn at once.
(Nothing here loads what draws: hundreds of workers look.)
"""

from __future__ import annotations

import contextlib
import os
import time

from outlast._system.files import remove, write_atomic
from outlast._system.reading import read_bytes
from outlast.study.layout import StudyPaths

_OFTEN, _SELDOM = 10.0, 60.0  # seconds between two drawings of a short study, and of a long one
_OF_EACH = 0.01  # seconds that each trial adds to that: what is drawn grows with them


def every(trials: int) -> float:
    """Seconds from which on what was drawn of so many trials is old enough to be drawn again."""
    return min(_SELDOM, max(_OFTEN, _OF_EACH * trials))


def is_old(paths: StudyPaths, seconds: float) -> bool:
    """Whether nothing was drawn for so long. By two hosts' clocks perhaps, which is no matter here."""
    try:
        return abs(time.time() - os.stat(paths.index).st_mtime) > seconds
    except OSError:
        return True


def leave_behind(paths: StudyPaths, trials: int, *, again: bool = False) -> None:
    """Leave the mark: what is drawn lacks what was decided. A disk that has no room for it costs it.

    Args:
        again: It could not be drawn just now: the next try is due as long from now on as it is of what was drawn.
    """
    with contextlib.suppress(OSError):
        age = abs(time.time() - os.stat(paths.index).st_mtime) if again else 0.0
        write_atomic(paths.behind, f"{age + every(trials):.0f}\n", durable=False)


def caught_up(paths: StudyPaths) -> None:
    """Everything is drawn."""
    with contextlib.suppress(OSError):
        remove(paths.behind, durable=False)


def is_behind(paths: StudyPaths) -> bool:
    """Whether there is a mark."""
    return paths.behind.exists()


def is_wanted(paths: StudyPaths) -> bool:
    """Whether there is a mark, and it is time to draw."""
    try:
        told = read_bytes(paths.behind)
        seconds = _SELDOM if told is None else float(told)
    except (OSError, ValueError):  # damaged: whatever it said, it is time after that
        return is_old(paths, _SELDOM)
    return told is not None and is_old(paths, seconds)
