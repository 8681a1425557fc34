"""A real terminal in a real tmux, of its own server: what a person would see there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab.waiting import until

TESTS = Path(__file__).parents[1]


class Tmux:
    """One window. `close` ends it, and whatever runs in it."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._socket = str(folder / "tmux")
        environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "COLUMNS", "LINES", "NO_COLOR")}
        size = ["-x", str(width), "-y", str(height)]
        shell = f"env TZ=UTC LC_ALL=C.UTF-8 PS1='$ ' TERM=screen-256color PYTHONPATH={TESTS.parent}:{TESTS} sh"
        command = ["tmux", "-u", "-S", self._socket, "-f", "/dev/null", "new-session", "-d", "-s", "w", *size, shell]
        subprocess.run(command, check=True, env=environment, cwd=folder)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-u", "-S", self._socket, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        if keys:
            self._tmux("send-keys", "-t", "w", *keys)

    def run(self, words: Sequence[str]) -> None:
        """Type a command on an empty screen."""
        self.type(f"clear; {' '.join(words)}", "Enter")

    def show(self, *words: str) -> None:
        """Show the campaign that the captures are of; `words` as its program takes them."""
        self.run([sys.executable, "-m", "cli_live.campaign", *words])

    def lines(self, *, history: bool = False) -> list[str]:
        """What stands in the window, and above it, without blanks at the ends of lines."""
        return self._tmux("capture-pane", "-p", "-t", "w", *(["-S", "-"] if history else [])).splitlines()

    def waits_for(self, text: str) -> list[str]:
        """The window, once that stands in it."""

        def seen() -> list[str]:
            lines = self.lines()
            return lines if any(text in line for line in lines) else []

        return until(seen, lambda: "\n".join([text, *self.lines()]), 60.0)

    def resize(self, width: int, height: int) -> None:
        """Make the window so large."""
        self._tmux("resize-window", "-t", "w", "-x", str(width), "-y", str(height))

    def close(self) -> None:
        """End it."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)
