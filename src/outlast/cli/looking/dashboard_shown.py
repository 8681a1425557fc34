"""optuna-dashboard beside a study: its server, its port, its end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType

import click

from outlast.core.file_names import StudyNames
from outlast.engine.hold.signals import handling
from outlast.errors import MissingExtra, OutlastError, StudyNotFound, UsageError

_LOOPBACK = "127.0.0.1"
_FIRST_PORT = 8080
_UP_WITHIN = 60.0  # seconds; it imports a good deal


def show_dashboard(folder: str, port: int | None, *, browser: bool) -> None:
    """Show a study in optuna-dashboard until Ctrl-C.

    Args:
        folder: The study's.
        port: On this machine; ``None``: the first free one.
        browser: Open one.

    Raises:
        StudyNotFound: The study has no index.
        UsageError: The port cannot be had.
        MissingExtra: optuna-dashboard is not installed.
        OutlastError: It ended by itself.
    """
    index = os.path.abspath(os.path.join(folder, StudyNames.index.name))
    if not os.path.exists(index):
        cure = f"outlast repair {folder}, or outlast run {folder}, makes it again"
        raise StudyNotFound(f"{folder} has no {StudyNames.index.name}, which the dashboard shows", cure=cure)
    program = _program()
    port = _free_port() if port is None else port
    if speaks_against := _why_not(port):
        raise UsageError(f"--port {port} {speaks_against}", cure="leave it out: a free one is found")
    server = subprocess.Popen(
        [program, f"sqlite:///{index}", "--host", _LOOPBACK, "--port", str(port), "--quiet"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process, which ends it without a traceback
    )
    try:
        with handling(_closing()):
            _await(server, port)
            address = f"http://{_LOOPBACK}:{port}/dashboard"
            click.echo(f"{os.path.relpath(folder)} is shown at {address}  (Ctrl-C closes it)")
            if browser:
                webbrowser.open(address)
            raise OutlastError(f"optuna-dashboard ended with {server.wait()} and shows nothing any more")
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            click.echo("closed; a search that runs goes on")
    finally:
        _end(server)


def _program() -> str:
    """optuna-dashboard beside this Python, or on PATH."""
    beside = Path(sys.executable).parent / "optuna-dashboard"
    found = str(beside) if beside.exists() else shutil.which("optuna-dashboard")
    if found is None:
        raise MissingExtra("the dashboard is a package of its own", cure="pip install 'outlast[dashboard]'")
    return found


def _why_not(port: int) -> str | None:
    """What speaks against a port; `None` if it is free."""
    with closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((_LOOPBACK, port))
        except PermissionError:
            return "is not for this user: the lowest ones are the system's"
        except OSError:
            return "is taken"
    return None


def _free_port() -> int:
    return next((port for port in range(_FIRST_PORT, _FIRST_PORT + 100) if _why_not(port) is None), _FIRST_PORT)


def _closing() -> dict[signal.Signals, Callable[[int, FrameType | None], object]]:
    """A terminal that is closed, or whoever ends this process, closes the dashboard like Ctrl-C; under nohup it stays."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    ends = (signal.SIGTERM, signal.SIGHUP)
    return {number: interrupt for number in ends if signal.getsignal(number) is not signal.SIG_IGN}


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _UP_WITHIN
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise OutlastError(f"optuna-dashboard ended with {server.returncode} and shows nothing")
        with closing(socket.socket()) as asked:
            if asked.connect_ex((_LOOPBACK, port)) == 0:
                return
        time.sleep(0.1)
    raise OutlastError(f"optuna-dashboard did not answer within {_UP_WITHIN:.0f} s")


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
