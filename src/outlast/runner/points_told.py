"""That the coordinator hears of points as they come: what is printed or reported is looked for without waiting for a tick."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from outlast._system.clock import Clock
from outlast._system.file_events import WRITTEN, FolderEvents
from outlast.runner.capture.session import CaptureSession
from outlast.runner.lane import Lane

#: Seconds between looks for points, while there are some: pruning waits for them.
SOON = 0.02


class PointsTold:
    """Looks for points and tells them over the lane, if there is one."""

    def __init__(self, capture: CaptureSession, lane: Lane | None, clock: Clock) -> None:
        self._capture, self._lane, self._clock = capture, lane, clock
        self._looked_at = 0.0
        self._reported: FolderEvents | None = None
        self._due = False  # something was reported
        self.tell()  # from now on

    def listen(self, reports: Path) -> None:
        """From now on the kernel says when the training reports something, where there is somebody to tell it."""
        if self._lane is None or not self._lane.open:
            return
        with contextlib.suppress(OSError):
            os.close(os.open(reports, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
            self._reported = FolderEvents(str(reports))
            self._reported.ask_for(WRITTEN)
            self._due = True

    @property
    def fd(self) -> int | None:
        """Readable when something was reported; ``None`` where nobody says so, or it is known."""
        return None if self._reported is None or self._due else self._reported.fd

    @property
    def due(self) -> bool:
        """Whether something is to be looked for soon."""
        return self._due or self._capture.fed

    def woken(self) -> None:
        """`fd` was readable."""
        if self._reported is not None:
            self._due = self._reported.forget()

    def look(self) -> None:
        """Look for points if there are some, and nobody looked just now."""
        now = self._clock.monotonic()
        if self.due and now - self._looked_at >= SOON:
            self._looked_at, self._due = now, False
            self._capture.poll()
            self.tell()

    def tell(self) -> None:
        """Tell the coordinator what was found."""
        if self._lane is not None and (lines := self._capture.take_lines()):
            self._lane.say("points", lines=lines.decode("latin-1"))  # any byte is one

    def close(self) -> None:
        """The training is over."""
        if self._reported is not None:
            self._reported.close()
