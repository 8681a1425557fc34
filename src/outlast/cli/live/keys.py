"""The keyboard of a live view: keys as they are pressed, and a terminal that is as it was whatever ends the process.

Only the line mode and the echo are switched off, so that Ctrl-C and Ctrl-Z mean what they always do. A small shell stands by: if
we are killed, it puts back what we changed, unless somebody else has set the terminal since.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from typing import Any

try:
    import termios
except ImportError:  # pragma: no cover - no terminal of that kind
    termios = None  # type: ignore[assignment]

#: Reads one line when we close it in order, and nothing when we are gone.
_GUARD = 'trap "" INT QUIT TSTP TTOU HUP; read _ <&3 || { [ "$(stty -g)" = "$1" ] && stty "$0"; }'
_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left", "\x1b[H": "home", "\x1b[F": "end",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left", "\x1bOH": "home", "\x1bOF": "end",
    "\x1b[1~": "home", "\x1b[4~": "end", "\x1b[5~": "page up", "\x1b[6~": "page down",
    "\r": "enter", "\n": "enter", "\x1b": "escape", "\x7f": "back", "\x08": "back", "\x0c": "redraw",
    "j": "down", "k": "up", "g": "home", "G": "end", "h": "left",
}  # fmt: skip
_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[@-~])|.", re.DOTALL)
_CUT = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*|O)?\Z")
_REST = 0.05  # seconds within which the rest of a sequence comes


def keys_of(text: str) -> list[str]:
    """What was pressed, by names: ``up``, ``enter``, ``page down``; letters as they are. Unknown sequences are left out."""
    found = (_NAMES.get(key, key) for key in _KEY.findall(text))
    return [key for key in found if len(key) > 1 or key.isprintable()]


def read_keys(fd: int) -> str:
    """What can be read now. The rest of an escape sequence, which SSH may cut, is waited for; a lone Escape has none."""
    text = os.read(fd, 4096)
    while _CUT.search(text) and select.select([fd], [], [], _REST)[0] and (more := os.read(fd, 4096)):
        text += more
    return text.decode(errors="replace")


class Keyboard:
    """Of the terminal that this process is in front of; where there is none, or we are in the background, nothing is pressed."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._before: list[Any] | None = None  # the terminal's modes as we found them
        self._guard: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    @property
    def is_there(self) -> bool:
        """Whether keys can be read now."""
        try:
            return termios is not None and os.isatty(self._fd) and os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def read(self) -> list[str]:
        """What was pressed since; never waits for a key. Sets the terminal up where that is to be done, or again (Ctrl-Z, fg)."""
        if not self.is_there:
            return []
        try:
            self._set_up()
            if not select.select([self._fd], [], [], 0)[0]:
                return []
            return keys_of(read_keys(self._fd))
        except (OSError, termios.error):
            return []

    def wait(self, seconds: float) -> None:
        """Until something is pressed, at most so long."""
        if not self.is_there:
            time.sleep(seconds)
            return
        with contextlib.suppress(OSError):
            select.select([self._fd], [], [], seconds)

    def close(self) -> None:
        """The terminal is as it was."""
        if self._before is not None and self.is_there:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        self._before = None
        if self._guard is not None:
            with contextlib.suppress(OSError):
                os.write(self._pipe, b"\n")
            os.close(self._pipe)
            self._guard.wait()
            self._guard = None

    def _set_up(self) -> None:
        now = termios.tcgetattr(self._fd)
        if not now[3] & (termios.ICANON | termios.ECHO):
            return
        self._before = now
        ours = [*now[:3], now[3] & ~(termios.ICANON | termios.ECHO), *now[4:6], [*now[6]]]
        ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0
        saved = self._modes() if self._guard is None else ""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, ours)
        if self._guard is None:
            self._stand_by(saved, self._modes())

    def _modes(self) -> str:
        """As ``stty -g`` has them: what the shell can put back."""
        asked = ["stty", "-g"]
        try:
            return subprocess.run(asked, stdin=self._fd, capture_output=True, text=True, check=False).stdout.strip()
        except OSError:
            return ""

    def _stand_by(self, saved: str, ours: str) -> None:
        if not saved or not ours:
            return
        reads, self._pipe = os.pipe()
        try:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", f"exec 3<&{reads}; {_GUARD}", saved, ours],
                stdin=self._fd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[reads],
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            os.close(self._pipe)
        finally:
            os.close(reads)


def keyboard_of(stream: object = None) -> Keyboard | None:
    """The keyboard in front of a terminal that shows our words; ``None`` where those go elsewhere, or nothing can be pressed."""
    out = sys.stdout if stream is None else stream
    keyboard = Keyboard()
    return keyboard if getattr(out, "isatty", bool)() and keyboard.is_there else None
