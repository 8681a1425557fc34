"""``report.html`` while a search runs: drawn by a process of its own, now and then, and nobody waits for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from outlast.study.layout import StudyPaths

_EVERY = 60.0  # seconds between two beginnings, and before the first
_SHARE = 0.03  # of the time that drawing may take
_LONGEST = 600.0  # seconds; then it hangs


class ReportBehind:
    """Has the page drawn again when there is news.

    It holds nothing of the study, and a process that fails, or cannot be started, costs the page only. ``OUTLAST_PLOTS=0``
    leaves it out, as it does the plots.

    Args:
        paths: The study's files.
        start: Starts a process that draws.
        clock: Seconds.
    """

    def __init__(
        self,
        paths: StudyPaths,
        *,
        start: Callable[[StudyPaths], subprocess.Popen[bytes] | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths, self._start, self._clock = paths, start or _drawn, clock
        self._off = os.environ.get("OUTLAST_PLOTS") == "0"
        self._process: subprocess.Popen[bytes] | None = None
        self._began, self._due, self._news = 0.0, clock() + _EVERY, False

    def looked(self, *, news: bool) -> None:
        """Begin to draw where it is time; look after what draws.

        Args:
            news: Whether anything was decided since the last call.
        """
        self._news, now = self._news or news, self._clock()
        if self._process is not None:
            took = now - self._began
            if self._process.poll() is None:
                if took > _LONGEST:
                    self.close()
                return
            self._process, self._due = None, self._began + max(_EVERY, took / _SHARE)
        if self._news and now >= self._due and not self._off:
            self._process, self._began, self._news = self._start(self._paths), now, False
            self._due = now + _EVERY

    def close(self) -> None:
        """End what draws: a last page is drawn when the study has come to rest."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)


def _drawn(paths: StudyPaths) -> subprocess.Popen[bytes] | None:
    return drawing(paths, ["report", os.curdir, "--behind"])


def drawing(paths: StudyPaths, words: Sequence[str]) -> subprocess.Popen[bytes] | None:
    """Start a command of ours that draws something, in the study folder, which it goes on to mean if that is moved aside.

    Args:
        paths: The study's files.
        words: The command's, without ``outlast``.

    Returns:
        The process; ``None`` where none can be started.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OUTLAST_FAULTS"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "outlast", *words], cwd=paths.root, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # behind the trainings, and what a person does next
    return process
