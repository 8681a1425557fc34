"""How a study at rest stands, kept where it came to rest and told without reading its ledger."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timezone

from msgspec.structs import replace

from outlast.engine.record.examine import read_sound, read_to_look
from outlast.engine.record.health_facts import facts_at_rest
from outlast.engine.record.recorded import recorded_settings
from outlast.engine.record.supervised import supervisor_facts
from outlast.errors import OutlastError
from outlast.monitor.at_rest import packed, unpacked
from outlast.monitor.snapshot import Snapshot
from outlast.study.folded import keep_folded
from outlast.study.glance import drop_glance, keep_glance, known_glance, marks_of
from outlast.study.layout import StudyPaths


def keep_what_it_looks_like(paths: StudyPaths) -> None:
    """Keep how it stands, and what its ledger adds up to, by whoever brought it to rest: read as everybody would read it.

    Where reading or writing fails nothing is kept, and whoever looks reads the ledger.
    """
    with contextlib.suppress(OSError, OutlastError):
        marks = marks_of(paths)
        reading, study = read_to_look(paths)
        keep_folded(paths, reading, study)
        settings, _ = recorded_settings(paths.root, study)
        content, place = packed(study, settings, now=datetime.now(timezone.utc)), reading.place
        if content is None or place is None or marks != marks_of(paths):
            drop_glance(paths)
        else:
            keep_glance(paths, content, marks, place)


def keep_what_it_adds_up_to(paths: StudyPaths) -> None:
    """Keep the fold of a long ledger, by a process behind the run; whoever cannot read or write it keeps nothing."""
    with contextlib.suppress(OSError, OutlastError):
        keep_folded(paths, *read_sound(paths))


def glance_at(folder: str | os.PathLike[str], *, certain: bool = False) -> Snapshot | None:
    """How the study in a folder stands, if that was kept and nothing has changed since; ``None``: look at it.

    Args:
        folder: The study's, as a person types it.
        certain: Whether every byte of its ledger is held against what it was.
    """
    paths = StudyPaths.at(folder)
    content = known_glance(paths, certain=certain)
    if content is None:
        return None
    facts = facts_at_rest(paths)
    found = unpacked(content, now=datetime.now(timezone.utc), folder=os.fspath(folder), facts=facts)
    return None if found is None else replace(found, supervisor=supervisor_facts(paths.supervisor))


def seen_at_once(folder: str | os.PathLike[str]) -> Snapshot:
    """How a study stands, for whoever looks once and wants no more than that.

    Raises:
        StudyNotFound: There is no study in this folder.
        LedgerDamaged: Its ledger cannot be read.
    """
    found = glance_at(folder, certain=True)
    if found is None:
        from outlast.engine.record.look import look

        found, _, _ = look(folder)
    return found
