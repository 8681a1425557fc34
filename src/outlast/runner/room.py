"""What the machine had left for a training: memory, by the kernel's own counters, and room on the disk."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NO_LIMIT = 1 << 60  # cgroup v1 says "unlimited" with a number near 2**63
_ROOM = 4096


@dataclass(frozen=True)
class MemoryKills:
    """What the kernel did for lack of memory between two looks."""

    own: bool = False  # killed in our cgroup, at our own limit
    host: bool = False  # killed because the machine, or a cgroup around ours, ran out


class MemoryCounters:
    """The kernel's counters of out-of-memory kills, of the cgroup that this process is in.

    cgroup v2: ``memory.events`` of our group says how often somebody in it was killed, whoever ran out (``oom_kill``); that of
    the nearest group with a limit says how often that limit was what ran out (``oom``). v1: ``memory.oom_control`` and
    ``memory.failcnt``. Without a group of our own, the machine's count in ``/proc/vmstat``.

    Args:
        proc: Where procfs is mounted.
        cgroups: Where the control groups are mounted.
    """

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._group, self._limited = _memory_groups(proc, cgroups)
        self._before = self._look()

    def kills(self) -> MemoryKills:
        """What happened since this object was made."""
        killed, limit_hit, anywhere = (
            now > before for now, before in zip(self._look(), self._before, strict=True)
        )  # fmt: skip
        if self._group is None:
            return MemoryKills(host=anywhere)
        return MemoryKills(own=killed and limit_hit, host=killed and not limit_hit)

    def _look(self) -> tuple[int, int, int]:
        anywhere = _number(_words(self._proc / "vmstat"), "oom_kill")
        if self._group is None:
            return 0, 0, anywhere
        killed = max(
            _number(_words(self._group / name), "oom_kill") for name in ("memory.events", "memory.oom_control")
        )
        hit = 0
        if self._limited is not None:
            hit = _number(_words(self._limited / "memory.events"), "oom") or _single(self._limited / "memory.failcnt")
        return killed, hit, anywhere


def _memory_groups(proc: Path, cgroups: Path) -> tuple[Path | None, Path | None]:
    """Our cgroup, where it counts kills, and the nearest one from there upwards that has a limit."""
    own = next((group for group in _own_groups(proc, cgroups) if _counts(group)), None)
    if own is None:
        return None, None
    upwards = [own, *(parent for parent in own.parents if parent.is_relative_to(cgroups))]
    return own, next((group for group in upwards if _is_limited(group)), None)


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
    return any("oom_kill" in _words(group / name) for name in ("memory.events", "memory.oom_control"))


def _is_limited(group: Path) -> bool:
    text = "".join(_lines(group / "memory.max")) or "".join(_lines(group / "memory.limit_in_bytes"))
    return text.isdigit() and int(text) < _NO_LIMIT


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> dict[str, str]:
    pairs = (line.split() for line in _lines(path))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _number(words: Mapping[str, str], key: str) -> int:
    text = words.get(key, "0")
    return int(text) if text.isdigit() else 0


def _single(path: Path) -> int:
    text = "".join(_lines(path))
    return int(text) if text.isdigit() else 0


def peak_memory() -> int:
    """Bytes of the largest process among those that this one has waited for, and theirs."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # getrusage(2): kilobytes on Linux


def machine_memory() -> int:
    """Bytes of memory that this machine has; 0 where it does not say."""
    try:
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError):
        return 0


def no_room_in(folder: str | os.PathLike[str]) -> bool:
    """Whether the disk that a folder lies on has no space or no inodes left."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM or (disk.f_files > 0 and disk.f_favail == 0)
