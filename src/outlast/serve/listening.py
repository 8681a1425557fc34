"""Where the server listens, what it is called there, and how somebody elsewhere gets to it."""

from __future__ import annotations

import contextlib
import errno
import getpass
import ipaddress
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from outlast.errors import UsageError

#: The first port that is tried.
FIRST_PORT = 8787
_PORTS = 100
_LEAST_TOKEN = 16  # characters
#: Of this machine, for nobody else.
LOOPBACK = "127.0.0.1"
_TAKEN = (errno.EADDRINUSE,)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens there; with no port on the first free one from `FIRST_PORT` on.

    Raises:
        UsageError: That is not possible, and why.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UsageError(f"--host {host} is no address of this machine ({error.strerror})") from error
    for number in range(FIRST_PORT, FIRST_PORT + _PORTS) if port is None else (port,):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address[0], number, *address[2:]))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            if port is not None or error.errno not in _TAKEN:
                raise _refused(host, number, error) from error
    raise UsageError(
        f"no port from {FIRST_PORT} to {FIRST_PORT + _PORTS - 1} is free", cure="name another one with --port"
    )


def names_of_server(host: str, port: int) -> set[str]:
    """The ``Host`` headers that this server answers to.

    A page that a name elsewhere was made to lead here (DNS rebinding) sends that name: only names that nobody else can give away
    are taken, and addresses.
    """
    found = {host}
    address = _address(host)
    if not is_open_to_others(host) or (address is not None and address.is_unspecified):
        found |= {LOOPBACK, "localhost", "::1"}
    if address is not None and address.is_unspecified:
        found |= {socket.gethostname(), socket.getfqdn(), *_own_addresses()}
    names = {f"[{name}]" if ":" in name else name.lower() for name in found}
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())


def is_open_to_others(host: str) -> bool:
    """Whether other machines reach it."""
    address = _address(host)
    return not (host == "localhost" or (address is not None and address.is_loopback))


def address_of(host: str, port: int, token: str) -> str:
    """What to open in a browser."""
    address = _address(host)
    if address is not None and address.is_unspecified:
        host = _towards_others() or socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?{urlencode({'token': token})}"


def tunnel(address: str, port: int) -> str:
    """What somebody types on another machine, to open the same address there. The port is the same on both: it is in the name
    that the server answers to.

    Args:
        address: On which it listens, as the socket says it.
        port: Likewise.
    """
    there = f"[{address}]" if ":" in address else address
    return f"ssh -N -L {port}:{there}:{port} {getpass.getuser()}@{socket.gethostname()}"


def token_from(file: str | None) -> str:
    """A fresh token, or that of a file, which is made if it is not there.

    Raises:
        UsageError: The file cannot be read or made, is open to others, or holds next to nothing.
    """
    if file is None:
        return secrets.token_urlsafe(32)
    path = Path(file)
    try:
        with contextlib.suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(secrets.token_urlsafe(32) + "\n")
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"--token-file {file} can be read by others", cure=f"chmod 600 {file}")
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} cannot be used: {getattr(error, 'strerror', None) or error}") from error
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable():
        raise UsageError(
            f"--token-file {file} holds no token",
            cure=f"remove it, and a new one is made; or at least {_LEAST_TOKEN} letters",
        )
    return token


def _refused(host: str, port: int, error: OSError) -> UsageError:
    if error.errno in _TAKEN:
        return UsageError(f"--port {port} is taken", cure="leave it out: a free one is found")
    if isinstance(error, PermissionError):
        return UsageError(f"--port {port} is not for this user: the lowest ones are the system's")
    return UsageError(f"--host {host} is no address of this machine ({error.strerror})")


def _own_addresses() -> Iterator[str]:
    with contextlib.suppress(OSError):
        for _, _, _, _, address in socket.getaddrinfo(socket.gethostname(), None):
            yield str(address[0]).partition("%")[0]


def _towards_others() -> str:
    """This machine's address on the way to others. Nothing is sent: 192.0.2.1 is nobody's (RFC 5737)."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect(("192.0.2.1", 9))
        found = str(way.getsockname()[0])
        return "" if ipaddress.ip_address(found).is_loopback else found
    return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host or "0.0.0.0")  # noqa: S104  # an empty host is every address, to the system too
    except ValueError:
        return None
