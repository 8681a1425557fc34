"""Whether other trials of the study ran at the same time."""

from __future__ import annotations

import os
from pathlib import Path

from outlast._system.reading import list_names
from outlast.core.file_names import StudyNames


class Neighbours:
    """Looks for the markers of other attempts: who joins later is not known when an attempt begins.

    A coordinator removes the markers of what is over before it starts anything. Nothing is opened here: over NFS, a file that is
    looked for in vain stays missing for this host, and its runner could be the next to need it.

    Args:
        root: The study's folder.
        own: Name of this attempt's marker: ``0007.2``.
    """

    def __init__(self, root: str | os.PathLike[str], own: str) -> None:
        study = StudyNames(Path(root))
        self._open, self._trials, self._own = study.open, study.trials, own
        self._before = frozenset(list_names(self._trials))
        self._seen = False

    def look(self) -> bool:
        """Whether there is another attempt, or was at an earlier look."""
        self._seen = self._seen or any(n != self._own and n[:1].isdigit() for n in list_names(self._open))
        return self._seen

    def look_back(self) -> bool:
        """The same, and whether a trial has begun since that may be over and put away by now."""
        self._seen = self.look() or not self._before.issuperset(list_names(self._trials))
        return self._seen
