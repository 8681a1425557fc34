"""One study's coordinator as its supervisor knows it: begun or found, looked at, asked to stop, replaced."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from outlast._system.clock import utc_now
from outlast._system.processes import Identity, identity_of, is_running, is_stopped
from outlast._system.reading import read_json
from outlast.core.fold import seconds_between
from outlast.core.records import StudyEnded
from outlast.core.states import StudyState
from outlast.engine.campaign.orders import Orders, begin, is_supervised
from outlast.engine.campaign.restarts import Ending
from outlast.engine.campaign.vital_signs import Signs
from outlast.engine.care.stop import stop_study
from outlast.engine.record.examine import read_study
from outlast.errors import OutlastError
from outlast.study import requests
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, holder_is_live
from outlast.study.supervision import Charge

_MOST_WORDS = 20_000  # bytes of the end of a log in which its last words are looked for


class Coordination:
    """Between a supervisor and the coordinator of one study, of which there is one at a time.

    Attributes:
        process: Who coordinates, or did last.
        ours: A supervisor began it: it may be ended by force.
    """

    def __init__(self, orders: Orders) -> None:
        self.orders, self.paths = orders, StudyPaths.at(orders.folder)
        self.process: Identity | None = None
        self.ours = True
        self.since = ""
        self._ended_before: StudyEnded | None = None  # how it stood when ours was begun
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = self._has_held = False
        self._begun = time.monotonic()
        self._log_began = 0
        self._stopped_since: float | None = None
        self._seen: tuple[tuple[int, int] | None, float] | None = None  # the lease's marker, and since when it is so
        self._round_seen: tuple[float, float] | None = None

    # -- beginning ----------------------------------------------------------------------------------------------------

    def find(self, before: Charge | None) -> bool:
        """Take over a coordinator that lives: one that an earlier supervisor had, or whoever holds the study on this host.

        Returns whether there is one.
        """
        who, since = None, ""
        holder = current_holder(self.paths.ledger)
        if holder and holder_is_live(self.paths.ledger):
            who, since = Identity.from_json(holder), str(holder.get("since", ""))
        elif before is not None and before.process is not None and before.process.here and is_running(before.process):
            who, since = before.process, before.since
        if who is None or who.pid == os.getpid():
            return False
        self._forget()
        self.process, self.since, self._child, self.ours = who, since, None, is_supervised(who.pid)
        return True

    def begin(self) -> None:
        """Start one.

        Raises:
            OSError: No process can be had, or the folder cannot be written.
        """
        self._forget()
        self.since, self._ended_before = utc_now(), self._ended()
        self._child = begin(self.orders)
        with contextlib.suppress(OSError):
            self._log_began = os.stat(self.paths.run_log).st_size
        self.process, self.ours = identity_of(self._child.pid), True

    def _forget(self) -> None:
        self._asked = self._has_held = False
        self._begun = time.monotonic()
        self._stopped_since = self._seen = self._round_seen = None

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether it has the study in hand."""
        holder = current_holder(self.paths.ledger)
        return self.process is not None and holder.get("pid") == self.process.pid

    def ending(self) -> Ending | None:
        """How it ended; ``None`` while it is there."""
        code = None
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return None
        elif self.process is not None and is_running(self.process):
            return None
        return Ending(code, self._came_to(), self._asked, self._lived())

    def _lived(self) -> float:
        """Seconds; of one that somebody else began, by the clock of the day."""
        seen = time.monotonic() - self._begun
        return seen if self._child is not None or not self.since else max(seen, seconds_between(self.since, utc_now()))

    def _came_to(self) -> str:
        """How the study came to rest since this coordinator was begun."""
        ended = self._ended()
        if self._child is not None:  # whatever became of this machine's clock meanwhile
            return "" if ended is None or ended == self._ended_before else ended.state
        return "" if ended is None or (self.since and ended.at < self.since) else ended.state

    def _ended(self) -> StudyEnded | None:
        try:
            return read_study(self.paths).ended
        except OutlastError:
            return None

    def signs(self) -> Signs:
        """What is seen of it now."""
        if self.process is None:
            return Signs()
        now = time.monotonic()
        if not is_stopped(self.process):
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now
        stopped = 0.0 if self._stopped_since is None else now - self._stopped_since
        holds = self.holds
        self._has_held = self._has_held or holds
        if not holds or (marker := _marker(self.paths)) is None:
            self._seen = self._round_seen = None
            return Signs(stopped, absent=0.0 if self._has_held else now - self._begun)
        if self._seen is None or self._seen[0] != marker:
            self._seen = marker, now
        return Signs(stopped, now - self._seen[1], self._idle(now))

    def _idle(self, now: float) -> float:
        """Seconds since a round was over, of which a coordinator of ours gives a sign (`life.Living`)."""
        if not self.ours:
            return 0.0
        try:
            touched = os.stat(self.paths.run_log).st_mtime
        except OSError:
            return 0.0
        if self._round_seen is None or self._round_seen[0] != touched:
            self._round_seen = touched, now
        return now - self._round_seen[1]

    def last_words(self) -> str:
        """What was wrong, in one line, as far as it said so."""
        try:
            with open(self.paths.run_log, "rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_began, size), size - _MOST_WORDS))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        at = max((at for at, line in enumerate(lines) if line.startswith("error:")), default=None)
        if at is None:
            return ""
        more = itertools.takewhile(lambda line: line.startswith(" "), lines[at + 1 :])  # what helps
        return "; ".join([lines[at].removeprefix("error:").strip(), *map(str.strip, more)])

    def is_leaving(self) -> bool:
        """Whether a person has asked it to stop, and it is not gone yet: it may have ended its study, and draw its last files."""
        if self._asked_for_its_end() or self._came_to() == StudyState.STOPPED.value:
            return True
        try:
            trials = read_study(self.paths).trials.values()
        except OutlastError:
            return False
        attempts = ((each.number, each.open_attempt) for each in trials)
        asked = [read_json(self.paths.attempt(number, found.number).asked) for number, found in attempts if found]
        return bool(asked) and all(isinstance(each, dict) and each.get("reason") == "user" for each in asked)

    def asked_to_end(self) -> Mapping[str, Any] | None:
        """In which way a person has asked for the study's end while nobody held it, if so; such a request is taken."""
        asked = self._asked_for_its_end()
        for each in asked:
            requests.take(self.paths, each)
        return asked[-1].content if asked else None

    def _asked_for_its_end(self) -> list[requests.Request]:
        """The requests to stop that are about all of the study, not about one trial."""
        return [
            each for each in requests.pending(self.paths) if each.kind == "stop" and each.content.get("trial") is None
        ]

    # -- ending -------------------------------------------------------------------------------------------------------

    def ask_to_stop(self, *, now: bool = False, by_person: bool = True) -> None:
        """Once: running trials may save and leave. Again, or with `now`: without any grace.

        Args:
            by_person: A machine that goes down asks otherwise, which is kept with the study's end.
        """
        self._asked = True
        if now and by_person:  # two signals that follow each other soon may be one
            with contextlib.suppress(OSError):
                requests.drop(self.paths, "stop", now=True)
        self._send(signal.SIGINT if by_person else signal.SIGTERM)
        if self.ours and self._stopped_since is not None:
            self._send(signal.SIGCONT)

    def end_what_trains(self, *, now: bool = False) -> str:
        """Where nobody coordinates, ask what trains all the same to stop. Returns what happened; empty: nothing trains."""
        try:
            if all(trial.open_attempt is None for trial in read_study(self.paths).trials.values()):
                return ""
            return stop_study(str(self.paths.root), now=now, say=lambda _: None)
        except (OutlastError, OSError):
            return ""

    def replace(self) -> None:
        """End it by force, and what it runs not: the next one takes that over. Its lease, once it wakes up, would be void."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.process is not None and (self._child is not None or is_running(self.process)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.process.pid, number)


def _marker(paths: StudyPaths) -> tuple[int, int] | None:
    try:
        status = os.stat(paths.lease)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
