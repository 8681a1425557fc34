"""The fork server of runners: one process that has everything imported and forks a runner on request.

Starting a Python for every attempt costs tens of milliseconds of imports; a fork costs about one. It is a child of the
coordinator and ends with it (its socket closes); the runners, each in a session of its own, go on.

A request is one datagram: JSON with ``marker`` and ``log``, and descriptors that the runner inherits under the numbers in
``fds`` (unix(7), SCM_RIGHTS); or with ``lane``, and the socket over which the runner is told its attempts. The answer is the
runner's pid; below zero, the error that the fork met. Asked by `outlast.executors.fork_request`.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Run: TypeAlias = Callable[[Sequence[str]], int]

_MOST_FDS = 64  # locks of as many cards, and a conversation
_MOST_BYTES = 1 << 16


def main(argv: Sequence[str]) -> int:
    """Serve requests from the inherited socket until it closes."""
    from outlast.runner import main as runner  # imported before the first fork: that is the point

    return serve(socket.socket(fileno=int(argv[0])), runner.main)


def serve(asking: socket.socket, run: Run) -> int:
    """Fork on request until the socket closes. `run` is handed a marker in a list, and returns the runner's exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the coordinator, which decides
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    while True:
        try:
            message, fds, _, _ = socket.recv_fds(asking, _MOST_BYTES, _MOST_FDS)
        except OSError:  # the coordinator died with an answer unread
            return 0
        if not message:
            return 0
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, too little memory
            pid = -(error.errno or errno.EAGAIN)
        if pid == 0:
            os._exit(_run_asked(asking, json.loads(message), fds, run))
        for fd in fds:
            os.close(fd)
        try:
            asking.send(str(pid).encode())
        except OSError:  # the coordinator died meanwhile: the next one adopts the runner, or has voided its attempt
            return 0


def fork_runner(marker: str, log: str, environment: Mapping[str, str], *, outlives: bool) -> int:
    """Fork a runner off this process, which has no threads now and imports what a runner needs anyway.

    Its own words go to `log`. It `outlives` us in a session of its own; within a scheduler's job nothing may. The caller waits
    for its pid, which is returned.
    """
    from outlast._system.processes import die_with_parent
    from outlast.runner import main as runner

    pid = os.fork()
    if pid:
        return pid
    os.environ.update(environment)
    if not outlives:
        die_with_parent()

    def run() -> int:
        return runner.main([marker])

    os._exit(_be_a_runner(log, run, alone=outlives))


def _run_asked(asking: socket.socket, wanted: dict[str, object], fds: Sequence[int], run: Run) -> int:
    def with_fds() -> int:
        if wanted.get("lane"):
            from outlast.runner.lane import LANE

            return run([LANE, str(fds[0])])
        _place(fds, [int(n) for n in wanted["fds"]])  # type: ignore[attr-defined]
        return run([str(wanted["marker"])])

    asking.close()
    return _be_a_runner(str(wanted["log"]), with_fds, alone=True)


def _be_a_runner(log: str, run: Callable[[], int], *, alone: bool) -> int:
    """A forked child: a fresh session, its own log, default signals; then an ordinary runner."""
    try:
        if alone:
            os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        words = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for fd, target in ((nothing, 0), (words, 1), (words, 2)):
            os.dup2(fd, target)
        os.close(words)
        os.close(nothing)
        code = run()
    except Exception:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _place(fds: Sequence[int], numbers: Sequence[int]) -> None:
    """Give inherited descriptors the numbers that the marker names."""
    free = max([*fds, *numbers, 2]) + 1
    parked = []
    for at, fd in enumerate(fds):
        os.dup2(fd, free + at)
        os.close(fd)
        parked.append(free + at)
    for fd, number in zip(parked, numbers, strict=True):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
