"""The asking end of fork servers of runners; what they answer is said in ``runner/fork_server.py``."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

_KIND = socket.SOCK_SEQPACKET if sys.platform.startswith("linux") else socket.SOCK_DGRAM


class ForkServerProcess:
    """A fork server, and our end of the conversation with it.

    Args:
        module: That serves; its first argument is the number of the socket.
        arguments: The others.
        cwd: Where it works; ours by default.
        env: Its environment; ours by default.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self, module: str, *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.asking, theirs = socket.socketpair(socket.AF_UNIX, _KIND)
        with theirs, contextlib.ExitStack() as unless_it_starts:
            unless_it_starts.enter_context(self.asking)
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            unless_it_starts.pop_all()

    def close(self) -> None:
        """End it; its runners go on."""
        self.asking.close()
        self.process.kill()
        self.process.wait()


def request(fork_server: socket.socket, marker: str, log: str, keep_fds: Sequence[int]) -> int:
    """Ask for a runner.

    Args:
        fork_server: The coordinator's end.
        marker: Of the attempt.
        log: The runner's own words go there.
        keep_fds: Descriptors for the runner, under the same numbers.

    Returns:
        Its pid.

    Raises:
        OSError: The fork server is gone, or could not fork.
    """
    message = json.dumps({"marker": marker, "log": log, "fds": list(keep_fds)}).encode()
    socket.send_fds(fork_server, [message], list(keep_fds))
    answer = fork_server.recv(64)
    if not answer:
        raise OSError("the fork server of runners is gone")
    if (pid := int(answer)) < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid
