"""An attempt's token on a process that was forked and never executed anything.

Others look for the token in ``/proc/PID/environ``, which shows the block of memory that the process was executed with
(proc(5), ``env_start`` and ``env_end`` in stat). A process that is to be forked is therefore executed with room in that
block, and its forks write their token there.
"""

from __future__ import annotations

import ctypes

VARIABLE = "OUTLAST_TOKEN"
_ROOM_BYTES = 192  # a token has less than 80
_ENV_START = 50 - 3  # fields of stat behind the name, which may hold blanks


def token_room() -> str:
    """The value of `VARIABLE` for a process whose forks will wear tokens."""
    return " " * _ROOM_BYTES


def wear_token(token: str) -> bool:
    """Show this token, and no other, in this process's block of environment.

    Returns:
        Whether others can see it; not so where there is no such block (macOS) or no room in it.
    """
    worn = token.encode().ljust(_ROOM_BYTES)
    try:
        place = _place()
        if place is None or len(worn) > _ROOM_BYTES:
            return False
        ctypes.memmove(place, worn, _ROOM_BYTES)
        with open("/proc/self/environ", "rb") as file:
            return worn in file.read()
    except OSError:
        return False


def _place() -> int | None:
    """The address of the room."""
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
