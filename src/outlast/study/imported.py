"""A second copy of what an import took in: what ``trial.json`` is to a trial that ran here, in one file for all of them.

It is the ledger as the import left it, byte for byte. Ten thousand folders with a record each take longer than all the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from outlast._system.files import write_atomic
from outlast._system.reading import read_bytes
from outlast.core.records import AttemptEnded, Event, TrialCreated
from outlast.errors import LedgerTooNew
from outlast.study.layout import StudyPaths
from outlast.study.ledger_lines import events_of, from_line, kinds_of_later
from outlast.study.segments import listed_segments, segment_path


def keep_imported(paths: StudyPaths, segment: int) -> None:
    """Copy the segment of the ledger that an import has written.

    Raises:
        OSError: The disk refused.
    """
    write_atomic(paths.imported, segment_path(paths.ledger, segment).read_bytes(), durable=False)


def imported_events(paths: StudyPaths, *, needed: bool = False) -> Iterator[Event]:
    """What an import decided, as far as the copy is whole. Nothing where nothing was imported.

    Args:
        paths: The study's files.
        needed: The ledger is lost: what a later version has written is not thrown away.

    Raises:
        LedgerTooNew: It is `needed`, and a later version has written it.
    """
    for raw in (read_bytes(paths.imported) or b"").split(b"\n"):
        line = (from_line(raw) if raw else None) or {}
        later = kinds_of_later(line)
        if later and needed:
            raise LedgerTooNew(str(paths.imported), later[0])
        yield from () if later else events_of(line)


def imported_trials(paths: StudyPaths, *, needed: bool = False) -> dict[int, list[Event]]:
    """Trial → its decisions, of those that had ended. See `imported_events`."""
    return {number: events for number, events in _by_trial(paths, needed=needed).items() if _has_ended(events[-1])}


def imported_unfinished(paths: StudyPaths) -> dict[int, list[Event]]:
    """Trial → its decisions, of those that had not ended: they go on here, and what becomes of them is elsewhere."""
    return {number: events for number, events in _by_trial(paths).items() if not _has_ended(events[-1])}


def _by_trial(paths: StudyPaths, *, needed: bool = False) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in imported_events(paths, needed=needed):
        if isinstance(event, TrialCreated):
            found[event.trial] = [event]
        elif getattr(event, "trial", None) in found:
            found[event.trial].append(event)  # type: ignore[union-attr]
    return found


def lost_of_imported(paths: StudyPaths) -> set[int]:
    """The trials of the copy, where the ledger is gone or has less of them: how both begin, and how long they are, tells."""
    if listed_segments(paths.ledger):
        lost = paths.was_imported and not _has_all(paths)
    else:  # also where nobody can read what it was
        lost = paths.was_imported or (paths.exists and paths.imported.exists())
    return (set(imported_trials(paths)) or {0}) if lost else set()


def _has_all(paths: StudyPaths) -> bool:
    """Whether the ledger goes on from what the copy has, or was written anew by a repair."""
    with open(paths.imported, "rb") as copy:
        first, length = copy.readline(), os.fstat(copy.fileno()).st_size
    number = int((from_line(first.removesuffix(b"\n")) or {}).get("segment", 1))
    try:
        with open(segment_path(paths.ledger, number), "rb") as segment:
            begins, there = segment.read(len(first)), os.fstat(segment.fileno()).st_size
    except OSError:
        return listed_segments(paths.ledger)[0] > number
    return there >= length or not first.startswith(begins)


def _has_ended(event: Event) -> bool:
    return isinstance(event, AttemptEnded) and event.state.finished
