"""How much memory the processes of this session may use together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def machine_memory(root: str = "/") -> int | None:
    """The machine's memory in bytes, or less where a control group limits it (cgroups(7), both versions).

    Args:
        root: Where proc and sys are looked for.

    Returns:
        ``None`` if it cannot be told.
    """
    found = [value for value in (_physical(root), *_limits(Path(root))) if value is not None]
    return min(found, default=None)


def _physical(root: str) -> int | None:
    with contextlib.suppress(OSError), open(os.path.join(root, "proc/meminfo")) as file:  # there is none on macOS
        for line in file:
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _limits(root: Path) -> Iterable[int | None]:
    """The limit of our own control group and of every group above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        parts = Path(place.lstrip("/")).parts
        for depth in range(len(parts), -1, -1):  # inside a container the path may name groups that are not visible here
            yield _number(top.joinpath(*parts[:depth], name))


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max": no limit
