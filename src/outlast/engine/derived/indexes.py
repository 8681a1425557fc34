"""Where a study is shown to Optuna's tools: its folder's own index, and the store that its study file names beside it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from outlast._system.platforms import is_on_drive
from outlast.config.settings import Settings
from outlast.config.store_address import StoreAddress, store_address
from outlast.core.fold import Study, fold
from outlast.core.records import StudyCreated, Trial
from outlast.errors import OutlastError, UsageError
from outlast.optimizer.index.index_rows import ForeignRow
from outlast.optimizer.index.written_behind import WrittenBehind
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.segments import read_ledger

#: How the name of a folder goes on that `outlast.engine.care.fresh` moved aside.
_ASIDE = r"\.\d{8}_\d{6}(?!\d)"


class Indexes:
    """All of them as one: each is told what changed, and what people enqueued in any of them is found."""

    def __init__(self, writers: Sequence[WrittenBehind]) -> None:
        self._writers = list(writers)

    def add(self, writers: Iterable[WrittenBehind]) -> None:
        """Others beside them, before they are started."""
        self._writers += writers

    def start(self) -> None:
        """Begin to write."""
        for each in self._writers:
            each.start()

    def update(self, trials: Iterable[Trial], curves: Mapping[int, Mapping[int, float]] | None = None) -> None:
        """See `WrittenBehind.update`."""
        changed = list(trials)
        for each in self._writers:
            each.update(changed, curves)

    def trust(self, trials: Iterable[Trial]) -> None:
        """See `WrittenBehind.trust`."""
        for each in self._writers:
            each.trust(trials)

    def note_study(self, noted: Mapping[str, str]) -> None:
        """See `WrittenBehind.note_study`."""
        for each in self._writers:
            each.note_study(noted)

    def take_foreign(self) -> list[ForeignRow]:
        """See `WrittenBehind.take_foreign`."""
        return [row for each in self._writers for row in each.take_foreign()]

    def refuse(self, row: ForeignRow, reason: str) -> None:
        """See `WrittenBehind.refuse`; one that never saw the row has nothing to do."""
        for each in self._writers:
            each.refuse(row, reason)

    def told(self) -> list[str]:
        """What people are to be told, once."""
        found = []
        for each in self._writers:
            while each.warnings:  # its thread appends meanwhile, and says nothing a second time
                found.append(each.warnings.pop(0))
        return found

    def close(self, timeout: float = 5.0) -> bool:
        """See `WrittenBehind.close`. The folder's own comes first. Returns whether all has been written everywhere."""
        done = [each.close(timeout) for each in self._writers]
        return all(done)


def earlier_studies(folder: Path, identity: str) -> dict[str, str]:
    """The studies that ``--fresh`` moved aside from this folder: identity → the name of the folder that keeps it.

    Another folder that only begins with its name is another study's, and so is one that runs. A copy of the study itself,
    whose `identity` it has, is none of them.
    """
    found = {}
    for place in folder.parent.glob(f"{glob.escape(folder.name)}.*"):
        ledger = StudyPaths.at(place).ledger
        if not re.match(_ASIDE, place.name.removeprefix(folder.name)):
            continue
        try:
            if holder_is_live(ledger):
                continue
            events = read_ledger(ledger, below=2).events
        except (OutlastError, OSError):  # damaged, or none: then its rows stay who they are
            continue
        created = next((event for event in events if isinstance(event, StudyCreated)), None)
        if created is not None:
            found[fold([created]).identity] = place.name
    found.pop(identity, None)
    return found


def store_of(settings: Settings) -> StoreAddress | None:
    """The store that the study file names; ``None`` where it names none, or nothing is kept.

    Raises:
        UsageError: It is no address, the environment lacks a part of it, or it is a file on a mounted drive.
    """
    if settings.index.url is None or settings.index.in_memory:
        return None
    found = store_address(
        settings.index.url,
        environment=os.environ,
        folder=settings.working_directory,
        timeout=settings.index.timeout,
    )
    if found.file and is_on_drive(found.file):
        cure = "leave it out: the study's own study.db is brought to the drive as a verified copy"
        raise UsageError(f"{found} lies on a mounted drive, where a file that is written to may be torn", cure=cure)
    return found


def other_stores(
    own: Path, settings: Settings, study: Study, fence: Callable[[], object] | None, told: list[str]
) -> list[WrittenBehind]:
    """The writer of the store that the study file names, where that is not the folder's `own` index.

    What is wrong with its address is told: it ends no search. What waits in it is known already, where it is a file.
    """
    try:
        address = store_of(settings)
    except UsageError as error:
        told.append(f"index: {error.fact}: only the folder's own study.db is written")
        return []
    if address is None or os.path.realpath(address.file) == os.path.realpath(own):
        return []
    from outlast.optimizer.stores.store_waiting import waiting_rows
    from outlast.optimizer.stores.store_writer import StoreWriter

    identity = study.identity
    earlier = earlier_studies(own.parent, identity)
    writer = StoreWriter(address, settings, identity, earlier=earlier, fence=fence)
    if waiting := waiting_rows(address, settings.name, identity):
        writer.hand_out(waiting, study.trials.values())
    return [writer]
