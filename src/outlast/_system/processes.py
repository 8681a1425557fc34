"""Processes: who is who (pid, start, boot), who descends from whom, and who holds a lock."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from outlast._system.locks import lock_path
from outlast._system.own_pid import own_pid

_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO (include/linux/proc_ns.h)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_adopting_pid = 0
_LINUX = sys.platform.startswith("linux")


class Identity(NamedTuple):
    """One process, told apart from every other that had or will have its pid."""

    host: str
    boot: str
    pid: int
    start: str
    space: str = ""  # pid namespace: two containers of one host may share everything else

    def to_json(self) -> dict[str, Any]:
        """Plain object for a record."""
        return self._asdict()

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Identity:
        """Read it back; missing parts never match a live process."""
        return cls(
            str(obj.get("host", "")),
            str(obj.get("boot", "")),
            int(obj.get("pid", 0)),
            str(obj.get("start", "")),
            str(obj.get("space", "")),
        )

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process that this one could see: of this host and, in this boot, of this pid namespace."""
        return self.host == os.uname().nodename and (self.boot != _boot_id() or self.space == _pid_namespace())


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


@lru_cache(maxsize=1)
def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def in_container() -> bool:
    """Whether this is not the first PID namespace: whatever is left in it ends with its first process (pid_namespaces(7))."""
    return _pid_namespace() not in ("", _FIRST_NAMESPACE)


def _start_of(pid: int) -> str | None:
    """What tells this process from others with its pid: start time in clock ticks since boot (proc(5), stat field 22)."""
    if not _LINUX:
        import psutil

        try:
            return str(psutil.Process(pid).create_time())
        except psutil.Error:
            return None
    try:
        fields = stat_of(pid)
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def stat_of(pid: int) -> list[bytes]:
    """The fields of ``/proc/PID/stat`` behind the name, which may hold blanks (proc(5)). Linux only.

    Raises:
        OSError: There is no such process.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def identity_of(pid: int) -> Identity | None:
    """The live process with this pid, or ``None``. A zombie is not alive."""
    start = _start_of(pid)
    return None if start is None else Identity(os.uname().nodename, _boot_id(), pid, start, _pid_namespace())


def my_identity() -> Identity:
    """This process."""
    return _identity(own_pid())


@lru_cache(maxsize=1)
def _identity(own: int) -> Identity:
    me = identity_of(own)
    return me if me is not None else Identity(os.uname().nodename, _boot_id(), own, "", _pid_namespace())


def is_running(who: Identity) -> bool:
    """Whether exactly that process still runs. Only meaningful for a process of this host."""
    return who.boot == _boot_id() and _start_of(who.pid) == who.start


def is_stopped(who: Identity) -> bool:
    """Whether that process of this host is there and stopped, by SIGSTOP or a debugger (proc(5), state T or t). Linux only."""
    if not _LINUX or not is_running(who):
        return False
    try:
        return stat_of(who.pid)[0] in (b"T", b"t")
    except OSError:
        return False


@lru_cache(maxsize=1)
def _libc() -> Any:
    import ctypes  # most who look at processes need none

    return ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to SIGKILL this process when the thread that started it ends (prctl(2)). Linux only."""
    if _LINUX:
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def reap_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, setsid or not (prctl(2)). Linux only."""
    global _adopting_pid
    if _LINUX and not adopts_orphans() and _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        _adopting_pid = own_pid()


def adopts_orphans() -> bool:
    """Whether `reap_orphans` took effect here: then a process without children has no descendants either."""
    return _adopting_pid == own_pid()


def descendants(ancestor: int) -> list[int]:
    """The live children of a process, their children, and so on. Orphans of a subreaper are its children."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        children.setdefault(parent_of(pid), []).append(pid)
    found, wave = [], children.get(ancestor, [])
    while wave:
        found += wave
        wave = [child for pid in wave for child in children.get(pid, [])]
    return [pid for pid in found if _start_of(pid) is not None]


def parent_of(pid: int) -> int:
    """The pid of a process' parent; -1 where there is no such process."""
    if _LINUX:
        try:
            return int(stat_of(pid)[1])
        except OSError:
            return -1
    import psutil

    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return -1


def lock_holders(path: str) -> list[int]:
    """The processes of this host, other than this one, that hold the flock on a file, inherited or not. Linux only."""
    try:
        wanted = os.stat(lock_path(path))
    except OSError:
        return []
    return [pid for pid in all_pids() if _LINUX and pid != os.getpid() and _holds_lock(pid, wanted)]


def _holds_lock(pid: int, wanted: os.stat_result) -> bool:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            if os.path.samestat(wanted, os.stat(f"/proc/{pid}/fd/{name}")):
                with open(f"/proc/{pid}/fdinfo/{name}") as file:  # a "lock:" line where this open file has it, proc(5)
                    if "FLOCK" in file.read():
                        return True
        except OSError:
            continue
    return False


def all_pids() -> Iterable[int]:
    """The processes of this host that this one sees."""
    if _LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil

    return [int(pid) for pid in psutil.pids()]
