"""Why a worker leaves: there is nothing more to do, it was told to, its walltime is over, or it cannot go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from outlast.errors import OutlastError, StorageError

_REFUSED_FOR = 600.0  # seconds for the disk to come back


class Leaving:
    """Whether a worker leaves. It asks for no more trials then, and goes once what it began is over and taken in.

    Args:
        say: Takes a line for the person; does without where the disk of our log is the one that refuses.

    Attributes:
        begun: It leaves.
        pressed: How often a person, or the machine, asked it to.
        requeue: It does so as a job whose walltime is almost over.
        failure: Why it leaves once nothing runs here any more.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self.begun, self.pressed, self.requeue = False, 0, False
        self.failure: OutlastError | None = None
        self._refused, self._refused_since = "", 0.0  # what the disk says, and since when

    def press(self, *, requeue: bool) -> None:
        """It was asked to."""
        self.begun, self.pressed, self.requeue = True, self.pressed + 1, self.requeue or requeue

    def nothing_refused(self) -> None:
        """All went well just now."""
        self._refused, self._refused_since = "", 0.0

    def bear(self, error: OutlastError | OSError, *, running: bool) -> None:
        """What runs here is not to blame for a disk that refuses, nor for a study that cannot be read, and is left to its end."""
        error, now = StorageError.of(error) if isinstance(error, OSError) else error, time.monotonic()
        self._refused_since = self._refused_since or now
        if not error.worth_retrying or (not running and now - self._refused_since > _REFUSED_FOR):
            self.failure, self.begun = error, True
        said = str(error).splitlines()[0]
        if said != self._refused and (self.failure is None or running):
            self._refused = said
            then = "trying again" if self.failure is None else "leaving once what runs here has ended"
            self._say(f"{said}; {then}")
