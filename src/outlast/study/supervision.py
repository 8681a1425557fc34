"""Who looks after several studies, or after one that runs in the background: a record beside a lock.

The lock says on this host that somebody does, and goes with the process that has it; the record says who, and how each study
does as seen by whoever restarts it. It can be lost without harm.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, to_builtins

from outlast._system.clock import utc_now
from outlast._system.locks import FileLock, is_locked
from outlast._system.processes import Identity, is_running, my_identity
from outlast._system.syncing import make_dir

_FRESH = 120.0  # seconds without a touch after which a supervisor on another host is taken for gone
_AGAIN = 5  # looks at a record that is just being written

Condition = Literal["starting", "running", "waiting", "ended", "refused", "given up"]


class Charge(Struct, frozen=True):
    """One study as its supervisor sees it."""

    study: str
    folder: str  # absolute: who reads this may be elsewhere
    condition: Condition = "starting"
    process: Identity | None = None  # its coordinator, the last one
    ours: bool = True  # a supervisor began it, and may end it
    since: str = ""  # that it is so, or that the coordinator was begun; UTC, ISO 8601
    restarts: int = 0
    word: str = ""  # for a person: why it was begun again, what is wrong with it, why it cannot start
    asked: bool = False  # a person asked for its end: only a person begins it again
    code: int | None = None  # once it has ended: what `outlast run` would leave with


class Supervision(Struct, frozen=True):
    """Who looks after which studies."""

    process: Identity
    since: str
    charges: tuple[Charge, ...] = ()

    def of(self, study: str) -> Charge | None:
        """The study of that name."""
        return next((each for each in self.charges if each.study == study), None)


def read_supervision(path: str | os.PathLike[str]) -> Supervision | None:
    """What the record says, also of one who is gone; ``None`` where there is none that can be read."""
    for _ in range(_AGAIN):
        try:
            data = Path(path).read_bytes()
        except OSError:
            return None
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            return _read_back(msgspec.json.decode(data))
        if not data:
            return None
        time.sleep(0.01)  # it is written in place: the lock is on it
    return None


def _recorded(supervision: Supervision) -> dict[str, Any]:
    """The record: each process as an object, whose fields other programs find by their names."""
    charges = [
        {**to_builtins(each), "process": None if each.process is None else each.process.to_json()}
        for each in supervision.charges
    ]
    return {**to_builtins(supervision), "process": supervision.process.to_json(), "charges": charges}


def _read_back(record: Any) -> Supervision:
    """What `_recorded` made.

    Raises:
        msgspec.ValidationError: It is no such record.
    """
    if isinstance(record, dict):
        charges = record.get("charges", ())
        for each in (record, *(charges if isinstance(charges, list) else ())):
            if isinstance(each, dict) and isinstance(each.get("process"), dict):
                each["process"] = Identity.from_json(each["process"])
    return msgspec.convert(record, Supervision)


def live_supervision(path: str | os.PathLike[str]) -> Supervision | None:
    """The same of one who is there; ``None`` where nobody is. On another host: as far as the record is fresh."""
    found = read_supervision(path)
    if found is None:
        return None
    if found.process.here:
        return found if is_running(found.process) and _is_held(path) else None
    with contextlib.suppress(OSError):
        return found if time.time() - os.stat(path).st_mtime < _FRESH else None
    return None


def _is_held(path: str | os.PathLike[str]) -> bool:
    """Whether somebody holds the record's lock; where we may not try, because it is another user's or read-only, the record
    is believed."""
    try:
        return bool(is_locked(os.fspath(path)))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return True
        raise


class Post:
    """The place of the one who looks after: taken by one process of a host at a time."""

    def __init__(self, path: Path) -> None:
        make_dir(path.parent)
        self.path = path
        self.since = utc_now()
        self._lock = FileLock(os.fspath(path))

    def take(self) -> bool:
        """Take it. Returns whether it was free."""
        return self._lock.acquire()

    def write(self, charges: tuple[Charge, ...]) -> None:
        """Say who looks after what. A disk that refuses costs the record only."""
        data = msgspec.json.format(
            msgspec.json.encode(_recorded(Supervision(my_identity(), self.since, charges))), indent=2
        )
        with contextlib.suppress(OSError):
            os.pwrite(self._lock.content, data, 0)
            os.ftruncate(self._lock.content, len(data))

    def close(self) -> None:
        """Leave it."""
        self._lock.close()
