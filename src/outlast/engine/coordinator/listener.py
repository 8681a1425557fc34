"""Whoever wants to see how a study goes, from what the coordinator tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from outlast.core.evidence import Evidence
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event
from outlast.engine.attempts.running import Running

#: Asks the coordinator what an objective may ask about its study, in its own thread; returns the answer.
Ask: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Listener:
    """Hears of everything and does nothing about it; whoever derives from it says what they do.

    Called from the coordinator's thread: each method must return quickly.
    """

    #: Whether it may ask for something when a trial has ended, which then counts before the next one begins.
    steers = False

    def holding(self, ask: Ask) -> None:
        """The study is held, and nothing of it decided yet; `ask` is good for as long as it is."""

    def over(self, ended: AttemptEnded, evidence: Evidence) -> None:
        """An attempt is over, and this is what was seen of it, which need not be in any file. That it ended is durable when
        `decided` says so."""

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
