"""Studies that share slots, without coordinators: what they take and what of it ends is said by the test."""

from __future__ import annotations

import os
from typing import Any

from outlast.executors.shared_slots import SharedSlots, Sharing


class Time:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class Study:
    """One of a campaign's."""

    def __init__(self, folder: str, name: str, parts: int, time: Time, **sharing: Any) -> None:
        self.name, self.running, self._next = name, {}, 0
        self.running: dict[str, int]
        self.slots = SharedSlots(Sharing(folder, name, **sharing), parts, time)

    def want(self, wanted: int) -> int:
        """Ask for slots; attempts begin in those that it gets. Returns how many."""
        got = self.slots.take(wanted)
        for lock in got:
            slot = f"local:{self._next}"
            self._next += 1
            self.running[slot] = lock
            self.slots.began(slot)
        return len(got)

    def end(self, many: int = 1) -> None:
        """Attempts end, the oldest first."""
        for slot in list(self.running)[:many]:
            os.close(self.running.pop(slot))
            self.slots.ended(slot)

    def die(self) -> dict[str, int]:
        """The coordinator is killed; its attempts go on. Returns what they hold."""
        self.slots._own.close(keep=True)
        self.slots._events.close()
        os.close(self.slots._machine)
        left, self.running = self.running, {}
        self.slots = None  # type: ignore[assignment]
        return left

    def adopt(self, running: dict[str, int]) -> None:
        """What an earlier coordinator of the study had begun goes on under this one."""
        self.running, self._next = dict(running), len(running)
        for slot in running:
            self.slots.began(slot)

    def leave(self) -> None:
        """The end of its run."""
        for lock in self.running.values():
            os.close(lock)
        if self.slots is not None:
            self.slots.close()
