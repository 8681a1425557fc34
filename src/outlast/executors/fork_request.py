"""The asking end of a fork server of runners; what it answers is said in ``runner/fork_server.py``."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence


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
