"""How much of a filesystem its administrator lets this user have, where a command tells."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess

from msgspec import Struct

_TIMEOUT = 5.0  # seconds; a file server that is down answers never


class Quota(Struct, frozen=True):
    """Of one user on one filesystem; ``None``: no limit."""

    used: int  # bytes
    allowed: int | None  # bytes
    files: int  # that there are
    files_allowed: int | None  # that there may be


def quota_of(path: str) -> Quota | None:
    """The quota where a folder lies; ``None`` where there is none, or no command that tells."""
    user = getpass.getuser()
    told = parse_quota(_said("lfs", "quota", "-q", "-u", user, path))
    if told is not None:
        return told
    return parse_quota(_said("quota", "--no-wrap", "--raw-grace", "--user", user), _device_of(path))


def parse_quota(text: str, device: str | None = None) -> Quota | None:
    """What quota(1) or ``lfs quota`` prints: filesystem, KiB used, quota, limit, grace, files, quota, limit, grace.

    Long names have a line of their own in Lustre's text. Only the line of `device` is read; the first by default.
    """
    words = text.split()
    for at in range(1, len(words) - 6):
        used, soft, hard, _, files, soft_files, hard_files = words[at : at + 7]
        numbers = [word.strip("[]").rstrip("*k") for word in (used, soft, hard, files, soft_files, hard_files)]
        if (
            all(number.isdigit() for number in numbers)
            and not words[at - 1].isdigit()
            and device in (None, words[at - 1])
        ):
            kib, soft_kib, hard_kib, count, soft_count, hard_count = map(int, numbers)
            allowed = hard_kib or soft_kib
            return Quota(kib * 1024, allowed * 1024 if allowed else None, count, hard_count or soft_count or None)
    return None


def _said(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    try:
        done = subprocess.run(
            argv, capture_output=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"}, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout  # quota(1) exits with 1 where a limit is reached


def _device_of(path: str) -> str:
    """What is mounted there: ``/dev/sda1``, ``server:/home``."""
    import psutil

    path, found = os.path.realpath(path), ("", "")
    for mount in psutil.disk_partitions(all=True):
        point = mount.mountpoint.rstrip("/") + "/"
        if (path + "/").startswith(point) and len(point) >= len(found[0]):
            found = (point, mount.device)
    return found[1]
