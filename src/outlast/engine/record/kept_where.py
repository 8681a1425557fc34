"""Where a study lies, in words, and what is lost with the session that runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from outlast._system.platforms import current_platform, is_kept
from outlast.study.home import home_of, is_on_a_drive
from outlast.study.layout import StudyPaths
from outlast.study.snapshots import every_seconds
from outlast.study.unfinished import LARGEST


def kept_where(paths: StudyPaths, folder: str) -> Iterator[tuple[str, str]]:
    """What a person should know before it begins, as (label, text).

    Args:
        paths: Where it runs.
        folder: The study's folder, or its home.
    """
    home = home_of(paths)
    at = folder if home is None else str(home.root)
    if (place := place_text(at)) is not None:
        yield "place", place
    if home is None:
        return
    brought = f"records and best weights are brought to {_shown(home)} after each trial"
    if not is_on_a_drive(paths):
        lost = (
            f"the study runs in {paths.root}: what is lost with that is what running trials did since their last record"
        )
        yield "home", f"{brought}; {lost}"
        return
    every = f"{every_seconds() / 60:g} min"
    yield "home", f"{brought}, the checkpoints of running trials every {every}; the study runs in {paths.root}"
    yield (
        "if lost",
        f"a lost session costs at most the trials that ended in its last minute and {every} of running ones (those that save "
        f"checkpoints, of up to {LARGEST // 2**30} GB), and what the drive has not uploaded yet",
    )


def named(folder: str) -> str:
    """The folder that a person types for a study: its home, where it runs elsewhere, which may be gone with the session."""
    home = home_of(StudyPaths.at(folder))
    return folder if home is None else _shown(home)


def place_text(folder: str) -> str | None:
    """What this platform does with a folder at the end of a session; ``None`` where it is a machine like any other."""
    platform = current_platform()
    if platform.kind == "local":
        return None
    if platform.durable and not is_kept(folder):
        return f"this session only: {folder} is not below {platform.root}, which is kept"
    return platform.note


def _shown(home: StudyPaths) -> str:
    near = os.path.relpath(home.root)
    return str(home.root) if near.startswith(os.pardir) else near
