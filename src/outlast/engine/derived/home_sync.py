"""A study on scratch and its home: where it runs, and bringing home what is new behind the coordinator's back."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable

from outlast._system.mounts import lacking
from outlast.config.settings import Settings
from outlast.errors import LeaseLost, StorageError, StudyBusy, StudyFileError, UsageError
from outlast.study.home import home_of, live_of, ran_from, tie
from outlast.study.homesync import HomeSync
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live

_CLOSE_WITHIN = 600.0  # seconds for the last sync, which may carry the best weights


def scratch_of(settings: Settings) -> str | None:
    """``slurm.scratch`` with variables and ``~`` filled in; ``None`` where the study file names none.

    Raises:
        StudyFileError: No absolute path, or a variable that is not set.
    """
    given = (settings.slurm or {}).get("scratch")
    if given is None:
        return None
    place = os.path.expanduser(os.path.expandvars(given)) if isinstance(given, str) else ""
    if not os.path.isabs(place) or "$" in place:
        raise StudyFileError(
            f"must be an absolute path, not {given!r}",
            key="slurm.scratch",
            cure="such as /scratch/$USER, with its variables set",
        )
    return place


def live_folder(folder: str, settings: Settings) -> str:
    """Where a study is run: its folder, or with ``slurm.scratch`` its live folder there, made ready for it.

    A folder on a filesystem without hard links, locks or fsync (a mounted drive) is a home, too: the live folder lies on this
    machine then.

    A live folder that was purged is given back what its home has; finished trials are all there.

    Args:
        folder: The study's home.
        settings: In force.

    Raises:
        StudyFileError: ``slurm.scratch`` cannot be used.
        StudyBusy: Somebody runs the study in its home folder.
        UsageError: Home and live folder have parted.
        StorageError: A disk refused.
    """
    scratch = scratch_of(settings) or (_local_place() if lacking(folder) else None)
    if scratch is None:
        return folder
    home = home_of(StudyPaths.at(folder)) or StudyPaths.at(folder)
    if holder_is_live(home.ledger):
        raise StudyBusy(f"this study is being run in {home.root}, not on scratch", cure=f"outlast stop {folder}")
    known = live_of(home.root)
    live = StudyPaths.at(_place(scratch, home, settings.name) if known == str(home.root) else known)
    try:
        tie(home, live)
    except OSError as error:
        raise StorageError.of(error, f"{live.root} cannot be made ready") from error
    return str(live.root)


def _local_place() -> str:
    """A folder of this user's on a filesystem of this machine (XDG base directories), or below the temporary one."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    if os.path.isabs(state) and not lacking(state):
        return os.path.join(state, "outlast")
    return os.path.join(tempfile.gettempdir(), f"outlast-{os.getuid()}")


def _place(scratch: str, home: StudyPaths, name: str) -> str:
    """Where the live folder was, or a name of its own: two studies of one name share a scratch."""
    before = ran_from(home)
    if before != home.root and not before.exists() and str(before).startswith(scratch):
        return str(before)
    return os.path.join(scratch, f"{name}-{hashlib.sha256(os.fsencode(os.path.realpath(home.root))).hexdigest()[:8]}")


def bring_home(paths: StudyPaths) -> str | None:
    """One more sync, of what was made after a run; nothing where the study has no other home.

    Returns:
        What a person should be told: why it could not be done.
    """
    home = home_of(paths)
    if home is None:
        return None
    try:
        HomeSync(paths, home).sync()
    except OSError as error:
        return f"{error.filename or home.root} cannot be brought home ({error.strerror}); the next run tries again"
    except UsageError as error:
        return error.fact
    return None


class HomeSyncThread:
    """Syncs in a thread of its own; trouble with it is said, tried again, and never stops a study.

    Args:
        live: The study where it runs.
        home: Its home.
        fence: Raises where somebody else holds the study.
        every: Seconds between two syncs at least; each may take a twentieth of the time at most.

    Attributes:
        warnings: What people should be told; the caller empties it.
    """

    def __init__(
        self, live: StudyPaths, home: StudyPaths, *, fence: Callable[[], object] | None = None, every: float = 1.0
    ) -> None:
        self.warnings: list[str] = []
        self._trouble = ""  # that was said and is not over
        self._sync, self._home, self._every = HomeSync(live, home, fence=fence), home, every
        self._wanted, self._closing, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="outlast-home", daemon=True)

    def start(self) -> None:
        """Begin; the first sync is made at once."""
        self._wanted.set()
        self._thread.start()

    def wanted(self) -> None:
        """Something is new."""
        self._wanted.set()

    def close(self) -> None:
        """Make a last sync and wait for it, but not for ever."""
        self._closing.set()
        self._wanted.set()
        self._thread.join(_CLOSE_WITHIN)

    def abandon(self) -> None:
        """Sync no more."""
        self._abandoned.set()
        self._closing.set()
        self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            last, began = self._closing.is_set(), time.monotonic()
            if self._abandoned.is_set() or not self._synced() or last:
                return
            self._closing.wait(max(self._every, 20 * (time.monotonic() - began)))

    def _synced(self) -> bool:
        """One sync. Returns whether there may be another."""
        trouble, again = "", True
        try:
            self._sync.sync()
        except LeaseLost:
            return False
        except UsageError as error:  # they have parted: nothing more is brought home
            trouble, again = error.fact, False
        except OSError as error:
            trouble = (
                f"{error.filename or self._home.root} cannot be brought home ({error.strerror}): tried again later"
            )
            self._wanted.set()
        if trouble and trouble != self._trouble:
            self.warnings.append(trouble)
        self._trouble = trouble
        return again
