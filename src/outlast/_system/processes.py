"""Processes: who is who (pid, start, boot), who belongs to an attempt (by its token), and how a tree is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from outlast._system.locks import lock_path
from outlast._system.own_pid import own_pid

_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO (include/linux/proc_ns.h)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_adopting_pid = 0
_worn_at: int | None = None  # where this process wears its token, in its memory
_LINUX = sys.platform.startswith("linux")
#: An attempt's token is in its processes' environment. Others look for it in ``/proc/PID/environ``, which shows the block of
#: memory that a process was executed with (proc(5), ``env_start`` and ``env_end`` in stat). A process that is to be forked is
#: therefore executed with room in that block, and its forks, which never execute anything, write their token there.
VARIABLE = "OUTLAST_TOKEN"
_ROOM_BYTES = 192  # a token has less than 80
_FLAGS, _ENV_START = 9 - 3, 50 - 3  # fields of stat behind the name, which may hold blanks
_NO_MEMORY = 0x4 | 0x200000  # PF_EXITING, PF_KTHREAD (include/linux/sched.h)
_EXECUTED_WITHIN = 1.0  # seconds; it takes longer only where a program is read from a disk that hangs


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
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


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
        with open(f"/proc/{who.pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
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


def processes_with(token: str) -> list[int]:
    """The live processes of this host whose environment carries the token, other than this one."""
    needle = token.encode()
    found = []
    for pid in _all_pids():
        if pid != os.getpid() and needle in environment_of(pid) and _start_of(pid) is not None:
            found.append(pid)
    return found


def descendants(ancestor: int) -> list[int]:
    """The live children of a process, their children, and so on. Orphans of a subreaper are its children."""
    children: dict[int, list[int]] = {}
    for pid in _all_pids():
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
            with open(f"/proc/{pid}/stat", "rb") as file:
                return int(file.read().rpartition(b")")[2].split()[1])
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
    return [pid for pid in _all_pids() if _LINUX and pid != os.getpid() and _holds_lock(pid, wanted)]


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


def _all_pids() -> Iterable[int]:
    if _LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil

    return [int(pid) for pid in psutil.pids()]


def environment_of(pid: int) -> bytes:
    """What a process was executed with, variables ended by zero bytes; empty where it cannot be read: another user's, gone."""
    if _LINUX:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                found = file.read()
        except OSError:
            return b""
        return found or _environment_once_executed(pid)
    import psutil

    try:
        return "\0".join(f"{k}={v}" for k, v in psutil.Process(pid).environ().items()).encode()
    except psutil.Error:
        return b""


def _environment_once_executed(pid: int) -> bytes:
    """Of a process that shows none. One that is being executed has given the old one up, and shows the new one in a moment.

    That lasts some milliseconds where the machine is busy. Whoever ends what wears a token must not miss it.
    """
    deadline = time.monotonic() + _EXECUTED_WITHIN
    while _is_being_executed(pid) and time.monotonic() < deadline:
        time.sleep(0.001)
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if found := file.read():
                return found
    return b""


def _is_being_executed(pid: int) -> bool:
    """Whether its new memory does not say yet where the environment lies. Threads of the kernel, and who ends, have no memory."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in (b"Z", b"X") and not int(fields[_FLAGS]) & _NO_MEMORY and fields[_ENV_START + 1] == b"0"


def end_processes(token: str, *, grace: float = 0.0, give_up_after: float = 10.0) -> list[int]:
    """End every process of this host that carries the token: SIGTERM and `grace` seconds, then SIGKILL until none is left.

    Returns:
        Pids that are still there after `give_up_after` seconds of SIGKILL (stuck in the kernel, or not ours).
    """
    if grace > 0:
        signal_each(processes_with(token), signal.SIGTERM)
        deadline = time.monotonic() + grace
        while processes_with(token) and time.monotonic() < deadline:
            time.sleep(0.02)
    deadline = time.monotonic() + give_up_after
    while left := processes_with(token):
        signal_each(left, signal.SIGKILL)
        if time.monotonic() > deadline:
            return left
        time.sleep(0.01)
    return []


def signal_each(pids: Iterable[int], number: int) -> None:
    """Send a signal to each that is there, and ours."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def token_room() -> str:
    """The value of `VARIABLE` for a process whose forks will wear tokens."""
    return " " * _ROOM_BYTES


def wear_token(token: str) -> bool:
    """Show this token, and no other, in this process's block of environment.

    Returns:
        Whether others can see it; not so where there is no such block (macOS) or no room in it.
    """
    import ctypes

    global _worn_at
    worn, name = token.encode().ljust(_ROOM_BYTES), f"{VARIABLE}=".encode()
    try:
        if (
            _worn_at is not None
            and ctypes.string_at(_worn_at - len(name), len(name)) == name
            and len(worn) == _ROOM_BYTES
        ):
            ctypes.memmove(
                _worn_at, worn, _ROOM_BYTES
            )  # others have seen what this process, or the one it is a fork of, wore
            return True
        place = _token_place()
        if place is None or len(worn) > _ROOM_BYTES:
            return False
        ctypes.memmove(place, worn, _ROOM_BYTES)
        with open("/proc/self/environ", "rb") as file:
            seen = worn in file.read()
        _worn_at = place if seen else None
        return seen
    except OSError:
        return False


def _token_place() -> int | None:
    """The address of the room."""
    import ctypes

    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[_ENV_START]), int(fields[_ENV_START + 1])
    if not 0 < start < end:
        return None
    block, name = b"\0" + ctypes.string_at(start, end - start), f"\0{VARIABLE}=".encode()
    at = block.find(name)
    begin = at + len(name)  # in `block`, which has one byte more before it
    value = block[begin:].split(b"\0", 1)[0]
    return start + begin - 1 if at >= 0 and len(value) == _ROOM_BYTES else None
