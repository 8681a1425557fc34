"""Ports of this machine for servers that are killed and started again behind the same address."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

__all__ = ["free_port"]

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")  # ip(7): what a connection is given that asked for none


def free_port() -> int:
    """A port on loopback that nobody has, and that no connection is given while its server is down."""
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    while True:
        port = 10_000 + secrets.randbelow(first - 10_000) if first > 11_000 else 0
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
