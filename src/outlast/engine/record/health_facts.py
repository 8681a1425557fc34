"""What only a look at the machine can tell of a study's health: silences, heartbeats, disks, cards, clocks. Changes nothing.

Two times of one filesystem's clock are compared wherever a file's time matters to the minute; hosts' clocks never are.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from outlast._system.mounts import room_in
from outlast._system.processes import Identity, is_stopped
from outlast.config.settings import Settings
from outlast.core.file_names import AttemptPaths
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.monitor.health import HealthFacts, purge_days
from outlast.study.disk_space import untouched_days
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder
from outlast.study.segments import first_lines, listed_segments, segment_path

_SEGMENTS = 8  # the newest, of which it is asked whether they began without an end before
_TAIL = 4096  # bytes
_DRIVER = 2.0  # seconds that it has to answer
_IN_USE = 2  # percent: less is what a desktop or a monitor needs
_LOCKED = rb"(?i)database is locked(?!\")"  # quoted it is what we say of it


class FactFinder:
    """Gathers them, once or again and again: how long a card was idle, and whether the clock was set, needs two looks."""

    def __init__(self) -> None:
        self._clocks: tuple[float, float] | None = None  # wall, since boot
        self._busy_at: dict[str, float] = {}  # card -> when it was last seen at work, since boot

    def find(self, paths: StudyPaths, study: Study, settings: Settings, *, live: bool) -> HealthFacts:
        """What there is to know. `live`: somebody runs it, so that it matters who does what."""
        untouched = {} if purge_days(settings) is None else untouched_days(paths, study)
        rest = replace(facts_at_rest(paths), untouched_days=untouched)
        if not live:
            return rest
        attempts = dict(_open_attempts(paths, study))
        beats = {number: at for number, files in attempts.items() if (at := _written(files.alive)) is not None}
        lease = _written(paths.lease)
        newest = max([*beats.values(), *([] if lease is None else [lease])], default=None)
        holder = Identity.from_json(current_holder(paths.ledger))
        return replace(
            rest,
            quiet=_quiet(attempts),
            lost_touch={} if newest is None else {number: newest - at for number, at in beats.items()},
            holder_silent=None if lease is None or newest is None else newest - lease,
            holder_stopped=lease is not None and holder.here and is_stopped(holder),
            takeovers=tuple(_takeovers(paths.ledger)),
            locked=tuple(_locked(paths, attempts)),
            idle_cards=self._idle_cards(study),
            walltime=_walltime(settings, study),
            clock_jump=self._clock_jump(),
        )

    def _clock_jump(self) -> float | None:
        before, self._clocks = self._clocks, (time.time(), _since_boot())
        return None if before is None else (self._clocks[0] - before[0]) - (self._clocks[1] - before[1])

    def _idle_cards(self, study: Study) -> Mapping[str, float]:
        """Cards of running attempts of this host, and for how long they were idle at every look. The first look knows nothing."""
        open_ones = (trial.open_attempt for trial in study.in_state(TrialState.RUNNING))
        held = {card for attempt in open_ones if attempt is not None for card in attempt.gpus}
        first, now = self._clocks is None, _since_boot()
        if not held or first:
            return {}
        from outlast._system.nvml import read_cards  # a large library, for whoever looks again and again

        cards = read_cards(_DRIVER).cards
        use = {card.uuid: card.busy for card in cards if card.uuid in held and card.busy is not None}
        for card, percent in use.items():
            if percent > _IN_USE or card not in self._busy_at:
                self._busy_at[card] = now
        self._busy_at = {card: at for card, at in self._busy_at.items() if card in use}
        return {card: now - at for card, at in self._busy_at.items()}


def facts_at_rest(paths: StudyPaths) -> HealthFacts:
    """What may change of a study at rest: the room on its disk, and what could not be told to whom it was meant for."""
    room, untold = room_in(paths.root), _untold(paths)
    if room is None:
        return HealthFacts(untold=untold)
    return HealthFacts(disk_free=room.free, disk_total=room.size, inodes_free=room.inodes_free or None, untold=untold)


def _since_boot() -> float:
    """Seconds that nobody can set; sleep of the whole machine is counted where the system can."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _open_attempts(paths: StudyPaths, study: Study) -> Iterator[tuple[int, AttemptPaths]]:
    for trial in study.in_state(TrialState.RUNNING):
        attempt = trial.open_attempt
        if attempt is not None:
            yield trial.number, paths.attempt(trial.number, attempt.number)


def _written(path: Path) -> float | None:
    """When a file was last written, by its filesystem's clock; ``None`` for none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _quiet(attempts: Mapping[int, AttemptPaths]) -> dict[int, float]:
    """Running trial → seconds since it last printed or reported; of one that was never claimed nothing is known."""
    found, now = {}, time.time()
    for number, files in attempts.items():
        if (claimed := _written(files.started)) is not None:
            last = max(claimed, *(at for file in (files.log, files.reports) if (at := _written(file)) is not None), 0.0)
            found[number] = max(0.0, now - last)
    return found


def _takeovers(ledger: Path) -> Iterator[str]:
    """When somebody took the ledger from a run that had not ended; turns, which tasks and workers take, are none."""
    numbers = listed_segments(ledger)[-_SEGMENTS:]
    for before, number in pairwise(numbers):
        header = first_lines(ledger, number)[0]
        if "turn" not in header and b'"study_ended"' not in _tail(segment_path(ledger, before)):
            yield str(header.get("at", ""))


def _locked(paths: StudyPaths, attempts: Mapping[int, AttemptPaths]) -> Iterator[str]:
    for number, files in attempts.items():
        if re.search(_LOCKED, _tail(files.log)):
            yield f"trial {number}"
    if re.search(_LOCKED, _tail(paths.run_log)):
        yield paths.run_log.name


def _untold(paths: StudyPaths) -> str:
    """Why somebody who was to be told something does not have it; empty in a study that tells nobody."""
    try:
        told = json.loads(paths.told.read_bytes())
        late = {
            name: why for letter in told["letters"] for name in letter["left"] if (why := told["trouble"].get(name))
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "; ".join(f"{name}: {why}" for name, why in sorted(late.items()))


def _tail(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read(_TAIL)
    except OSError:
        return b""


def _walltime(settings: Settings, study: Study) -> float | None:
    if not settings.slurm or not study.jobs:
        return None
    from outlast.executors.slurm.cluster_facts import parse_time_s

    return parse_time_s(str(settings.slurm.get("time") or ""))
