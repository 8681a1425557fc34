"""A training that is a fork of its runner: no interpreter is started, nothing is imported again.

The child makes itself what `subprocess.Popen` would have made of it, in `Training`: a session of its own, stdin from
/dev/null, output into the runner's pipe, the attempt's environment and token, no descriptor of the runner's but those that
are meant for it, the module's signal handlers, random generators that are its own. It ends as an interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any

from msgspec import Struct

from outlast._system.processes import die_with_parent
from outlast._system.tokens import wear_token
from outlast.runner.own_words import in_a_fork

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Loaded(Struct, frozen=True):
    """What a process has become by importing a study's function, for its forks."""

    #: runs one trial, with the number of the conversation's descriptor if there is one
    call: Callable[[int | None], None]
    base: Mapping[str, str] = {}  # what trials' environments are made from
    changed: Mapping[str, str | None] = {}  # by the import, in the environment; None: removed
    said: bytes = b""  # what the import printed
    handlers: Mapping[int, Any] = {}  # its signal handlers
    descriptors: frozenset[int] = frozenset()  # what it keeps open
    seeded: Any = None  # the state of the `random` module where the import seeded it


@lru_cache(maxsize=1)
def empty_input() -> int:
    """The descriptor of an input in which there is nothing."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


class Forked:
    """A child that runs a loaded function: its `pid`, and its `output`, the descriptor of a pipe.

    It holds the locks of `lock_fds`, and `pipe_fd`, the conversation with the coordinator, under its number, where the function
    asks for its parameters.

    Raises:
        OSError: There is no room for another process.
    """

    def __init__(
        self, loaded: Loaded, *, env: Mapping[str, str], token: str, lock_fds: Sequence[int], pipe_fd: int | None
    ) -> None:
        empty_input()  # once, not in each fork
        read, write = os.pipe()
        heard, ready = os.pipe()
        runner, kept = os.getpid(), [fd for fd in (*lock_fds, pipe_fd) if fd is not None]
        try:
            self.pid = os.fork()
        except OSError:
            for fd in (read, write, heard, ready):
                os.close(fd)
            raise
        if self.pid == 0:
            code = 1
            try:
                _become(loaded, runner, write, dict(env), token, [*kept, ready])
                os.close(ready)
                code = _run(loaded, pipe_fd)
            finally:
                os._exit(code)
        os.close(write)
        os.close(ready)
        os.read(heard, 1)  # its end: the child has a session and a token to be found by, or is dead
        os.close(heard)
        self.output = read


def _become(loaded: Loaded, runner: int, output: int, env: dict[str, str], token: str, keep_fds: Sequence[int]) -> None:
    """What `subprocess.Popen` and the start of an interpreter would have done."""
    die_with_parent()
    if os.getppid() != runner:  # it died before the kernel knew
        os._exit(1)
    os.setsid()
    os.dup2(empty_input(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for fd in keep_fds[:-1]:
        os.set_inheritable(fd, True)
    in_a_fork()
    _close_all_but({0, 1, 2, *keep_fds, *loaded.descriptors})
    for number, handler in loaded.handlers.items():
        signal.signal(number, handler)
    for name, value in loaded.changed.items():
        if env.get(name) == loaded.base.get(name):  # otherwise it is the attempt's own
            env.pop(name, None)
            if value is not None:
                env[name] = value
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in env.items() if os.environ.get(name) != value})
    wear_token(token)
    _scatter(loaded.seeded)
    if loaded.said:
        sys.stdout.buffer.write(loaded.said)
        sys.stdout.flush()


def _close_all_but(kept: set[int]) -> None:
    before, last = -1, max(map(int, os.listdir("/proc/self/fd")))  # an old kernel is asked for each number up to there
    for fd in (*sorted(kept), last + 1):
        if fd > before + 1:
            os.closerange(before + 1, fd)
        before = fd


def _scatter(seeded: Any) -> None:
    """Generators that the module has not seeded differ from fork to fork, as they do from process to process."""
    if seeded is not None:
        import random

        random.setstate(seeded)  # Python seeds it anew in every fork
    numpy_random = sys.modules.get("numpy.random")
    generator = getattr(getattr(numpy_random, "mtrand", None), "_rand", None)
    # NumPy drops the sequence that it drew a seed from as soon as somebody gives it one.
    if numpy_random is not None and getattr(getattr(generator, "_bit_generator", None), "_seed_seq", None) is not None:
        numpy_random.seed()


def _run(loaded: Loaded, pipe_fd: int | None) -> int:
    """Call it, then do what an interpreter does at its end. Returns the exit code."""
    code, interrupted = 0, False
    try:
        loaded.call(pipe_fd)
    except SystemExit as end:
        code = exit_code_of(end)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        error.__traceback__ = without_ours(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter's end does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120  # as the interpreter says it
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code


def exit_code_of(end: SystemExit) -> int:
    """What the interpreter makes of it; what it says is printed as it would be."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def without_ours(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the user's first frame on."""
    whole = frames
    while frames is not None and os.path.abspath(frames.tb_frame.f_code.co_filename).startswith(_OURS):
        frames = frames.tb_next
    return frames if frames is not None else whole
