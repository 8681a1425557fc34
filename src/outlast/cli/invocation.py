"""A command line, taken apart at its ``--``: what is behind it is the training's and never ours to parse."""

from __future__ import annotations

from collections.abc import Sequence


class Invocation:
    """What was typed.

    Attributes:
        arguments: All of it.
        before: What stands in front of the ``--``.
        command: What stands behind it.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = list(arguments)
        at = self.arguments.index("--") if "--" in arguments else len(arguments)
        self.before, self.command = self.arguments[:at], self.arguments[at + 1 :]
