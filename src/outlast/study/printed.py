"""What trials of kept workers printed: each attempt's is a stretch of the output of its slot's workers."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from outlast.core.fold import Study
from outlast.core.records import Attempt, Trial
from outlast.study.layout import StudyPaths

_LOOKED_BACK = 1_000  # trials at least


class Stretch(Struct, frozen=True):
    """A part of a file; to its end where there is no `end`."""

    path: Path
    start: int
    end: int | None = None

    def read(self, start: int | None = None, most: int | None = None) -> bytes:
        """What is in it, from a place in the file on; the last bytes of it where it holds more than `most`."""
        begin = self.start if start is None else max(start, self.start)
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                end = size if self.end is None else min(self.end, size)
                begin = begin if most is None else max(begin, end - most)
                file.seek(begin)
                return file.read(max(0, end - begin)).strip(b"\0")  # what was lost left its place empty
        except OSError:
            return b""


def output_of(paths: StudyPaths, slot: str) -> Path:
    """The file with the output of a slot's workers (``kept:3``)."""
    return paths.outputs / f"{slot.partition(':')[2]}.log"


def stretches(paths: StudyPaths, study: Study, trial: Trial) -> list[Stretch]:
    """Where what a trial printed in kept workers lies, attempt by attempt; nothing where it printed nothing there."""
    found = []
    for attempt in trial.attempts:
        if not attempt.kept:
            continue
        log, printed = output_of(paths, attempt.slot), attempt.outcome.printed if attempt.outcome is not None else None
        if printed is not None:
            found.append(Stretch(log, printed[0], sum(printed)))
        elif attempt.outcome is None:
            found.append(Stretch(log, _begun_at(study, attempt)))
    return found


def _begun_at(study: Study, running: Attempt) -> int:
    """Where the output of an attempt that runs begins: behind all that ended in its slot.

    The latest trials know, but for one that was retried long after it was made; looking at all would take seconds on a long
    study, for whoever follows a trial.
    """
    end, looked = None, 0
    for number in range(study.next_number - 1, -1, -1):
        trial, looked = study.trials.get(number), looked + 1
        for attempt in trial.attempts if trial is not None else ():
            if attempt.slot == running.slot and attempt.outcome is not None and attempt.outcome.printed is not None:
                end = max(end or 0, sum(attempt.outcome.printed))
        if end is not None and looked >= _LOOKED_BACK:
            break
    return end or 0


def printed_end(paths: StudyPaths, study: Study, trial: Trial, most: int) -> bytes:
    """The last bytes of what a trial printed in its latest attempt in a kept worker, in whole lines."""
    last = stretches(paths, study, trial)[-1:]
    data = last[0].read(most=most) if last else b""
    return data.partition(b"\n")[2] or data if len(data) >= most else data
