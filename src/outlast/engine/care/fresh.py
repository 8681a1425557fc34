"""``--fresh``: a study and its home are moved out of the way, and what is left of its processes is ended."""

from __future__ import annotations

from outlast._system.clock import utc_now
from outlast._system.files import rename
from outlast.engine.attempts.kept_attempts import end_kept
from outlast.engine.attempts.running import end_attempt
from outlast.engine.derived.checkpoints import owner_of, unused
from outlast.errors import StorageError
from outlast.study.home import home_of
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease


def set_both_aside(paths: StudyPaths) -> list[str]:
    """`set_aside` for a study and its home. Returns where they are kept."""
    home = home_of(paths)  # aside before its live folder, which it would give back
    return list(filter(None, [set_aside(home) if home is not None else None, set_aside(paths)]))


def set_aside(paths: StudyPaths) -> str | None:
    """``--fresh``: move the whole folder out of the way, under a name with the time. Returns that name.

    What a dead coordinator left training in it is ended first: it would go on under the new study's name.

    Raises:
        StudyBusy: Somebody runs it just now.
        StorageError: One of its processes cannot be ended.
    """
    if not paths.root.exists():
        return None
    with Lease(paths.lease):
        for number, attempt in paths.open_attempts():
            stuck = end_attempt(paths, number, attempt)
            if stuck:
                what = f"processes of trial {number} cannot be ended: {stuck}"
                raise StorageError(what, cure="end them, then try again")
        stuck = end_kept(paths) if paths.outputs.is_dir() else []
        if stuck:
            raise StorageError(f"kept workers' processes cannot be ended: {stuck}", cure="end them, then try again")
        stamp = utc_now()[:19].replace(":", "").replace("-", "").replace("T", "_")
        aside = unused(paths.root.with_name(f"{paths.root.name}.{stamp}"))
        rename(paths.root, aside)
        elsewhere = paths.checkpoints_root
        if elsewhere is not None and owner_of(elsewhere) == str(paths.root):
            rename(elsewhere, elsewhere.with_name(f"{elsewhere.name}{aside.name.removeprefix(paths.root.name)}"))
    (aside / paths.lease.name).unlink(missing_ok=True)
    return str(aside)
