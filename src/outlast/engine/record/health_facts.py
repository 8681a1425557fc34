"""What only a look at the machine can tell of a study's health: silences, heartbeats, disks, cards, clocks. Changes nothing.

Two times of one filesystem's clock are compared wherever a file's time matters to the minute; hosts' clocks never are.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
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
_SET = 30.0  # seconds of sleep, or by which the clock was set, that matter for silences
_TO_BE_RUN = ("starting", "running", "waiting")  # conditions in which a supervisor begins a study again
_DRIVER = 2.0  # seconds that it has to answer
_IN_USE = 2  # percent: less is what a desktop or a monitor needs
_LATELY = 1800.0  # seconds
_LOCKED = rb"(?i)database is locked(?!\")"  # quoted it is what we say of it


class FactFinder:
    """Gathers them, once or again and again: how long a card was idle, and whether the clock was set, needs two looks."""

    def __init__(self) -> None:
        self._clocks: tuple[float, float, float] | None = None  # wall, since boot, without sleep
        self._first = True
        self._busy_at: dict[str, float] = {}  # card -> when it was last seen at work, since boot
        self._awake = -math.inf  # since when, since boot, as far as a look saw the machine sleep or its clock set

    def find(self, paths: StudyPaths, study: Study, settings: Settings, *, live: bool) -> HealthFacts:
        """What there is to know. `live`: somebody runs it, so that it matters who does what."""
        untouched = {} if purge_days(settings) is None else untouched_days(paths, study)
        rest = replace(facts_at_rest(paths), untouched_days=untouched)
        if not live:
            self._busy_at = {}
            died = study.ended is None and study.last_run is not None
            return replace(rest, supervised=died and _is_supervised(paths))
        jump = self._clock_jump()
        attempts = open_attempts(paths, study)
        claimed = {number: at for number, files in attempts.items() if (at := _written(files.started)) is not None}
        beats = {number: at for number in claimed if (at := _written(attempts[number].alive)) is not None}
        lease = _written(paths.lease)
        newest = max([*beats.values(), *([] if lease is None else [lease])], default=None)
        holder = Identity.from_json(current_holder(paths.ledger))
        return replace(
            rest,
            quiet={} if newest is None else self._quiet(attempts, claimed, newest),
            lost_touch={} if newest is None else {number: newest - at for number, at in beats.items()},
            holder_silent=None if lease is None or newest is None else newest - lease,
            holder_stopped=lease is not None and holder.here and is_stopped(holder),
            takeovers=tuple(_takeovers(paths.ledger)),
            locked=tuple(_locked(paths, attempts, newest)),
            idle_cards=self._idle_cards(study),
            walltime=_walltime(settings, study),
            clock_jump=jump,
        )

    def _clock_jump(self) -> float | None:
        """By how much the clock was set since the last look. That, or sleep of the machine, makes silences look long."""
        before, self._clocks = self._clocks, (time.time(), _since_boot(), time.monotonic())
        if before is None:
            return None
        wall, passed, worked = (now - then for now, then in zip(self._clocks, before, strict=True))
        if max(abs(wall - passed), passed - worked) > _SET:
            self._awake = self._clocks[1]
        return wall - passed

    def _quiet(
        self, attempts: Mapping[int, AttemptPaths], claimed: Mapping[int, float], newest: float
    ) -> dict[int, float]:
        """Running trial → seconds since it last printed or reported, by the files' own clock, whose latest sign of life is
        `newest`; of one that was never claimed nothing is known."""
        found, most = {}, _since_boot() - self._awake
        for number, began in claimed.items():
            files = attempts[number]
            last = max(began, *(at for file in (files.log, files.reports) if (at := _written(file)) is not None), 0.0)
            found[number] = min(most, max(0.0, newest - last))
        return found

    def _idle_cards(self, study: Study) -> Mapping[str, float]:
        """Cards of running attempts of this host, and for how long they were idle at every look. The first look knows nothing."""
        open_ones = (trial.open_attempt for trial in study.in_state(TrialState.RUNNING))
        held = {card for attempt in open_ones if attempt is not None for card in attempt.gpus}
        first, self._first, now = self._first, False, _since_boot()
        if not held or first:
            self._busy_at = {}
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
    room, known = room_in(paths.root), HealthFacts(untold=untold_in(paths.told), unsent=unsent_in(paths))
    if room is None:
        return known
    return replace(known, disk_free=room.free, disk_total=room.size, inodes_free=room.inodes_free or None)


def _since_boot() -> float:
    """Seconds that nobody can set, sleep of the whole machine included. On macOS ``CLOCK_MONOTONIC`` counts it
    (clock_gettime(3)); `time.monotonic`, which is another clock there, does not."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def open_attempts(paths: StudyPaths, study: Study) -> dict[int, AttemptPaths]:
    """Running trial → the files of its attempt."""
    running = ((trial, trial.open_attempt) for trial in study.in_state(TrialState.RUNNING))
    return {trial.number: paths.attempt(trial.number, attempt.number) for trial, attempt in running if attempt}


def _is_supervised(paths: StudyPaths) -> bool:
    """Whether somebody begins it again where it died: a supervisor of its own, or a campaign's."""
    from outlast.study.campaign import CampaignPaths, campaigns_of  # rarely asked
    from outlast.study.home import home_of
    from outlast.study.supervision import live_supervision

    home = home_of(paths) or paths
    own: Collection[str] = {os.path.realpath(each.root) for each in (paths, home)}
    campaigns = (CampaignPaths.at(folder).supervisor for folder, _ in campaigns_of(home.root))
    known = [live_supervision(record) for record in (paths.supervisor, home.supervisor, *campaigns)]
    return any(
        each.condition in _TO_BE_RUN and os.path.realpath(each.folder) in own
        for found in known
        if found is not None
        for each in found.charges
    )


def _written(path: Path) -> float | None:
    """When a file was last written, by its filesystem's clock; ``None`` for none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _takeovers(ledger: Path) -> Iterator[str]:
    """When somebody took the ledger from a run that had not ended; turns, which tasks and workers take, are none."""
    numbers = listed_segments(ledger)[-_SEGMENTS:]
    for before, number in pairwise(numbers):
        header = first_lines(ledger, number)[0]
        if "turn" not in header.get("holder", {}) and b'"study_ended"' not in _tail(segment_path(ledger, before)):
            yield str(header.get("at", ""))


def _locked(paths: StudyPaths, attempts: Mapping[int, AttemptPaths], newest: float | None) -> Iterator[str]:
    for number, files in attempts.items():
        if re.search(_LOCKED, _tail(files.log)):
            yield f"trial {number}"
    written = _written(paths.run_log)  # words of an earlier run may be its last for days
    is_new = written is not None and newest is not None and newest - written < _LATELY
    if is_new and re.search(_LOCKED, _tail(paths.run_log)):
        yield paths.run_log.name


def untold_in(record: Path) -> str:
    """Why somebody who was to be told something does not have it, by what a study or a campaign has of that; mostly empty."""
    try:
        told = json.loads(record.read_bytes())
        late = {
            name: why for letter in told["letters"] for name in letter["left"] if (why := told["trouble"].get(name))
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "; ".join(f"{name}: {why}" for name, why in sorted(late.items()))


def unsent_in(paths: StudyPaths) -> str:
    """Which trackers do not take what they are sent, and why, or lack trials while nobody sends; mostly empty."""
    try:
        unsent = json.loads(paths.unsent.read_bytes())
        late = {
            name: f"{each['trouble']}, lacks {each['trials']} trials"
            if each["trouble"]
            else f"{each['trials']} trials that nobody sends"
            for name, each in unsent.items()
            if each["trouble"] or (each["trials"] and not _is_sent(paths))
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "; ".join(f"{name}: {why}" for name, why in sorted(late.items()))


def _is_sent(paths: StudyPaths) -> bool:
    from outlast._system.process_behind import is_worked_on

    return is_worked_on(paths.sending)


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
