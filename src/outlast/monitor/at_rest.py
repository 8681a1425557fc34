"""What is to be known of a study that has come to rest: it stays as it is, so that it can be kept and read again. Pure.

What depends on the day is not in it, or worked out again: the moment of the look, the room on the disk, what could not be told.
It is bound to Outlast's version, not to the text of the code as a kept fold is: nothing is decided by it, nothing built on it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from outlast._version import __version__
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.monitor.health import LEVELS, HealthFacts, of_facts, purge_days
from outlast.monitor.snapshot import Snapshot, snapshot

_WHERE = "\x01"  # stands for the folder, which everybody types in a way of their own


class _Kept(msgspec.Struct, frozen=True):
    version: str  # of Outlast: another one may know other rules
    snapshot: Snapshot


def packed(study: Study, settings: Settings, *, now: datetime) -> bytes | None:
    """How a study stands whose run is over; ``None`` while it may look different at the next look."""
    if study.ended is None or study.jobs or study.in_state(TrialState.RUNNING) or purge_days(settings) is not None:
        return None
    found = snapshot(study, settings, now=now, folder=_WHERE)
    if any(each.key == "clock_jump" and each.is_trouble for each in found.warnings):  # the clock will catch up
        return None
    try:
        kept = msgspec.json.encode(_Kept(__version__, found))
    except (ValueError, TypeError):  # half a surrogate pair in a reason, a number beyond JSON's
        return None
    return kept if _unpacked(kept) == found else None  # a value that JSON lacks


def unpacked(content: bytes, *, now: datetime, folder: str, facts: HealthFacts) -> Snapshot | None:
    """The same as it stands now; ``None`` where it cannot be read, or another version has written it.

    Args:
        content: What `packed` gave.
        now: The current time, aware.
        folder: The study folder as a person types it.
        facts: What is so now, whatever the study says.
    """
    found = _unpacked(content)
    if found is None:
        return None
    warnings = [
        replace(each, text=each.text.replace(_WHERE, folder), cure=each.cure.replace(_WHERE, folder))
        for each in found.warnings
    ]
    warnings = sorted([*of_facts(facts, folder), *warnings], key=lambda each: LEVELS.index(each.level))
    return replace(found, now=now, folder=folder, warnings=tuple(warnings))


def _unpacked(content: bytes) -> Snapshot | None:
    try:
        kept = msgspec.json.decode(content, type=_Kept)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return kept.snapshot if kept.version == __version__ else None
