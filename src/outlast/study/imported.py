"""A second copy of what an import took in: what ``trial.json`` is to a trial that ran here, in one file for all of them.

It is the ledger as the import left it, byte for byte. Ten thousand folders with a record each take longer than all the rest.
"""

from __future__ import annotations

import os

from outlast._system.files import write_atomic
from outlast._system.reading import read_bytes
from outlast.core.records import AttemptEnded, Event, TrialCreated
from outlast.study.layout import StudyPaths
from outlast.study.ledger_lines import events_of, from_line, kinds_of_later
from outlast.study.segments import segment_path


def keep_imported(paths: StudyPaths, segment: int) -> None:
    """Copy the segment of the ledger that an import has written.

    Raises:
        OSError: The disk refused.
    """
    write_atomic(paths.imported, segment_path(paths.ledger, segment).read_bytes(), durable=False)


def imported_trials(paths: StudyPaths) -> dict[int, list[Event]]:
    """Trial → its decisions, of those that had ended; as far as the copy is whole. Nothing where nothing was imported."""
    found: dict[int, list[Event]] = {}
    for raw in (read_bytes(paths.imported) or b"").split(b"\n"):
        line = from_line(raw) if raw else None
        for event in () if line is None or kinds_of_later(line) else events_of(line):
            if isinstance(event, TrialCreated):
                found[event.trial] = [event]
            elif getattr(event, "trial", None) in found:
                found[event.trial].append(event)  # type: ignore[union-attr]
    return {number: events for number, events in found.items() if _has_ended(events[-1])}


def lost_of_imported(paths: StudyPaths) -> set[int]:
    """The trials of the copy, where the ledger is gone or has less of them than the copy; a look at the sizes tells."""
    try:
        with open(paths.imported, "rb") as copy:
            header, size = from_line(copy.readline().rstrip(b"\n")) or {}, os.fstat(copy.fileno()).st_size
    except OSError:
        return set()
    if not any(paths.ledger.glob("*.jsonl")):
        return set(imported_trials(paths)) or {0}  # also where nobody can read what it was
    try:
        is_whole = os.stat(segment_path(paths.ledger, int(header.get("segment", 1)))).st_size >= size
    except OSError:  # a repair has written the ledger anew
        return set()
    return set() if is_whole else set(imported_trials(paths))


def _has_ended(event: Event) -> bool:
    return isinstance(event, AttemptEnded) and event.state.finished
