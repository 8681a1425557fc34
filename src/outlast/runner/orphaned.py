"""Whether the coordinator still lives, as a runner sees it; and that people are told when it does not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from outlast.core.file_names import AttemptPaths, StudyNames


class Orphaned:
    """Compares two files' times by their filesystem's clock: that of the lease, which a coordinator's heartbeat renews, and ours.

    A lease that is not there was given back: nobody died. Who tells looks closer, and several that begin at once tell once
    (`outlast.engine.telling`).

    Args:
        root: The study folder.
        files: Of the attempt.
        after: Seconds without a heartbeat; ``None``: nobody is to be told.
    """

    def __init__(self, root: Path, files: AttemptPaths, after: float | None) -> None:
        self._root, self._alive, self._lease, self._after = root, files.alive, StudyNames(root).lease, after
        self._next = 0.0
        self._noticed = False

    def look(self, now: float) -> None:
        """Look, now and then, and have it told, once for each coordinator that dies. `now`: seconds of training."""
        if self._after is None or now < self._next:
            return
        self._next = now + self._after / 4
        noticed, self._noticed = self._noticed, self._is_silent()
        if self._noticed and not noticed:
            self._tell()

    def leave(self) -> None:
        """The training is over, and whatever it left was ended, perhaps who tells as well: that is begun again."""
        if self._noticed and self._is_silent():
            self._tell()

    def _is_silent(self) -> bool:
        try:
            return os.stat(self._alive).st_mtime - os.stat(self._lease).st_mtime > (self._after or 0.0)
        except OSError:
            return False

    def _tell(self) -> None:
        with contextlib.suppress(OSError):
            process = subprocess.Popen(
                [sys.executable, "-m", "outlast", "tell", os.curdir, "--once"], cwd=self._root, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # behind the trainings
