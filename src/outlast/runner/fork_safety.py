"""Whether a process that has imported somebody's module may be forked, and what the import did to it.

A fork has the memory of its parent and none of its threads; it shares the position in every open file and the other end of
every connection. A module that leaves such things behind, or that asks on import which trial it belongs to, is imported by
every trial for itself.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

_OF_A_TRIAL = ("WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID", "MASTER_PORT")  # beside all that begins with OUTLAST_
_HARMLESS = ("/dev/null", "/dev/urandom", "/dev/random")
#: Threads whose library starts them anew in a fork: jemalloc's, which pyarrow brings, and with it pandas and scikit-learn.
_FORKABLE = ("jemalloc_bg_thd",)
_HARD = 2  # omp_pause_hard, in omp.h
_ENDS_WITHIN = 0.5  # seconds for threads that are ending
#: What a runner, a fork of this process too, does its work with.
_TOOLS = (
    (builtins, ("open",)),
    (os, ("fork", "kill", "read", "write", "waitpid")),
    (select, ("select",)),
    (signal, ("signal",)),
    (socket, ("socket",)),
    (subprocess, ("Popen",)),
    (threading, ("Lock",)),
    (time, ("monotonic", "sleep")),
)


class Watch(Struct):
    """Made before the import; asked after it."""

    asked: list[str] = []  # variables of a trial that the module read
    seeded: Any = None  # the state of the `random` module where the import seeded it
    _environment: Mapping[str, str] = {}
    _descriptors: frozenset[int] = frozenset()
    _tools: tuple[object, ...] = ()
    _undo: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Look at everything as it is."""
        self._environment, self._descriptors, self._tools = dict(os.environ), descriptors(), _tools()
        self._watch_environment()
        self._watch_seed()

    def changed(self) -> dict[str, str | None]:
        """What became different in the environment: name → value, ``None`` where it is gone."""
        now = dict(os.environ)
        gone = dict.fromkeys(self._environment.keys() - now.keys())
        return {**gone, **{name: value for name, value in now.items() if self._environment.get(name) != value}}

    def end(self) -> str:
        """Stop watching. Returns why this process must not be forked, or the empty string."""
        for undo in self._undo:
            undo()
        if self.asked:
            return f"reads {self.asked[0]}, which is a trial's"
        if _tools() != self._tools:
            return "replaces parts of the standard library"
        return self._opened() or _children() or _threads()

    def _opened(self) -> str:
        for fd in sorted(descriptors() - self._descriptors):
            path = os.readlink(f"/proc/self/fd/{fd}")
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            if path not in _HARMLESS and not (flags & os.O_APPEND and path.startswith("/")):
                return f"keeps {path} open"
        return ""

    def _watch_environment(self) -> None:
        whole, asked = os.environ, self.asked
        plain = type(whole)

        class Watched(plain):  # type: ignore[valid-type,misc]
            def __getitem__(self, name: str) -> str:
                if name.startswith("OUTLAST_") or name in _OF_A_TRIAL:
                    asked.append(name)
                return str(super().__getitem__(name))

        whole.__class__ = Watched
        self._undo.append(lambda: setattr(whole, "__class__", plain))

    def _watch_seed(self) -> None:
        import random

        original = random.seed

        def seed(*args: Any, **kwargs: Any) -> None:
            original(*args, **kwargs)
            self.seeded = bool(kwargs or args) and args[:1] != (None,)

        def undo() -> None:
            self.seeded = random.getstate() if self.seeded else None
            if random.seed is seed:
                random.seed = original

        random.seed = seed
        self._undo.append(undo)


def descriptors() -> frozenset[int]:
    """The descriptors that are open."""
    return frozenset(fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_open(fd))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:  # the one that listed them
        return False
    return True


def _tools() -> tuple[object, ...]:
    return tuple(getattr(module, name) for module, names in _TOOLS for name in names)


def _children() -> str:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return ""
    return "starts a process"


def _threads() -> str:
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        return f"starts the thread {others[0]}"
    _pause_openmp()
    if not _left_behind():
        return ""
    # A library's own threads. One that can be forked ends them before a fork and starts them again when they are needed
    # (pthread_atfork(3), as OpenBLAS does); whether it does, a fork tells.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 and later warn of what is being found out here
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    left = _left_behind(_ENDS_WITHIN)
    if not left:
        return ""
    named = [name for name in left if name != _own_name()]
    return f"makes a library start threads that do not survive a fork{f' ({named[0]})' if named else ''}"


def _pause_openmp() -> None:
    """End the threads that OpenMP keeps for the next parallel region: the first one in a fork starts its own.

    With threads kept, a fork's first region waits for ever for threads that it does not have (GCC bug 58378; measured with
    scikit-learn, LightGBM, XGBoost and torch, which bring a libgomp each). A hard pause is OpenMP 5.0's way to end them.
    """
    for library in _openmp_libraries():
        with contextlib.suppress(OSError, AttributeError):  # gone meanwhile, or older than OpenMP 5.0
            ctypes.CDLL(library, mode=os.RTLD_NOLOAD | os.RTLD_NOW).omp_pause_resource_all(_HARD)


def _openmp_libraries() -> list[str]:
    with open("/proc/self/maps") as maps:
        paths = {line.split(maxsplit=5)[-1].strip() for line in maps if "/" in line}
    return sorted(path for path in paths if os.path.basename(path).startswith(("libgomp", "libomp", "libiomp")))


def _left_behind(within: float = 0.0) -> list[str]:
    """Names of the threads beside this one that matter to forks; those that are ending get so many seconds."""
    deadline = time.monotonic() + within
    while True:
        names = [name for name in _others() if name not in _FORKABLE]
        if not names or time.monotonic() >= deadline:
            return names
        time.sleep(0.01)


def _others() -> list[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as file:  # it has ended
                names.append(file.read().strip())
    return names


def _own_name() -> str:
    with open("/proc/self/comm") as file:
        return file.read().strip()
