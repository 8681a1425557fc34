"""The socket between the coordinator and one objective: each line is a question and gets one answer, in pieces if it is long."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_PIECE_BYTES = 1 << 16


@dataclass
class Conversation:
    """The coordinator's end of one attempt's socket."""

    connection: socket.socket
    _buffer: bytes = b""
    _rest: bytes = b""  # of a long answer, that was not asked for yet

    @property
    def fd(self) -> int:
        """To wait on."""
        return self.connection.fileno()

    def serve(self, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> bool:
        """Answer every question that has arrived.

        Returns:
            Whether the other end is still there.
        """
        while True:
            try:
                chunk = self.connection.recv(1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not chunk:
                return False
            self._buffer += chunk
            while b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                if line != b"more":
                    self._rest = json.dumps(answer(json.loads(line))).encode()
                try:
                    self.connection.sendall(self._piece())
                except OSError:
                    return False

    def _piece(self) -> bytes:
        """What fits into the socket of a reader that is slow; a piece with more behind it begins with a plus sign."""
        piece, self._rest = self._rest[:_PIECE_BYTES], self._rest[_PIECE_BYTES:]
        return (b"+" if self._rest else b"") + piece + b"\n"

    def close(self) -> None:
        """Close our end."""
        self.connection.close()


def open_pair() -> tuple[Conversation, int]:
    """A conversation, and the descriptor that its objective inherits (the caller closes its copy once it is started)."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.set_inheritable(True)
    return Conversation(ours), theirs.detach()
