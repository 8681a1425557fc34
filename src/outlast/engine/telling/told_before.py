"""What was told already, and what is still to be delivered: decided purely, kept in ``told.json``.

A finding is told once, and again when it is over for good; one that comes and goes within the hour is told once in all, until it
stays. A message is kept until every address has it, or a day has passed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from outlast._system.files import write_atomic
from outlast.core.plan import backoff
from outlast.engine.telling import message
from outlast.engine.telling.message import Message
from outlast.monitor.health import HealthWarning

_AGAIN = 3600.0  # seconds after which what was over is news
_STAYS = 600.0  # seconds after which what came back is there to stay
_LOOKS = 2  # without a finding, before it is over
_OLDEST = 86_400.0  # seconds that a message is worth delivering
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 600.0


class Finding(Struct):
    """A finding that was told. Times are seconds since the epoch."""

    warning: HealthWarning
    at: float  # it was first seen, or came back
    over: float | None = None
    missed: int = 0  # looks in a row that did not find it
    again: bool = False  # it was over and came back soon: nothing more is said of it, unless it stays


class Letter(Struct):
    """A message on its way."""

    message: Message
    at: float
    left: list[str]  # addresses that do not have it yet, by their names
    tries: dict[str, int] = {}
    due: dict[str, float] = {}  # address -> not before


class ToldBefore(Struct):
    """See the module."""

    findings: dict[str, Finding] = {}
    letters: list[Letter] = []
    begun: str = ""  # the run of which it was told that it began well
    ended: str = ""  # the end that was told
    trouble: dict[str, str] = {}  # address -> why it could not be reached the last time

    def see(
        self, study: str, found: Sequence[HealthWarning], what: Collection[str], now: float, *, last: bool = False
    ) -> list[Message]:
        """What there is to tell after a look.

        Args:
            study: Its name, or the campaign's.
            found: All that is wrong now.
            what: Of which levels something is told.
            last: Nobody looks again: what came back is there to stay.
        """
        news, study = list[Message](), message.readable(study)
        known = [_readable(each) for each in found if each.level in what]
        seen = {f"{each.study}/{each.key}": each for each in known}
        for key, warning in seen.items():
            before = self.findings.get(key)
            if before is None or (before.over is not None and now - before.over > _AGAIN):
                self.findings[key] = Finding(warning, now)
                news.append(message.finding(study, warning))
                continue
            if before.over is not None:
                before.over, before.again, before.at = None, True, now
            before.warning, before.missed = warning, 0
            if before.again and (last or now - before.at > _STAYS):
                before.again = False
                news.append(message.finding(study, warning))
        for key, before in self.findings.items():
            if key in seen or before.over is not None:
                continue
            before.missed += 1
            if before.missed >= _LOOKS:
                before.over = now
                if not before.again:
                    news.append(message.finding(study, before.warning, over=True))
        return news

    def forget(self) -> None:
        """The search has come to rest: nothing that was wrong with its run is so any more, and nobody needs to hear so."""
        self.findings.clear()

    def post(self, news: Sequence[Message], addresses: Sequence[str], now: float) -> None:
        """Put messages on their way to everyone; those that are too old, or for nobody any more, are dropped."""
        for letter in self.letters:
            letter.left = [name for name in letter.left if name in addresses]
        self.letters = [each for each in self.letters if each.left and now - each.at < _OLDEST]
        self.letters += [Letter(each, now, list(addresses)) for each in news if addresses]

    def due(self, address: str, now: float) -> list[Letter]:
        """What is to be delivered to an address now, oldest first: nothing overtakes what waits for its next try."""
        waiting = [letter for letter in self.letters if address in letter.left]
        return waiting if waiting and waiting[0].due.get(address, 0.0) <= now else []

    def delivered(self, letter: Letter, address: str) -> None:
        """An address has it."""
        letter.left.remove(address)
        self.trouble.pop(address, None)
        self.letters = [each for each in self.letters if each.left]

    def failed(self, letter: Letter, address: str, why: str, now: float) -> None:
        """An address could not be reached: once more, later and later."""
        tries = letter.tries[address] = letter.tries.get(address, 0) + 1
        letter.due[address] = now + backoff(tries, first=_FIRST_WAIT, most=_LONGEST_WAIT)
        self.trouble[address] = why


def read_told(path: Path) -> ToldBefore:
    """What is on record; nothing where there is none, or none that can be read: then it is told again."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=ToldBefore)
    return ToldBefore()


def _readable(found: HealthWarning) -> HealthWarning:
    text, cure, study = (message.readable(each) for each in (found.text, found.cure, found.study))
    return replace(found, text=text, cure=cure, study=study)


def keep_told(path: Path, told: ToldBefore) -> None:
    """Put it on record.

    Raises:
        OSError: The folder cannot be written.
    """
    write_atomic(path, msgspec.json.encode(told).decode())
