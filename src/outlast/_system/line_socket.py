"""Messages between two processes of one machine: a line of JSON each over a socket, descriptors beside it (unix(7), SCM_RIGHTS).

Nobody ever waits for the other end: what it does not take just now is kept and sent later.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_PIECE = 1 << 16
_MOST_FDS = 64  # locks of as many cards, and a conversation
_MOST_UNSENT = 1 << 24  # bytes, without which we do without the other end
_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class LineSocket:
    """One end, and what it has not sent yet. A line that the other end did not finish before it died is none.

    Attributes:
        open: The other end is there, as far as is known.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end, self.open, self._owner = end, True, os.getpid()
        self._heard = b""
        self._unsent = bytearray()
        self._fds: deque[int] = deque()

    def fileno(self) -> int:
        """To wait on; -1 once it is closed."""
        return self._end.fileno()

    @property
    def waiting(self) -> bool:
        """Whether there is something that the other end did not take yet."""
        return bool(self._unsent)

    def say(self, message: Mapping[str, Any], fds: Sequence[int] = (), *, soon: bool = False) -> bool:
        """Send a message. Returns whether the other end is there to read it, some time.

        Args:
            message: May hold `msgspec.Raw`: JSON already.
            fds: Descriptors for the other end, which finds them with `take_fds`. They are sent at once or not at all.
            soon: Not at once but with what is said next, or by `flush`.
        """
        line = _encoded(message) + b"\n"
        if fds and self.open:
            line = self._with(line, fds)
        if self.open:
            self._unsent += line
            if len(self._unsent) > _MOST_UNSENT:  # the other end was stopped long since
                self.close()
        return self.open if soon else self.flush()

    def _with(self, line: bytes, fds: Sequence[int]) -> bytes:
        """Send the beginning of a line with descriptors. Returns the rest."""
        try:
            if self.flush() and not self._unsent:
                return line[socket.send_fds(self._end, [line], list(fds)) :]
        except OSError:
            pass
        self.close()
        return b""

    def flush(self) -> bool:
        """Send what the other end takes of what was not sent yet. Returns whether it is there."""
        while self._unsent and self.open:
            try:
                del self._unsent[: self._end.send(self._unsent)]
            except BlockingIOError:
                break
            except OSError:
                self.close()
        return self.open

    def heard(self) -> list[dict[str, Any]]:
        """The messages that have come. After the last of an end that is gone, `open` is false.

        Whoever sends what is none is done without: we hang up.
        """
        lines: list[bytes] = []
        while self.open:
            try:
                piece, fds, _, _ = socket.recv_fds(self._end, _PIECE, _MOST_FDS, _FLAGS)
            except BlockingIOError:
                break
            except OSError:
                piece, fds = b"", []
            self._fds.extend(fds)
            if not piece:
                self.close()
                break
            *whole, self._heard = (self._heard + piece).split(b"\n")
            lines += whole
            if len(piece) < _PIECE and not fds:
                break
        try:
            return [_decoded(line) for line in lines]
        except ValueError:
            self.close()
            return []

    def take_fds(self, count: int) -> list[int]:
        """The descriptors that came with a message; the caller's from now on, under numbers of this process."""
        return [self._fds.popleft() for _ in range(count)]

    def close(self) -> None:
        """Hang up, also where a child has inherited this end: one that a notebook forked keeps nobody waiting."""
        if self.open and self._owner == os.getpid():
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)
        self.open = False
        self._unsent.clear()
        self._end.close()
        while self._fds:
            os.close(self._fds.popleft())


def _encoded(message: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:  # a path that is no UTF-8 (PEP 383): JSON has escapes for it, which not everybody writes
        return json.dumps(message, default=_parsed).encode()


def _parsed(raw: Any) -> Any:
    return json.loads(bytes(raw))


def _decoded(line: bytes) -> dict[str, Any]:
    """Raises `ValueError` where it is no message."""
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no message")
    return found
