"""Fault injection: kill, stop or starve a process of Outlast at an exact file operation.

``OUTLAST_FAULTS`` holds a JSON object; with ``OUTLAST_OBSERVER=outlast.testing.fault_injection:install_from_environment``, the
coordinator and the runner read it at their start. Keys:

- ``role``: ``coordinator`` or ``runner``: whose operations count. Absent: both.
- ``kill_at``: SIGKILL right before the n-th operation (from 1).
- ``kill_on``: ``{"op": …, "path": glob, "match": regex, "nth": 1}``: SIGKILL right before the n-th operation that matches;
  ``path`` is held against the path and the target, ``match`` against the end of ``"OP PATH"`` (the target's, where there is
  one). With ``"later": k`` it is the k-th operation after that one.
- ``stop_on``: the same with SIGSTOP: the process is paused until somebody continues it.
- ``fail_on``: the same with ``"errno": 28``: the operation raises `OSError` (``"times"``: how often, default 1).
- ``once``: a file that is created when a fault strikes; where it exists already, nothing strikes any more. So one process
  is hit although every process that is started reads the same plan.
- ``record``: append every operation to this file, a JSON object a line.

Operations are those of ``outlast._system.files``: write, copy, fsync, rename, link, unlink, mkdir, append, fsync_dir, rmdir,
rmtree, symlink.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
import signal
import threading
from collections.abc import Mapping
from typing import Any

from outlast._system import observed

__all__ = ["Faults", "install_from_environment"]


class Faults:
    """Counts operations and does what was asked when its moment comes."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._plan = plan
        self._count = 0
        self._matches: dict[str, int] = {}
        self._at: dict[str, int] = {}  # the operation at which a later fault is due
        self._lock = threading.Lock()

    def __call__(self, operation: str, path: str, **detail: Any) -> None:
        """The observer of `outlast._system.observed`."""
        with self._lock:
            self._count += 1
            record = self._plan.get("record")
            if record:
                _record(record, self._count, operation, path, detail)
            at = self._plan.get("kill_at") == self._count
            if (self._due("kill_on", operation, path, detail) or at) and self._strikes():
                os.kill(os.getpid(), signal.SIGKILL)
            if self._due("stop_on", operation, path, detail) and self._strikes():
                # This thread's own: sent to the process, another may take it, and this one goes on until that one's turn.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            if self._due("fail_on", operation, path, detail) and self._strikes():
                number = int(self._plan["fail_on"].get("errno", 28))
                raise OSError(number, os.strerror(number), path)

    def _due(self, key: str, operation: str, path: str, detail: Mapping[str, Any]) -> bool:
        wanted = self._plan.get(key)
        if not wanted:
            return False
        if key in self._at:
            return self._at[key] == self._count
        if not _matches(wanted, operation, path, str(detail.get("target", ""))):
            return False
        self._matches[key] = self._matches.get(key, 0) + 1
        first, later = int(wanted.get("nth", 1)), int(wanted.get("later", 0))
        if not first <= self._matches[key] < first + int(wanted.get("times", 1)):
            return False
        if later:
            self._at[key] = self._count + later
        return not later

    def _strikes(self) -> bool:
        once = self._plan.get("once")
        if not once:
            return True
        try:
            os.close(os.open(once, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            return False
        return True


def _matches(wanted: Mapping[str, Any], operation: str, path: str, target: str) -> bool:
    if wanted.get("op", operation) != operation:
        return False
    if "match" in wanted:
        about = target if operation in ("link", "rename") else path
        return re.search(f"(?:{wanted['match']})$", f"{operation} {about}") is not None
    pattern = wanted.get("path", "*")
    return fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(target, pattern)


def _record(path: str, count: int, operation: str, about: str, detail: Mapping[str, Any]) -> None:
    plain = {key: base64.b64encode(v).decode() if isinstance(v, bytes) else v for key, v in detail.items()}
    line = json.dumps({"n": count, "pid": os.getpid(), "op": operation, "path": about, **plain}) + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def install_from_environment(role: str) -> None:
    """Install what ``OUTLAST_FAULTS`` asks of this role; a fork in another role has no part in what its parent installed."""
    plan = json.loads(os.environ.get("OUTLAST_FAULTS") or "null")
    observed.observer = Faults(plan) if plan is not None and plan.get("role") in (None, role) else None
