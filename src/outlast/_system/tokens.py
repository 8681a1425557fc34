"""Tokens: who belongs to an attempt, in whatever session or group it is, and how all of them are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

from outlast._system.processes import all_pids, identity_of, stat_of

_LINUX = sys.platform.startswith("linux")
#: An attempt's token is in its processes' environment. Others look for it in ``/proc/PID/environ``, which shows the block of
#: memory that a process was executed with (proc(5), ``env_start`` and ``env_end`` in stat). A process that is to be forked is
#: therefore executed with room in that block, and its forks, which never execute anything, write their token there.
VARIABLE = "OUTLAST_TOKEN"
_ROOM_BYTES = 192  # a token has less than 80
_FLAGS, _START_CODE, _ENV_START = 9 - 3, 26 - 3, 50 - 3  # fields of `stat_of`
_NO_MEMORY = 0x4 | 0x200000  # PF_EXITING, PF_KTHREAD (include/linux/sched.h)
_EXECUTED_WITHIN = 1.0  # seconds; it takes longer only where a program is read from a disk that hangs
_worn_at: int | None = None  # where this process wears its token, in its memory


def processes_with(token: str) -> list[int]:
    """The live processes of this host whose environment carries the token, other than this one."""
    needle = token.encode()
    found = []
    for pid in all_pids():
        if pid != os.getpid() and needle in environment_of(pid) and identity_of(pid) is not None:
            found.append(pid)
    return found


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
    while True:
        executed = not _is_being_executed(pid)  # asked first: it may be over since somebody looked
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if found := file.read():
                return found
        if executed or time.monotonic() > deadline:
            return b""
        time.sleep(0.001)


def _is_being_executed(pid: int) -> bool:
    """Whether its new memory does not say yet what lies where; the environment's end is known just before the code's beginning.

    Threads of the kernel, and who ends, have no memory.
    """
    try:
        fields = stat_of(pid)
    except OSError:
        return False
    says_nothing = (
        fields[0] not in (b"Z", b"X") and not int(fields[_FLAGS]) & _NO_MEMORY and fields[_START_CODE] == b"0"
    )
    return says_nothing and stat_of(os.getpid())[_START_CODE] != b"0"  # some kernels (gVisor) never say it


def end_processes(
    token: str, *, grace: float = 0.0, give_up_after: float = 10.0, fence: Callable[[], object] = lambda: None
) -> list[int]:
    """End every process of this host that carries the token: SIGTERM and `grace` seconds, then SIGKILL until none is left.

    Args:
        fence: Asked before each round of SIGKILL, once it is known whom it is for; raises where somebody else may have some with
            this token by now.

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
        fence()
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

    fields = stat_of(os.getpid())
    start, end = int(fields[_ENV_START]), int(fields[_ENV_START + 1])
    if not 0 < start < end:
        return None
    block, name = b"\0" + ctypes.string_at(start, end - start), f"\0{VARIABLE}=".encode()
    at = block.find(name)
    begin = at + len(name)  # in `block`, which has one byte more before it
    value = block[begin:].split(b"\0", 1)[0]
    return start + begin - 1 if at >= 0 and len(value) == _ROOM_BYTES else None
