"""A command line as it was typed."""

from __future__ import annotations

from collections.abc import Sequence


class Invocation:
    """A command line, taken apart at its ``--``: what is behind it is the training's and never ours to parse."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = list(arguments)  # all of it
        at = self.arguments.index("--") if "--" in arguments else len(arguments)
        self.before, self.command = self.arguments[:at], self.arguments[at + 1 :]
