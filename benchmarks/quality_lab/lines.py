"""A process that answers each line of JSON with one: a peer, or the one that trains."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

from quality_lab.environments import clean_environment

HERE = Path(__file__).parent
#: Beyond this many seconds an answer is not waited for.
LONGEST = 900.0
#: So many seconds a process has to clear up after the end of its input.
TIDY = 10.0


class Failed(Exception):
    """It said why, or it is gone, or did not answer."""


class Lines:
    """The process; what it says beside its answers goes to a log."""

    def __init__(self, argv: list[str], log: Path) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env={**clean_environment(), "PYTHONPATH": str(HERE)},
        )  # fmt: skip
        self._rest = b""

    def call(self, **said: Any) -> dict[str, Any]:
        """Its answer.

        Raises:
            Failed: See there.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(said).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Failed(f"it is gone: {error}") from None
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        until, descriptor = time.monotonic() + LONGEST, self._process.stdout.fileno()
        while b"\n" not in self._rest:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise Failed(f"no answer within {LONGEST:.0f} s")
            read = os.read(descriptor, 1 << 16)
            if not read:
                raise Failed(f"it ended with {self._process.wait(30)}; see {self._log.name}")
            self._rest += read
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    @property
    def processor_seconds(self) -> float:
        """What it used so far."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it: by the end of its input, so that it can clear up, and by force if that takes long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # what was left to write to it
            self._process.stdin.close()
        try:
            self._process.wait(TIDY)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(30)
        self._process.stdout.close()
        self._log.close()
