"""The lease: who may decide. A hint with a heartbeat (filelock's soft lease); the ledger's segment numbers are the fence."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from outlast._system.processes import Identity, is_running, my_identity
from outlast._system.reading import read_bytes, unstale
from outlast._system.syncing import make_dir
from outlast.core.file_names import StudyNames
from outlast.errors import LeaseLost, StudyBusy
from outlast.study.segments import TAKEN_OVER, await_newest, folder_identity, is_held, newest_header, newest_segment

_DURATION = 30.0
_MOMENT = 0.3  # seconds for taking over from a dead holder where that needs more than one look (no RENAME_EXCHANGE)
_ASIDE = 0.1  # seconds for which a marker that lives may be missing under its name


def lease_duration() -> float:
    """Seconds without a heartbeat after which a holder on another host, or a stopped one, may be superseded."""
    return float(os.environ.get("OUTLAST_LEASE_SECONDS", _DURATION))


class Lease:
    """Held by the coordinator while it decides."""

    def __init__(self, path: Path) -> None:
        make_dir(path.parent)
        self._path, self._ledger = path, StudyNames(path.parent).ledger
        self._seen: tuple[tuple[int, tuple[int, int]], float] | None = None  # the marker, and since when it is so
        self._marker = 0  # our own one's inode, while we hold it; 0: not known
        from filelock import SoftFileLease  # here: whoever only looks at a lease needs none

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
        brought = self._was_brought_here()
        self._remove_idle_marker()
        if not self._acquired(max(wait, _MOMENT)) and not self._superseded(say):
            raise StudyBusy(describe_holder(self._holder, self._path.parent))
        self._await_newest(brought)

    def _was_brought_here(self) -> bool:
        """Whether the ledger came from another folder, so that there is no newer segment to wait for."""
        return self._look() is None and _is_of_another_folder(self._ledger, self._holder)

    def _superseded(self, say: Callable[[str], object] | None) -> bool:
        """Take the lease from a holder that is gone, or from one that shows no sign of life for as long as the lease lasts.

        filelock does so itself where names can be exchanged, which NFS cannot: there it leaves every marker where it is.
        """
        if self._break_if_abandoned():
            return self._acquired(_MOMENT)
        if not self._silent():
            return False
        if say is not None:
            who = f"pid {self._holder.get('pid', '?')} on {self._holder.get('host', '?')}"
            rest = f"has been silent: taking over unless it shows up within {lease_duration():g} s"
            say(f"the process that runs this study ({who}) {rest}")
        return self._acquired(lease_duration() + 1.0) or (self._break_if_abandoned() and self._acquired(_MOMENT))

    def _break_if_abandoned(self) -> bool:
        """Remove the marker if its holder died on this host, or if it is what it was when we began to look at it, a lease ago."""
        marker, now = self._look(), time.monotonic()
        if marker is None:
            return True
        if self._seen is None or self._seen[0] != marker:
            self._seen = marker, now
        holder = self._holder
        dead = _certainly_dead(holder) and self._lock.pid == holder.get("pid")
        if not dead and now - self._seen[1] < lease_duration():
            return False
        self._break(marker)
        return True

    def take_if_free(self) -> bool:
        """Take the lease if nobody has it, its holder died on this host, or earlier calls have seen it silent for long enough.

        Waits for nothing, except that a host that sees the newest segment late waits until it does.
        """
        brought = self._was_brought_here()
        self._remove_idle_marker()
        if not self._acquired(0.0) and not (self._break_if_abandoned() and self._acquired(0.0)):
            return False
        self._await_newest(brought)
        return True

    def _await_newest(self, brought: bool) -> None:
        try:
            if not brought:
                await_newest(self._ledger)
        except BaseException:  # whoever called does not know that it is held
            self.release()
            raise

    def _acquired(self, timeout: float) -> bool:
        from filelock import LeaseSettingsMismatch, Timeout

        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.05)
        except (Timeout, LeaseSettingsMismatch):
            return False
        ours = self._look()
        self._marker = 0 if ours is None else ours[1][0]
        return True

    def check(self) -> None:
        """Raise `LeaseLost` where somebody has taken it from us since: we were away for longer than it lasts."""
        if not self._is_ours():
            time.sleep(_ASIDE)  # somebody who judged the marker before ours may have it aside, and puts it back
            if not self._is_ours():
                raise LeaseLost(TAKEN_OVER)

    def _is_ours(self) -> bool:
        there = self._look()
        return there is not None and self._marker in (0, there[1][0])

    @property
    def _holder(self) -> Mapping[str, Any]:
        return current_holder(self._ledger)

    def _remove_idle_marker(self) -> None:
        """Remove a marker that nobody stands behind and that would block the study for good.

        An empty one is what a process leaves that dies, with the machine or alone, between creating and writing it; one that
        came with a copied or unpacked folder belongs to the original's holder; one that says nothing of a holder, while the
        last one on record is dead, was damaged. Fencing does not depend on it.
        """
        look = self._look()
        if look is None:
            return
        nobodys = look[0] == 0 or (self._lock.pid is None and not self._may_be_held)
        if nobodys:  # or its holder is about to write it
            time.sleep(_MOMENT)
            if self._look() == look:
                self._break(look)
        elif _is_copy(self._ledger) and self._lock.pid == self._holder.get("pid"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    @property
    def _may_be_held(self) -> bool:
        """Whether the last holder on record may be alive, and its marker be this one."""
        return bool(self._holder) and not _is_copy(self._ledger) and not _certainly_dead(self._holder)

    def _look(self, path: str | os.PathLike[str] | None = None) -> tuple[int, tuple[int, int]] | None:
        """Size, inode and time of the marker; opened, as a stat would be answered from NFS's cache."""
        try:
            fd = unstale(os.open, path or self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        return status.st_size, (status.st_ino, status.st_mtime_ns)

    def _break(self, judged: tuple[int, tuple[int, int]]) -> None:
        """Remove a marker if it is the one that was judged. A moment remains in which it is not; the ledger is the fence."""
        aside = f"{self._path}.break.{os.getpid()}.{os.urandom(16).hex()}"
        try:
            os.rename(self._path, aside)
        except FileNotFoundError:
            return
        if self._look(aside) != judged:
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(aside, self._path)
        with contextlib.suppress(FileNotFoundError):  # a holder on another host cleared it away
            os.unlink(aside)

    def _silent(self) -> bool:
        """Whether the marker looks as if nobody refreshed it: by two times of the filesystem's clock, never by a host's."""
        marker = self._look()
        return marker is None or (self._now_of_filesystem() - marker[1][1]) / 1e9 > 0.6 * lease_duration()

    def _now_of_filesystem(self) -> int:
        beside = f"{self._path}.break.{os.getpid()}.{os.urandom(16).hex()}"
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.utime(fd)
            return os.fstat(fd).st_mtime_ns
        finally:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):  # as above
                os.unlink(beside)

    def release(self) -> None:
        """Give it back."""
        self._lock.release()

    def __enter__(self) -> Lease:
        """Hold it for a block, at whose end it is given back: `acquire` it, without waiting, where it is not held already."""
        if not self._lock.is_locked:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def current_holder(ledger: Path) -> Mapping[str, Any]:
    """Who claimed the newest segment: host, boot, pid, start, and what else it said."""
    header = newest_header(ledger)
    return {**header["holder"], "since": header.get("at", "")} if isinstance(header.get("holder"), dict) else {}


def holder_is_live(ledger: Path) -> bool | None:
    """Whether the newest segment's holder runs: known for this host, ``None`` for another."""
    holder = current_holder(ledger)
    marked = read_bytes(StudyNames(ledger.parent).lease) is not None
    if is_held(ledger, newest_segment(ledger)) is False and (marked or not _is_of_another_folder(ledger, holder)):
        return None  # somebody has taken over that this host does not see yet
    if not holder or not marked or _is_copy(ledger):
        return False
    who = Identity.from_json(holder)
    return is_running(who) if who.here else None


def _certainly_dead(holder: Mapping[str, Any]) -> bool:
    who = Identity.from_json(holder)
    return bool(holder) and who.here and not is_running(who)


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


def _is_of_another_folder(ledger: Path, holder: Mapping[str, Any]) -> bool:
    """Whether the newest segment was claimed in another folder, by the inode alone: hosts number devices differently.

    That is so at home and in what was restored from it, where no file ever said that the segment is held. Some filesystems
    number inodes differently on each host as well: believed only where there is no marker either.
    """
    recorded = holder.get("folder") or folder_identity(ledger.parent)
    return bool(recorded[-1] != folder_identity(ledger.parent)[-1])


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
