"""The training's process: started so that it cannot outlive its runner, ended with everything it started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from outlast._system.processes import (
    adopts_orphans,
    descendants,
    die_with_parent,
    end_processes,
    processes_with,
    signal_each,
)
from outlast.runner.forked import Forked, Loaded

_GIVE_UP_AFTER = 10.0  # seconds of SIGKILL


class Training:
    """One running training: a command, or a fork of this process where it has `loaded` a function.

    It has a process group of its own, stdin from /dev/null, output into a pipe, and inherits the attempt's lock and those of
    its cards. It dies with its runner; what it starts in other sessions carries the attempt's token and is found by that.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        token: str,
        lock_fd: int,
        pipe_fd: int | None = None,
        place_fds: Sequence[int] = (),
        loaded: Loaded | None = None,
    ) -> None:
        self._token = token
        self._process: subprocess.Popen[bytes] | Forked
        if loaded is not None:
            self._process = Forked(loaded, env=env, token=token, lock_fds=[lock_fd, *place_fds], pipe_fd=pipe_fd)
        else:
            self._process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[fd for fd in (lock_fd, *place_fds, pipe_fd) if fd is not None],
                preexec_fn=die_with_parent,
            )
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.output, False)
        self._ended: int | None = None  # readable once the command itself has ended (pidfd_open(2))
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._ended = os.pidfd_open(self._process.pid)

    def rest(self, seconds: float) -> None:
        """Wait for the command's end, or as long as this."""
        if self._ended is None:
            time.sleep(seconds)
        else:
            select.select([self._ended], [], [], seconds)

    @property
    def pid(self) -> int:
        """Of the command itself."""
        return self._process.pid

    def poll(self) -> int | None:
        """The return code as in `subprocess`, or ``None`` while it runs. Reaps adopted orphans on the way."""
        code = self._process.poll()
        if code is not None:
            self._reap()
        return code

    def _reap(self) -> None:
        if self._process.poll() is not None:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass

    def signal(self, number: int) -> None:
        """Send a signal to the process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End everything now: the group, every process that carries the token, and every descendant that does not."""
        self.signal(signal.SIGKILL)
        end_processes(self._token)
        deadline = time.monotonic() + _GIVE_UP_AFTER
        while (left := descendants(os.getpid())) and time.monotonic() < deadline:
            signal_each(left, signal.SIGKILL)
            self._reap()
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GIVE_UP_AFTER)

    def kill_at_once(self) -> None:
        """End the group and what carries the token, from any thread: nothing is reaped, nothing on a shared disk is touched."""
        self.signal(signal.SIGKILL)
        end_processes(self._token)

    def end_stragglers(self, grace: float) -> bool:
        """After the command itself ended: end what it left behind. Returns whether there was anything."""
        if not self._has_children() and (adopts_orphans() or not processes_with(self._token)):
            return False
        signal_each(self._left(), signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self._left() and time.monotonic() < deadline:
            self.poll()
            time.sleep(0.02)
        self.kill()
        self.poll()
        return True

    def _left(self) -> list[int]:
        return list({*processes_with(self._token), *descendants(os.getpid())})

    def _has_children(self) -> bool:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        return True
