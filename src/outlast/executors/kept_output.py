"""A slot's output, which all of its kept workers write, one after the other; and its lock, which says that one is there."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from outlast._system.locks import FileLock
from outlast._system.processes import descendants, lock_holders
from outlast._system.tokens import end_processes, signal_each
from outlast.errors import StorageError

_FREE_WITHIN = 10.0  # seconds for what an earlier worker left to end


def log_name(slot: str) -> str:
    """Of the output of a slot's workers: ``3.log`` of ``kept:3``."""
    return f"{slot.partition(':')[2]}.log"


def locked_output(path: str, token: str, still_ours: Callable[[], object]) -> FileLock:
    """The lock on a slot's output, which its workers and what they start hold as long as they live: they are ended.

    So is a coordinator that was superseded in the moment between this and its worker's start: it holds the lock for that one.

    Args:
        path: The output, which is made where it is not there.
        token: What the processes of all of this slot's workers carry.
        still_ours: Raises where another coordinator has the study by now. It is asked once the lock is held, too: a slot may be
            free because that coordinator's worker has been here and gone while we were stopped.

    Raises:
        StorageError: Somebody still holds it.
        OutlastError: What `still_ours` does.
    """
    deadline = time.monotonic() + _FREE_WITHIN
    while True:
        lock = FileLock(path)
        try:
            free = lock.acquire()
            still_ours()
            if free and lock.goes_with(path):  # else it was removed between our opening and locking it
                return lock
            if not free:
                end_processes(token, give_up_after=1.0)
                others = set(lock_holders(path)) - set(descendants(os.getpid()))
                signal_each(others, signal.SIGKILL)  # that took the token off
                if time.monotonic() > deadline:
                    raise StorageError(f"something of an earlier worker still runs, and holds {path}")
                time.sleep(0.01)
        except BaseException:
            lock.close()
            raise
        lock.close()


def remove_empty_output(path: str) -> None:
    """Remove an output without content, unless somebody holds it: a successor's worker may have it."""
    with contextlib.suppress(FileNotFoundError), contextlib.closing(FileLock(path, create=False)) as lock:
        if lock.acquire(patience=0.0) and lock.goes_with(path) and not os.fstat(lock.content).st_size:
            os.unlink(path)
            if lock.shared:
                os.unlink(lock.path)
