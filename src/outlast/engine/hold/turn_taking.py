"""When a worker takes a turn: it waits for an answer, something ended here, reports wait for the pruner, tasks were lost,
tables and index are behind."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from outlast._system.clock import jittered
from outlast._system.processes import identity_of, is_stopped
from outlast._system.reading import read_bytes
from outlast.engine.derived.catching_up import is_behind, is_wanted
from outlast.engine.hold.asking import Asking
from outlast.engine.hold.children import Children
from outlast.engine.hold.workplace import Workplace
from outlast.errors import LeaseLost

if TYPE_CHECKING:
    from outlast.core.plan import Verdict
    from outlast.engine.coordinator.coordinator import Coordinator
    from outlast.engine.hold.turn import Memory
    from outlast.study.lease import Lease

_JUDGE_EVERY = 30.0  # seconds between two turns that only show reports to the pruner
_LOOK_EVERY = 300.0  # seconds between two looks for tasks of our array that were lost, whoever looks
_MARK_EVERY = 10.0  # seconds between looks whether tables and index are behind
_MARK_AGAIN = 1.0  # the same, once they were
_LOOK_AGAIN = 20.0  # the same, once some were
_LOOK_CLOSER_AFTER = 1.0  # seconds that the lease is somebody else's before we look whether that process lives
_LOOK_IN_ANY_CASE_AFTER = 30.0  # the same where there seems to be such a process on this host


class TurnTaking:
    """Holds the study for a moment where that is due and nobody else does."""

    def __init__(self, workplace: Workplace, asking: Asking, children: Children) -> None:
        self._at, self._asking, self._children = workplace, asking, children
        self._lease: Lease | None = None
        self._memory: Memory | None = None
        self._held: tuple[bytes, float] | None = None  # the lease's marker, and since when it is that one
        self._judged_at = time.monotonic()
        self._look_at, self._found_lost = time.monotonic() + _look_every(), False  # for tasks that were lost
        self._found_behind = False
        self._look_for_mark_later()  # whether tables and index are behind
        self._told: set[str] = set()  # what need not be said turn after turn

    def take(self) -> bool:
        """Take a turn if one is due. Returns whether we did.

        Raises:
            OutlastError: It went wrong, but the lease was given back.
        """
        self._found_behind = False
        lease = self._free_lease() if self._is_due() else None
        if lease is None:
            return False
        self._hold(lease, derive=True if self._found_behind else None)
        self._judged_at = time.monotonic()
        if self._found_behind:
            self._look_for_mark_later()
        return True

    def draw_last(self) -> None:
        """Before a worker by hand leaves: draw what it left to others, who may be gone. (After an array its finisher draws.)

        Raises:
            OutlastError: As `take`.
        """
        lease = self._free_lease() if self._at.job is None and is_behind(self._at.paths) else None
        if lease is not None:
            self._hold(lease, derive=True)

    def _hold(self, lease: Lease, *, derive: bool | None = None) -> None:
        with lease:  # even where a module cannot be read just now
            from outlast.engine.hold.turn import Memory, take_turn

            self._memory = self._memory or Memory()
            try:
                take_turn(self._at.paths.root, lease, self._memory, say=self._at.say, last=self._top_up, derive=derive)
            except LeaseLost as lost:  # somebody was quicker: their turn
                if not lost.worth_retrying:
                    raise

    def _is_due(self) -> bool:
        if self._asking.waits or self._children.ended or self._finds_lost_tasks() or self._finds_what_is_behind():
            return True
        if not self._asking.judges or time.monotonic() - self._judged_at < _judge_every():
            return False
        self._judged_at = time.monotonic()
        return self._children.have_reported()

    def _finds_what_is_behind(self) -> bool:
        """Whether others left tables and index to whoever has the time: a worker whose trial runs."""
        now = time.monotonic()
        if not self._children.running or self._at.leaving.begun or now < self._mark_at:
            return False
        self._found_behind = is_wanted(self._at.paths)
        self._look_for_mark_later(
            _MARK_AGAIN if self._found_behind else _MARK_EVERY
        )  # soon, where somebody holds the study
        return self._found_behind

    def _look_for_mark_later(self, seconds: float = _MARK_EVERY) -> None:
        self._mark_at = time.monotonic() + jittered(seconds, 0.5, 1.5)

    def _finds_lost_tasks(self) -> bool:
        """Whether tasks of our array were lost that nobody knows of. One task looks for all, now and then."""
        now = time.monotonic()
        if self._at.job is None or not self._children.running or self._at.leaving.begun or now < self._look_at:
            return False
        self._look_at = now + jittered(_look_every(), 1.0, 1.5)
        if not self._looks_for_all():
            return False
        self._have_sent()
        lost = self._at.job.something_was_lost()
        if lost:  # a heartbeat that stands still tells only whoever sees it twice
            self._look_at = now + min(_LOOK_AGAIN, _look_every())
        self._found_lost = lost
        return lost

    def _have_sent(self) -> None:
        """Have the study's trackers sent what they lack: of an array, nobody else would before its end."""
        if b"\ntracking:" not in (read_bytes(self._at.paths.study_file) or b""):
            return
        import subprocess

        from outlast._system.process_behind import started

        started(self._at.paths.root, ["send", os.curdir, "--once"], os.environ, stdin=subprocess.DEVNULL)

    def _looks_for_all(self) -> bool:
        """Whether it is our turn to look: nobody has for as long, or we have found something. By two hosts' clocks perhaps."""
        mark = self._at.paths.looked
        try:
            recently = abs(time.time() - os.stat(mark).st_mtime) < _look_every()
        except OSError:
            recently = False
        if recently and not self._found_lost:
            return False
        mark.touch()
        return True

    def _free_lease(self) -> Lease | None:
        """The lease, if nobody has it, or whoever has it seems to do so for longer than a turn takes and may be dead."""
        now, marker = time.monotonic(), read_bytes(self._at.paths.lease)
        if marker is None or self._held is None or self._held[0] != marker:  # from turn to turn it is another one's
            self._held = None if marker is None else (marker, now)
        if self._held is not None:
            waited = now - self._held[1]
            if waited < _LOOK_CLOSER_AFTER or (waited < _LOOK_IN_ANY_CASE_AFTER and is_at_work(self._held[0])):
                return None
        from outlast.study.lease import Lease

        self._lease = self._lease or Lease(self._at.paths.lease)
        return self._lease if self._lease.take_if_free() else None

    def _top_up(self, coordinator: Coordinator, verdict: Verdict | None) -> None:
        """Before the lease is given back: make up for tasks that were lost. Not while we are sent away, perhaps all of us."""
        if self._at.job is not None and not self._at.leaving.pressed and not self._at.leaving.requeue:
            self._at.job.top_up(coordinator, verdict, self._say_once)

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._at.say(text)


def is_at_work(marker: bytes) -> bool:
    """Whether the process of this host that a lease's marker names is there. Of another host's nothing is known.

    (Without what reads markers for good: of five hundred tasks that wait for one another each would load it.)
    """
    told = dict(line.split("=", 1) for line in marker.decode("ascii", "replace").splitlines() if "=" in line)
    if told.get("host") != os.uname().nodename or not told.get("pid", "").isdigit():
        return False
    who = identity_of(int(told["pid"]))
    return who is not None and not is_stopped(who)


def _look_every() -> float:
    return float(os.environ.get("OUTLAST_LOOK_SECONDS") or _LOOK_EVERY)


def _judge_every() -> float:
    return float(os.environ.get("OUTLAST_JUDGE_SECONDS") or _JUDGE_EVERY)
