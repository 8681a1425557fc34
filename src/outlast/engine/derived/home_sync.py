"""A study on scratch, or beside a drive: what is new is brought to its home behind the coordinator's back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from outlast.errors import LeaseLost, UsageError
from outlast.study.home import home_of, is_on_a_drive
from outlast.study.homesync import HomeSync
from outlast.study.layout import StudyPaths
from outlast.study.snapshots import every_seconds
from outlast.study.unfinished import LARGEST

_EVERY = 1.0  # seconds between two syncs at least; each may take a twentieth of the time at most
_WITHIN = 60.0  # seconds after which, on a drive, what has ended is brought there at the latest, if that can be had
_LAST_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)  # seconds
_CLOSE_WITHIN = 600.0  # seconds for the last sync, which may carry the best weights
_WRITING: dict[str, threading.Lock] = {}


def bring_home(paths: StudyPaths) -> str | None:
    """One more sync, of what was made after a run; nothing where the study has no other home.

    Returns what a person should be told: why it could not be done.
    """
    home = home_of(paths)
    if home is None:
        return None
    writing = _writing(home)
    if not writing.acquire(blocking=False):
        return f"{home.root} does not have all of it yet: what is under way was not waited for; the next run brings the rest"
    try:
        HomeSync(paths, home).sync(last=True)
    except OSError as error:
        return f"{error.filename or home.root} cannot be brought home ({error.strerror}); the next run tries again"
    except UsageError as error:
        return error.fact
    finally:
        writing.release()
    return None


def _writing(home: StudyPaths) -> threading.Lock:
    """Held by the one who writes to a home, of all threads here: a last sync that was not waited for may still be at it."""
    return _WRITING.setdefault(str(home.root), threading.Lock())


class HomeSyncThread:
    """Syncs in a thread of its own; trouble with it is said, tried again, and never stops a study.

    Args:
        warnings: Gets what people should be told; whoever reads it empties it.
        fence: Raises where somebody else holds the study.
    """

    def __init__(
        self, live: StudyPaths, home: StudyPaths, warnings: list[str], *, fence: Callable[[], object] | None = None
    ) -> None:
        self._warnings = warnings
        self.took = 0.0  # seconds of the last sync
        self._trouble = ""  # that was said and is not over
        self._said_too_large: frozenset[int] = frozenset()
        self._drive = is_on_a_drive(live)
        self._every = min(_WITHIN, every_seconds()) if self._drive else None
        self._sync, self._home = HomeSync(live, home, fence=fence), home
        self._wanted, self._closing, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="outlast-home", daemon=True)

    def start(self) -> None:
        """Begin; the first sync is made at once."""
        self._wanted.set()
        self._thread.start()

    def wanted(self) -> None:
        """Something is new."""
        self._wanted.set()

    def close(self, within: float | None = None) -> None:
        """Make a last sync and wait for it, but not for ever, nor beyond `within` seconds."""
        self._closing.set()
        self._wanted.set()
        self._thread.join(_CLOSE_WITHIN if within is None else min(_CLOSE_WITHIN, max(1.0, within)))
        self._abandoned.set()  # where it is still at work, that is its last

    def abandon(self) -> None:
        """Sync no more."""
        self._abandoned.set()
        self._closing.set()
        self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait(self._every)
            self._wanted.clear()
            last, began = self._closing.is_set(), time.monotonic()
            if self._abandoned.is_set() or not self._synced(last=last):
                return
            if last:
                self._try_again()
                return
            self.took = time.monotonic() - began
            self._closing.wait(min(self._every or math.inf, max(_EVERY, 20 * self.took)))

    def _try_again(self) -> None:
        """The last one counts: where a drive failed for a moment, it is made again."""
        for wait in _LAST_WAITS if self._drive else ():
            if self._abandoned.is_set() or not self._trouble or not self._synced(last=True):
                return
            time.sleep(wait)

    def _synced(self, *, last: bool) -> bool:
        """One sync. Returns whether there may be another."""
        trouble, again = "", True
        try:
            with _writing(self._home):
                self._sync.sync(last=last)
        except LeaseLost:
            return False
        except UsageError as error:  # they have parted: nothing more is brought home
            trouble, again = error.fact, False
        except OSError as error:
            what = error.filename or self._home.root
            trouble = f"{what} cannot be brought home ({error.strerror}): tried again later"
            self._wanted.set()
        except Exception as error:  # a drive may hold what nobody foresaw: whoever waits for this thread is told
            trouble = f"{self._home.root} does not get what is new ({type(error).__name__}: {error}): tried again later"
        if trouble and trouble != self._trouble:
            self._warnings.append(trouble)
        self._trouble = trouble
        self._say_too_large()
        return again

    def _say_too_large(self) -> None:
        for number in sorted(self._sync.too_large - self._said_too_large):
            self._warnings.append(
                f"trial {number}: its checkpoints are too large to be brought to the drive before it ends "
                f"({LARGEST // 2**30} GB at most): after a lost session it starts over"
            )
        self._said_too_large |= self._sync.too_large
