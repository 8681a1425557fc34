"""What a study cannot do without, kept on a mounted drive several times over: snapshots, each of which proves itself.

A drive may tear what was written last, give back what was there before, or lose it with the session. So there are several
places, each written in whole: two in turn whenever there is something new, and two in turn only every ten minutes, for a drive
may lose all that was written within minutes. A snapshot begins with its own length and checksum. Whoever reads takes the newest
that is whole: what is newer and is not is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from outlast._system.clock import utc_now
from outlast._system.reading import list_names
from outlast._system.syncing import make_dir
from outlast._system.wary import patiently, write_verified
from outlast.errors import UsageError

_OFTEN, _SELDOM = ("0", "1"), ("2", "3")


def every_seconds() -> float:
    """How often at most a place is written that is written seldom, and a trial's checkpoints are brought."""
    return float(os.environ.get("OUTLAST_HOME_SECONDS") or 600.0)


class Snapshot(Struct, frozen=True):
    """One of them.

    Attributes:
        number: Which is the newer one.
        writer: Of the run that made it.
        at: When.
        files: Path in the study folder → content: the ledger, and the small files that no trial makes.
        sums: Path → SHA-256 of larger files that lie beside it on the drive.
    """

    number: int
    writer: str
    at: str
    files: Mapping[str, str] = {}
    sums: Mapping[str, str] = {}


class Snapshots:
    """The snapshots in a folder, and the next one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writer, self._since = folder, os.urandom(6).hex(), utc_now()
        self._last = 0
        self._seldom_at = 0.0

    def write(self, files: Mapping[str, str], sums: Mapping[str, str]) -> Path:
        """Make one in the place of the oldest. Returns its path.

        Raises:
            OSError: A disk refused, or it is not there as it was written; the others are whole.
            UsageError: Another run has brought something here since this one began.
        """
        there = {path: head for path in paths_of(self._folder) if (head := _head(path)) is not None}
        self._refuse_another(there.values())
        self._last = max([self._last, *(int(head["number"]) for head in there.values())]) + 1
        body = zlib.compress(json.dumps({"files": files, "sums": sums}).encode())
        head = {
            "snapshot": 1, "number": self._last, "writer": self._writer, "at": utc_now(),
            "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(),
        }  # fmt: skip
        make_dir(self._folder, durable=False)
        seldom = time.monotonic() >= self._seldom_at
        numbers = {path.name: int(head["number"]) for path, head in there.items()}
        path = self._folder / min(_SELDOM if seldom else _OFTEN, key=lambda name: numbers.get(name, 0))
        write_verified(path, json.dumps(head).encode() + b"\n" + body)
        if seldom:
            self._seldom_at = time.monotonic() + every_seconds()
        return path

    def _refuse_another(self, heads: Any) -> None:
        """One that an earlier run made may appear late; one that was made since then cannot be an earlier run's."""
        for head in heads:
            if head.get("writer") != self._writer and str(head.get("at", "")) > later(self._since):
                raise UsageError(
                    f"another session brings this study home to {self._folder.parent} as well ({head.get('at')})",
                    cure="end one of the two; what this one does stays here and is not brought home",
                )


def read_snapshots(folder: Path) -> tuple[list[Snapshot], list[str]]:
    """The snapshots that are whole, the newest first; and those that are not, by their names."""
    found, torn = [], []
    for path in paths_of(folder):
        snapshot = _read(path)
        if snapshot is None:
            torn.append(path.name)
        else:
            found.append(snapshot)
    return sorted(found, key=lambda each: (each.number, each.at), reverse=True), torn


def paths_of(folder: Path) -> list[Path]:
    """Whatever may be one: a drive may have made a second file of one name under another."""
    return [folder / name for name in sorted(patiently(list_names, folder)) if not name.startswith(".")]


def _read(path: Path) -> Snapshot | None:
    try:
        head_line, _, body = patiently(path.read_bytes).partition(b"\n")
        head = json.loads(head_line)
        if len(body) != head["bytes"] or hashlib.sha256(body).hexdigest() != head["sha256"]:
            return None
        held = json.loads(zlib.decompress(body))
        return Snapshot(int(head["number"]), head["writer"], head["at"], held["files"], held["sums"])
    except (OSError, ValueError, KeyError, TypeError, zlib.error):
        return None


def _head(path: Path) -> dict[str, Any] | None:
    """What a snapshot says first; ``None`` where it says nothing of the kind.

    Raises:
        OSError: The drive does not let us read: it may be the newest, and is not written over.
    """

    def read() -> bytes:
        with open(path, "rb") as file:
            return file.readline(4096)

    try:
        head = json.loads(patiently(read))
        return head if isinstance(head, dict) and isinstance(head.get("number"), int) else None
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return None


def later(at: str) -> str:
    """What is later than a time for sure. Clocks of two machines may differ by a little: half a minute."""
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(at) + timedelta(seconds=30)).isoformat(timespec="milliseconds")
