"""Whether other trials of the study ran at the same time."""

from __future__ import annotations

import os

from outlast._system import list_names, read_bytes, read_json

__all__ = ["Beside"]


class Beside:
    """Looks at what other attempts leave in the study's folder: who joins later is not known when an attempt begins.

    Args:
        root: The study's folder.
        own: Name of this attempt's marker: ``0007.2``.
    """

    def __init__(self, root: str | os.PathLike[str], own: str) -> None:
        self._open, self._trials, self._own = os.path.join(root, "open"), os.path.join(root, "trials"), own
        self._before = frozenset(list_names(self._trials))
        self._over = frozenset(name for name in self._others() if self._is_over(name))  # only not put away yet
        self._seen = False

    def look(self) -> bool:
        """Whether a marker tells of another attempt, now or at an earlier look."""
        if not self._seen:
            self._seen = any(name not in self._over and self._ran(name) for name in self._others())
        return self._seen

    def look_back(self) -> bool:
        """The same, and whether a trial has begun since that may be over and put away by now."""
        self._seen = self.look() or not self._before.issuperset(list_names(self._trials))
        return self._seen

    def _others(self) -> list[str]:
        return [name for name in list_names(self._open) if name != self._own and name[:1].isdigit()]

    def _folder(self, marker: str) -> str:
        trial, _, attempt = marker.partition(".")
        return os.path.join(self._trials, trial, "attempts", attempt)

    def _is_over(self, marker: str) -> bool:
        return read_bytes(os.path.join(self._folder(marker), "exit.json")) is not None

    def _ran(self, marker: str) -> bool:
        claim = read_json(os.path.join(self._folder(marker), "started.json"))
        return isinstance(claim, dict) and not claim.get("void")
