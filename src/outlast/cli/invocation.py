"""A command line, taken apart at its ``--``: what is behind it is the training's and never ours to parse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Invocation:
    """What was typed."""

    arguments: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)  # behind the ``--``

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Invocation:
        """Take it apart."""
        every = list(arguments)
        if "--" not in every:
            return cls(every, every)
        at = every.index("--")
        return cls(every, every[:at], every[at + 1 :])
