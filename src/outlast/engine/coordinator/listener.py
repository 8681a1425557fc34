"""Whoever wants to see how a study goes, from what the coordinator tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from outlast.core.fold import Study
from outlast.core.records import Event
from outlast.engine.attempts.running import Running


class Listener:
    """Hears of everything and does nothing about it; whoever derives from it says what they do.

    Called from the coordinator's thread: each method must return quickly.
    """

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """These events are durable."""

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """A round is over."""

    def said(self, text: str) -> None:
        """Something for the person to read."""


class Saying(Listener):
    """Hands on what is said."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say

    def said(self, text: str) -> None:
        """Hand it on."""
        self._say(text)
