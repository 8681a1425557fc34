"""Delivering what is on its way: each address in a thread of its own, so that none waits for another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from outlast.engine.telling.addresses import Address, NotDeliveredError
from outlast.engine.telling.told_before import Letter, ToldBefore


class Post:
    """Delivers letters. Only the caller's thread touches what was told before."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = {each.name: each for each in addresses}
        self._under_way: set[str] = set()
        self._answers: queue.SimpleQueue[tuple[str, Letter, str | None]] = queue.SimpleQueue()

    @property
    def names(self) -> list[str]:
        """Of all addresses."""
        return list(self._addresses)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    def deliver(self, told: ToldBefore, now: float) -> bool:
        """Take in what became of the last letters, and send what is due. Returns whether anything changed that is to be kept."""
        changed = False
        while not self._answers.empty():
            name, letter, why = self._answers.get()
            self._under_way.discard(name)
            if why is None:
                told.delivered(letter, name)
            else:
                told.failed(letter, name, why, now)
            changed = True
        for name, address in self._addresses.items():
            waiting = told.due(name, now) if name not in self._under_way else []
            if waiting:
                self._under_way.add(name)
                threading.Thread(target=self._send, args=(address, waiting[0]), daemon=True).start()
        return changed

    def _send(self, address: Address, letter: Letter) -> None:
        why: str | None = "it ended without an answer"
        try:
            address.send(letter.message)
            why = None
        except NotDeliveredError as error:
            why = str(error)
        finally:
            self._answers.put((address.name, letter, why))
