"""Whether the study's folder lies where all nodes see it, and how much may still be written there."""

from __future__ import annotations

import os
from collections.abc import Iterator

from outlast._system.mounts import is_shared, room_in
from outlast._system.quota import Quota, quota_of
from outlast.config.settings import Settings
from outlast.core.finding import Finding

_FILES_A_TRIAL = 4  # of a finished trial, its folder included; checkpoints come on top
_FILES_BESIDE = 100
_LITTLE = 0.1  # of what is allowed
_GB = 2**30


def storage_findings(settings: Settings, folder: str) -> Iterator[Finding]:
    """Look at the filesystem that the folder lies on, or will. Asks for a quota: a file server may take seconds to tell."""
    place = os.path.abspath(folder)
    while not os.path.isdir(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    if is_shared(place):
        yield Finding("shared folder", "ok", f"{folder} lies on a network filesystem, as all nodes need it")
    else:
        text = f"{folder} looks local to this machine, and every node has to see it under the same path"
        yield Finding("shared folder", "note", text, "a filesystem that the nodes mount: --dir FOLDER")
    room, needed = room_in(place), files_needed(settings)
    if room is not None and room.inodes and room.inodes_free < needed:
        text = f"{room.inodes_free:,} are free in {place}, and the study needs about {needed:,}"
        yield Finding("inodes", "note", text)
    yield from quota_findings(quota_of(place), needed)


def files_needed(settings: Settings) -> int:
    """Files and folders that a study comes to, without what the trainings write."""
    script = 1 if (settings.slurm or {}).get("mode") == "controller" else 0
    return (_FILES_A_TRIAL + script) * (settings.budget.trials or 0) + _FILES_BESIDE


def quota_findings(quota: Quota | None, needed: int) -> Iterator[Finding]:
    """What is left of a quota.

    Args:
        quota: ``None``: none is known.
        needed: Files that the study comes to.
    """
    if quota is None:
        return
    level, parts = "ok", []
    if quota.allowed is not None:
        parts.append(f"{quota.used / _GB:.1f} of {quota.allowed / _GB:.1f} GB")
        level = "note" if quota.allowed - quota.used < _LITTLE * quota.allowed else level
    if quota.files_allowed is not None:
        parts.append(f"{quota.files:,} of {quota.files_allowed:,} files")
        level = "note" if quota.files_allowed - quota.files < needed else level
    if not parts:
        return
    text = f"{' and '.join(parts)} are used"
    if level == "ok":
        yield Finding("quota", "ok", text)
    else:
        elsewhere = "another filesystem: --dir, checkpoints.dir"
        cure = f"outlast clean frees checkpoints; checkpoints.keep bounds them; {elsewhere}"
        text = f"{text}: little is left; the study comes to {needed:,} files and its checkpoints"
        yield Finding("quota", "note", text, cure)
