"""Asking one trial to stop, by the command that a person would type: nobody waits for it here, and nothing is decided here."""

from __future__ import annotations

import subprocess
import sys


class Stopping:
    """Requests under way, one after the other."""

    def __init__(self) -> None:
        self._asked: list[subprocess.Popen[str]] = []
        self._refused = ""

    def ask(self, folder: str, trial: int) -> None:
        """Have ``outlast stop FOLDER --trial N`` typed."""
        command = [sys.executable, "-m", "outlast", "stop", folder, "--trial", str(trial)]
        try:
            self._asked.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                    start_new_session=True,
                )
            )  # fmt: skip
        except OSError as error:  # no process to be had: the terminal is still there
            self._refused = f"trial {trial} was not asked: {error.strerror or error}"

    def said(self) -> str:
        """What came of those that have been answered since; empty where none was."""
        over = [process for process in self._asked if process.poll() is not None]
        self._asked = [process for process in self._asked if process not in over]
        refused, self._refused = self._refused, ""
        words = [refused, *(" ".join(process.communicate()[0].split()) for process in over)]
        return " ".join(filter(None, words))
