"""The training's process: started so that it cannot outlive its runner, ended with everything it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

from outlast._system.memory import peak_memory
from outlast._system.processes import adopts_orphans, descendants, die_with_parent
from outlast._system.tokens import end_processes, processes_with, signal_each
from outlast.runner.forked import Forked, Loaded, empty_input

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
        self._alone = False  # it has ended, and this process has no other child
        self.code: int | None = None  # as in `subprocess`, once it has ended
        self.peak_memory = 0  # bytes, of the largest process of it that has been waited for
        if loaded is not None:
            forked = Forked(loaded, env=env, token=token, lock_fds=[lock_fd, *place_fds], pipe_fd=pipe_fd)
            self.pid, self.output = forked.pid, forked.output
        else:
            kept = [fd for fd in (lock_fd, *place_fds, pipe_fd) if fd is not None]
            self.pid, self.output = _spawn(argv, cwd, env, kept)
        os.set_blocking(self.output, False)
        self._ended: int | None = None  # readable once the command itself has ended (pidfd_open(2))
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._ended = os.pidfd_open(self.pid)

    @property
    def ended_fd(self) -> int | None:
        """Readable once the command itself has ended, where there is such a thing."""
        return self._ended

    def close(self) -> None:
        """It has ended, and what it printed was read."""
        os.close(self.output)
        if self._ended is not None:
            os.close(self._ended)

    def poll(self) -> int | None:
        """The return code as in `subprocess`, or ``None`` while it runs. Reaps adopted orphans on the way."""
        if self.code is None:
            self._wait_for(self.pid)
        if self.code is not None:
            self._reap()
        return self.code

    def _reap(self) -> None:
        if self.code is None:
            self._wait_for(self.pid)
        while self.code is not None and self._wait_for(-1):
            pass

    def _wait_for(self, pid: int) -> bool:
        """Take a child's end in, if it has come. Returns whether it has."""
        try:
            done, status, used = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            self._alone = self.code is not None
            return False
        if not done:
            return False
        self.peak_memory = max(self.peak_memory, peak_memory(used))
        if done == self.pid:
            self.code = os.waitstatus_to_exitcode(status)
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End everything now: the group, every process that carries the token, and every descendant that does not."""
        self.signal(signal.SIGKILL)
        end_processes(self._token)
        deadline = time.monotonic() + _GIVE_UP_AFTER
        while (left := descendants(os.getpid())) and time.monotonic() < deadline:
            signal_each(left, signal.SIGKILL)
            self._reap()
            time.sleep(0.005)
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)

    def kill_at_once(self) -> None:
        """End the group and what carries the token, from any thread: nothing is reaped, nothing on a shared disk is touched."""
        self.signal(signal.SIGKILL)
        end_processes(self._token)

    def end_stragglers(self, grace: float) -> bool:
        """After the command itself ended: end what it left behind. Returns whether there was anything."""
        if (self._alone or not self._has_children()) and (adopts_orphans() or not processes_with(self._token)):
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


def _spawn(argv: Sequence[str], cwd: str, env: Mapping[str, str], kept: Sequence[int]) -> tuple[int, int]:
    """Start a command. Returns its pid and the descriptor of its output."""
    output, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            list(argv),
            executable=_found(argv[0], env.get("PATH"), cwd),
            cwd=cwd,
            env=dict(env),
            stdin=empty_input(),
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            pass_fds=kept,
            preexec_fn=die_with_parent,
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(theirs)
    process.returncode = 0  # it is waited for elsewhere
    return process.pid, output


@lru_cache(maxsize=16)
def _found(name: str, path: str | None, cwd: str) -> str:
    """Where a command lies, so that it is looked for once; as it is called where only the attempt can tell."""
    if os.path.dirname(name) or path is None or not all(map(os.path.isabs, path.split(os.pathsep))):
        return name
    return shutil.which(name, path=path) or name
