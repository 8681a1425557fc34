"""Where messages go: services, through Apprise, and a person's own command."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import IO, Protocol

from msgspec import Struct

from outlast.config.secrets import is_masked, mask_text, variables_in, with_variables
from outlast.config.settings import NotifySettings
from outlast.engine.telling.message import Message

INSTALL = "pip install 'outlast[notify]'"
_ANSWER = (
    60.0  # seconds that a server may take to answer, and a command to end: what is given up too early arrives twice
)
_CONNECT = 10.0
_TAIL = 4096  # bytes of what a command says that are read for its last line


class NotDeliveredError(Exception):
    """A message did not arrive, as far as anybody can tell; its text says why, without secrets."""


class Address(Protocol):
    """Where a message can go."""

    @property
    def name(self) -> str:
        """What it is called on record: without secrets, and the same as long as the study file is."""

    def send(self, message: Message) -> None:
        """Deliver it.

        Raises:
            NotDeliveredError: It did not arrive.
        """


class Command(Struct, frozen=True):
    """A command that is given the message as JSON on its input."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    name: str = "command"

    def send(self, message: Message) -> None:
        """Run it to its end; one that takes longer than a minute is ended with all that it began."""
        given = {"event": message.event, "title": message.title, "text": message.text, **message.data}
        with tempfile.TemporaryFile() as said:  # no pipe: what it leaves in the background may hold that open for hours
            try:
                process = subprocess.Popen(
                    list(self.argv), cwd=self.cwd, env=dict(self.env), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                    stderr=said, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise NotDeliveredError(f"{self.argv[0]}: {error.strerror}") from error
            try:
                process.communicate((json.dumps(given) + "\n").encode(), timeout=_ANSWER)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise NotDeliveredError(f"{self.argv[0]} did not end within {_ANSWER:.0f} s") from None
            if process.returncode:
                raise NotDeliveredError(f"{self.argv[0]} ended with {process.returncode} {_last_line(said)}".rstrip())


def _last_line(said: IO[bytes]) -> str:
    """Without secrets: `curl`, say, prints the address that it could not reach."""
    said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
    lines = said.read().decode(errors="replace").strip().splitlines()
    return mask_text(lines[-1]) if lines else ""


class Service(Struct, frozen=True):
    """A service by its Apprise URL."""

    url: str
    name: str

    def send(self, message: Message) -> None:
        """Hand it over, and wait for the answer."""
        import apprise

        kinds = {"over": "success", "ended": "success", "begun": "success"}
        kind = kinds.get(message.event, "failure" if message.data.get("level") == "error" else "info")
        if message.data.get("level") == "warning" and message.event == "finding":
            kind = "warning"
        said = _Said()
        logger = logging.getLogger("apprise")
        logger.addHandler(said)
        logger.propagate = False
        try:
            plugin = apprise.Apprise.instantiate(self.url)
            if plugin is None:
                raise NotDeliveredError("this is no address that Apprise knows")
            plugin.socket_connect_timeout, plugin.socket_read_timeout = _CONNECT, _ANSWER
            if not plugin.notify(body=message.text, title=message.title, notify_type=kind):
                raise NotDeliveredError(self._without_secrets(said.last) or "the service did not take it")
        except (OSError, ValueError, TypeError, ArithmeticError, LookupError) as error:  # a plugin's own defect
            raise NotDeliveredError(self._without_secrets(f"{type(error).__name__}: {error}")) from None
        finally:
            logger.removeHandler(said)

    def _without_secrets(self, text: str) -> str:
        """Whatever stands in the address is left out of what is said about it."""
        for part in sorted(re.split(r"[/:@?&=,]+", self.url.partition("://")[2]), key=len, reverse=True):
            text = text.replace(part, "***") if len(part) > 2 else text
        return text


class _Said(logging.Handler):
    """What Apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)  # more than talk
        self.last, self._ours = "", threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it. The logger is that of all threads: another's words are about another address, with secrets of its own."""
        if record.thread == self._ours:
            self.last = record.getMessage().strip()


def addresses_of(
    notify: NotifySettings, environment: Mapping[str, str], cwd: str
) -> tuple[list[Address], list[tuple[str, str]]]:
    """Everybody who is told, and what cannot be used: (what, why and what helps).

    Args:
        notify: The section.
        environment: Where ``${NAME}`` is taken from, and what the command finds.
        cwd: Where the command runs.
    """
    found: list[Address] = []
    lacking: list[tuple[str, str]] = []
    for number, given in enumerate(notify.urls, start=1):
        missing = [name for name in variables_in(given) if not environment.get(name)]
        url = with_variables(given, environment)
        name = f"{number}:{url.partition('://')[0]}" if "://" in url else f"{number}:?"
        if is_masked(given):
            lacking.append(
                (f"address {number}", "is not on record, as it is a secret: write it as ${NAME} of the environment")
            )
        elif missing:
            lacking.append((f"address {number}", f"needs {', '.join(missing)}, which the environment does not have"))
        elif find_spec("apprise") is None:
            lacking.append((f"address {number}", f"needs Apprise, which is not installed: {INSTALL}"))
        else:
            found.append(Service(url, name))
    if notify.command and any(is_masked(word) for word in notify.command):
        why = "is not on record whole, for the secret in it: have it read that from the environment"
        lacking.append(("command", why))
    elif notify.command:
        found.append(Command(notify.command, cwd, environment))
    return found, lacking
