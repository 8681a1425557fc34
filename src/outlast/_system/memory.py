"""The machine's memory, what control groups leave of it, and whom the kernel killed for the lack of it."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from outlast._system.reading import read_bytes

_PAGES, _FAR_LESS = 1 << 16, 1 << 10  # bytes
_NO_LIMIT = 1 << 60  # cgroup v1 says "unlimited" with a number near 2**63


@lru_cache(maxsize=4)
def physical_memory(proc: Path = Path("/proc")) -> int | None:
    """Bytes of memory that this machine has; ``None`` where it does not say."""
    total = next((line.split()[1] for line in _lines(proc / "meminfo") if line.startswith("MemTotal:")), "")
    if total.isdigit():
        return int(total) * 1024
    try:  # there is no such file on macOS
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def machine_memory(root: str = "/") -> int | None:
    """The machine's memory in bytes, or less where a control group limits it (cgroups(7), both versions); ``None``: not told."""
    proc, cgroups = Path(root, "proc"), Path(root, "sys/fs/cgroup")
    groups = (above for own in _own_groups(proc, cgroups) for above in _upwards(own, cgroups))
    found = [value for value in (physical_memory(proc), *map(_limit, groups)) if value is not None]
    return min(found, default=None)


def peak_memory(used: resource.struct_rusage) -> int:
    """Bytes of the largest process among one that was waited for (wait4(2)) and those that it has waited for."""
    peak = used.ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # getrusage(2): kilobytes on Linux


class MemoryKills(Struct, frozen=True):
    """What the kernel did for lack of memory between two looks."""

    own: bool = False  # killed in our cgroup, at our own limit
    host: bool = False  # killed because the machine, or a cgroup around ours, ran out


class MemoryCounters:
    """The kernel's counters of out-of-memory kills, of the cgroup that this process is in.

    cgroup v2: ``memory.events`` of our group says how often somebody in it was killed, whoever ran out (``oom_kill``); that of
    the nearest group with a limit says how often that limit was what ran out (``oom``). v1: ``memory.oom_control`` and
    ``memory.failcnt``. Without a group of our own, the machine's count in ``/proc/vmstat``.
    """

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        group, limited = _memory_groups(proc, cgroups)
        self._killed = [] if group is None else [name for name in _counting(group) if "oom_kill" in _words(name)]
        self._hit = None if limited is None else (limited / "memory.events", limited / "memory.failcnt")
        self._anywhere, self._alone = proc / "vmstat", group is None
        self._open: dict[Path, int] = {}  # what is read again and again
        self.begin()

    def begin(self) -> None:
        """What is asked for are kills from now on."""
        self._before = self._look()

    def kills(self) -> MemoryKills:
        """What happened since this object was made."""
        killed, limit_hit, anywhere = (
            now > before for now, before in zip(self._look(), self._before, strict=True)
        )  # fmt: skip
        if self._alone:
            return MemoryKills(host=anywhere)
        return MemoryKills(own=killed and limit_hit, host=killed and not limit_hit)

    def _look(self) -> tuple[int, int, int]:
        if self._alone:
            return 0, 0, _number(_pairs(self._read(self._anywhere)), "oom_kill")
        killed = max((_number(_pairs(self._read(name)), "oom_kill") for name in self._killed), default=0)
        hit = 0
        if self._hit is not None:
            events, failures = self._hit
            hit = _number(_pairs(self._read(events)), "oom") or _whole("".join(self._read(failures)))
        return killed, hit, 0

    def _read(self, path: Path) -> list[str]:
        """The lines of a file of the kernel's, which says what is so now whenever it is read from its beginning.

        It gives whole lines, about a page of them at once: what is far less is the end.
        """
        text, piece = b"", b""
        try:
            if path not in self._open:
                self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            while not text or len(piece) > _FAR_LESS:
                piece = os.pread(self._open[path], _PAGES, len(text))
                text += piece
                if not piece:
                    break
        except OSError:
            return []
        return text.decode(errors="replace").splitlines()

    def close(self) -> None:
        """Nothing more is asked."""
        while self._open:
            os.close(self._open.popitem()[1])


def _memory_groups(proc: Path, cgroups: Path) -> tuple[Path | None, Path | None]:
    """Our cgroup, where it counts kills, and the nearest one from there upwards that has a limit."""
    own = next((group for group in _own_groups(proc, cgroups) if _counts(group)), None)
    if own is None:
        return None, None
    return own, next((group for group in _upwards(own, cgroups) if _limit(group) is not None), None)


def _upwards(group: Path, cgroups: Path) -> list[Path]:
    return [group, *(parent for parent in group.parents if parent.is_relative_to(cgroups))]


def _own_groups(proc: Path, cgroups: Path) -> list[Path]:
    found = []
    for line in _lines(proc / "self" / "cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        inside = path.lstrip("/")
        if "memory" in controllers.split(","):
            root = cgroups / "memory"
        elif number == "0":
            root = cgroups
        else:
            continue
        # In a container without a namespace of its own, the path is the host's and the mount is the container's.
        found += [root / inside, root]
    return found


def _counts(group: Path) -> bool:
    return any("oom_kill" in _words(name) for name in _counting(group))


def _counting(group: Path) -> tuple[Path, Path]:
    """Where a group's kills may be counted: version 2, version 1."""
    return group / "memory.events", group / "memory.oom_control"


def _limit(group: Path) -> int | None:
    """Bytes that the processes of a group may use together."""
    text = "".join(_lines(group / "memory.max")) or "".join(_lines(group / "memory.limit_in_bytes"))
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def _lines(path: Path) -> list[str]:
    try:
        return (read_bytes(path) or b"").decode(errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> dict[str, str]:
    return _pairs(_lines(path))


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.split() for line in lines)
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _number(words: Mapping[str, str], key: str) -> int:
    return _whole(words.get(key, ""))


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
