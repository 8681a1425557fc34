"""The live view of a run: finished trials scroll by above a small block that says where the study stands.

No thread and no alternate screen: whatever kills the process leaves a usable terminal with everything that was said. On
a pipe there is one plain line per finished trial, and a progress line now and then.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

from outlast.cli.phrases import counts_text, speed_text
from outlast.cli.render import event_text, progress_block
from outlast.cli.text import one_line
from outlast.config.settings import Settings
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.times import metric_value

_REDRAW_SECONDS = 0.25
_PLAIN_SECONDS = 30.0
_SHARE_OF_TIME = 0.05  # what looking may cost: a study of ten thousand trials is looked at less often
_MOST_RUNNING = 6  # in a window of up to 30 lines
_WIDE = 120  # columns
#: Lines kept for one redraw; of a study that finishes hundreds of trials a second the rest is in trials.csv.
_MOST_PENDING = 200


class LiveView:
    """Shows a run while it goes on, on a console of `make_console`. Use it from one thread; call `close` whatever happens."""

    def __init__(self, console: Console, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._metric = settings.metrics[0].name
        self._clock = clock
        self._block = console.is_terminal and not console.is_dumb_terminal and not console.is_jupyter
        self._drawn: list[int] = []  # cells per line of the block on the screen
        self._pending: deque[str] = deque()
        self._skipped = 0
        self._due = -math.inf if self._block else clock() + _PLAIN_SECONDS
        self._last_plain = ""

    @property
    def is_wide(self) -> bool:
        """Whether a line has room for a trial's parameters behind its result."""
        return self._block and self._console.width >= _WIDE

    def update(self, snapshot: Snapshot | Callable[[], Snapshot]) -> None:
        """Show the current state; redrawn at most four times a second (piped: one line every 30 s), else free.

        Args:
            snapshot: The state, or a function that makes it and is only called when something is drawn.
        """
        began = self._clock()
        self._leave_terminal()
        if began < self._due:
            return
        current = snapshot() if callable(snapshot) else snapshot
        if self._block:
            self._draw(current)
        else:
            line = progress_line(current)
            if line != self._last_plain:
                self._print_plain(line)
                self._last_plain = line
        now = self._clock()
        self._due = now + max(_REDRAW_SECONDS if self._block else _PLAIN_SECONDS, (now - began) / _SHARE_OF_TIME)

    def event(self, text: str) -> None:
        """Say one line that stays: a finished trial, a warning."""
        self._leave_terminal()
        if not self._block:
            self._print_plain(text)
            return
        self._pending.append(text)
        if len(self._pending) > _MOST_PENDING:
            self._pending.popleft()
            self._skipped += 1

    def close(self) -> None:
        """Take the block away; what was said stays."""
        self._leave_terminal()
        if self._block:
            self._write(self._erase() + self._said())

    def _leave_terminal(self) -> None:
        """Go on with plain lines if the terminal was closed and our words go to a file now."""
        if not self._block or self._console.is_terminal:
            return
        self._block, self._drawn = False, []
        self._due = self._clock() + _PLAIN_SECONDS
        while self._pending:
            self._print_plain(self._pending.popleft())

    def _print_plain(self, text: str) -> None:
        self._console.print(one_line(text), soft_wrap=True)

    def _draw(self, snapshot: Snapshot) -> None:
        room = max(0, min(max(_MOST_RUNNING, self._console.height - 24), self._console.height - 8))
        block = progress_block(snapshot, snapshot.running, self._metric, most_running=room)
        said = self._said()
        with self._console.capture() as capture:
            self._console.print(Group(*block), crop=True)  # one row a line: it has to be taken back
        # A block higher than the window could not be taken back: the cursor stops at the top.
        lines = capture.get().split("\n")[:-1][: max(1, self._console.height - 1)]
        erase = self._erase()
        self._drawn = [cell_len(Text.from_ansi(line).plain) for line in lines]
        self._write(erase + said + "".join(f"{line}\n" for line in lines))

    def _said(self) -> str:
        """The pending lines, as they will stand above the block."""
        if not self._pending:
            return ""
        with self._console.capture() as capture:
            if self._skipped:
                self._console.print(f"and {self._skipped} trials before these: see trials.csv", style="dim")
            for text in self._pending:
                self._console.print(event_text(text))
        self._pending.clear()
        self._skipped = 0
        return capture.get()

    def _erase(self) -> str:
        """Back to the first line of the block, however the terminal wrapped it when it was made narrower."""
        width = max(1, self._console.width)
        rows = sum(max(1, -(-cells // width)) for cells in self._drawn)
        self._drawn = []
        return f"\x1b[{rows}A\r\x1b[J" if rows else ""

    def _write(self, data: str) -> None:
        if data:
            self._console.file.write(data)
            self._console.file.flush()


def progress_line(snapshot: Snapshot) -> str:
    """The state on one plain line."""
    total = "" if snapshot.target is None else f"/{snapshot.target}"
    done = snapshot.finished if snapshot.target is None else snapshot.counted
    parts = [f"{done}{total} trials", counts_text(snapshot).plain]
    if snapshot.best is not None:
        name = snapshot.metrics[0][0]
        parts.append(f"best {name}={metric_value(name, snapshot.best.value)} (trial {snapshot.best.trial})")
    parts.append(speed_text(snapshot))
    parts += [f"warning: {warning.text}" for warning in snapshot.warnings[:1]]
    return "; ".join(filter(None, parts))
