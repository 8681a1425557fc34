"""The lease: who may decide. A hint with a heartbeat (filelock's soft lease); the ledger's segment numbers are the fence."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from outlast._system import Identity, is_running, make_dir, my_identity
from outlast.errors import StudyBusy
from outlast.study.ledger import folder_identity, newest_header

__all__ = ["Lease", "current_holder", "holder_is_live", "rebooted_since"]

_DURATION = 30.0
_MOMENT = 0.3  # seconds for taking over from a dead holder where that needs more than one look (no RENAME_EXCHANGE)


def lease_duration() -> float:
    """Seconds without a heartbeat after which a holder on another host, or a stopped one, may be superseded."""
    return float(os.environ.get("OUTLAST_LEASE_SECONDS", _DURATION))


class Lease:
    """Held by the coordinator while it decides."""

    def __init__(self, path: Path) -> None:
        make_dir(path.parent)
        self._path = path
        self._lock = SoftFileLease(str(path), lease_duration=lease_duration(), thread_local=False)

    def acquire(self, *, wait: float = 0.0, say: Callable[[str], object] | None = None) -> None:
        """Take the lease.

        Args:
            wait: Seconds to wait for it. A holder that died on this host is superseded at once; one on another host, or one that
                is stopped, only after it has been silent for the lease's duration. Where the holder has been silent for a
                while already, that long is waited in any case.
            say: Told that there is something to wait for.

        Raises:
            StudyBusy: Somebody else holds it.
        """
        self._remove_idle_marker()
        if self._acquired(max(wait, _MOMENT)):
            return
        if self._silent():
            if say is not None:
                say(
                    f"{_who(self._holder)} has been silent: taking over unless it shows up within {lease_duration():g} s"
                )
            if self._acquired(lease_duration() + 1.0):
                return
        raise StudyBusy(describe_holder(self._holder, self._path.parent))

    def take_if_free(self) -> bool:
        """Take the lease if nobody has it, or its holder is certainly dead; wait for nothing."""
        self._remove_idle_marker()
        return self._acquired(0.0)

    def _acquired(self, timeout: float) -> bool:
        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.05)
        except (Timeout, LeaseSettingsMismatch):
            return False
        return True

    @property
    def _holder(self) -> Mapping[str, Any]:
        return current_holder(self._path.parent / "ledger")

    def _remove_idle_marker(self) -> None:
        """Remove a marker that nobody stands behind and that would block the study for good.

        An empty one is what a process leaves that dies, with the machine or alone, between creating and writing it; one that
        came with a copied or unpacked folder belongs to the original's holder. Fencing does not depend on it.
        """
        look = self._look()
        if look is None:
            return
        size, changed = look
        if size == 0:
            time.sleep(_MOMENT)
            if self._look() == (0, changed):
                self._unlink()
        elif _is_copy(self._path.parent / "ledger") and self._lock.pid == self._holder.get("pid"):
            self._unlink()

    def _look(self) -> tuple[int, tuple[int, int]] | None:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        return status.st_size, (status.st_ino, status.st_mtime_ns)

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _silent(self) -> bool:
        """Whether the marker looks as if nobody refreshed it. A guess by two clocks: it only decides whether to wait."""
        try:
            return time.time() - os.stat(self._path).st_mtime > 0.6 * lease_duration()
        except FileNotFoundError:
            return True

    @property
    def compromised(self) -> bool:
        """Whether the marker was lost to somebody else since we took it."""
        return self._lock.compromise is not None

    def release(self) -> None:
        """Give it back."""
        self._lock.release()


def current_holder(ledger: Path) -> Mapping[str, Any]:
    """Who claimed the newest segment: host, boot, pid, start, and what else it said."""
    header = newest_header(ledger)
    return {**header["holder"], "since": header.get("at", "")} if isinstance(header.get("holder"), dict) else {}


def holder_is_live(ledger: Path) -> bool | None:
    """Whether the newest segment's holder runs: known for this host, ``None`` for another."""
    holder = current_holder(ledger)
    if not holder or not (ledger.parent / "lease").exists() or _is_copy(ledger):
        return False
    who = Identity.from_json(holder)
    return is_running(who) if who.here else None


def rebooted_since(holder: Mapping[str, Any]) -> bool:
    """Whether this host was started anew since that process held the study: what was not synced then may be lost."""
    me = my_identity()
    return bool(holder) and holder.get("host") == me.host and holder.get("boot") != me.boot


def _is_copy(ledger: Path) -> bool:
    """Whether this folder is a copy of the one that its newest segment was claimed in, as far as this host can tell."""
    holder = current_holder(ledger)
    if not holder.get("folder") or not Identity.from_json(holder).here:
        return False
    return bool(holder["folder"] != folder_identity(ledger.parent))


def _who(holder: Mapping[str, Any]) -> str:
    return f"the process that runs this study (pid {holder.get('pid', '?')} on {holder.get('host', '?')})"


def describe_holder(holder: Mapping[str, Any], root: Path) -> str:
    """One line: who runs the study, and what to do instead of running it twice."""
    who = (
        f"pid {holder['pid']} on {holder.get('host')}, since {holder.get('since')}" if "pid" in holder else "it begins"
    )
    from_here = os.path.relpath(root)
    place = root if from_here.startswith(os.pardir) else from_here
    return (
        f"this study is being run already ({who})\n"
        f"  watch it:      outlast status -w {place}\n"
        f"  help it:       outlast worker {place}\n"
        f"  end that run:  outlast stop {place}"
    )
