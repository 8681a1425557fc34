"""What the file ``alive`` holds: the heartbeat, and what a host that sees new files late could otherwise not know.

The first line is the heartbeat and is written over. On a network filesystem the runner's claim and, in the end, the evidence
follow, one line each: copies of ``started.json`` and ``exit.json``, written after those. The file exists from the start, so
whoever opens it reads what it has now, while a file that was looked for in vain stays missing for up to a minute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Alive(Struct, frozen=True):
    """The file as it was read."""

    beat: bytes = b""
    claim: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, data: bytes | None) -> Alive:
        """Read it; a line that is not whole is none."""
        beat, *copies = (data or b"").split(b"\n")[:-1] or [b""]
        claim, evidence, *_ = [*map(_parsed, copies), None, None]
        return cls(beat, claim, evidence)


def beat(number: int, seconds: float, at: str) -> bytes:
    """The line of a heartbeat: its number, seconds of training, and the time; always of the same length."""
    return f"{number:012d} {seconds:012.1f} {at}\n".encode()


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
