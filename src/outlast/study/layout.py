"""A study's folder as it lies on the disk; the names of what is in it are in `outlast.core.file_names`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from outlast.core.file_names import StudyNames, TrialPaths, names_of, parse_attempt_name

#: What a folder's entries begin with that are the study's own.
_OURS = frozenset(each.name.split(".", 1)[0] for each in names_of(StudyNames))
_OF_A_SEGMENT = b'{"v":1,"segment":'  # how the first line of one begins


class StudyPaths(StudyNames):
    """A study's folder."""

    @classmethod
    def at(cls, folder: str | os.PathLike[str], checkpoints_root: str | None = None) -> StudyPaths:
        """The study in this folder, made absolute so that a change of the working directory does no harm."""
        root = Path(os.path.abspath(folder))
        return cls(root, Path(checkpoints_root) if checkpoints_root else None)

    def from_here(self) -> StudyPaths:
        """The same, by names that go on to mean it when the folder is moved, where it is the working directory."""
        with contextlib.suppress(OSError):
            if os.path.samefile(self.root, os.curdir):
                return type(self)(Path(os.curdir), self.checkpoints_root)
        return self

    @property
    def exists(self) -> bool:
        """Whether a study was begun here: it has a ledger, or remains from which one can be rebuilt."""
        return any(self.ledger.glob("*.jsonl")) or (
            self.study_file.exists() and (self.trials.is_dir() or self.was_imported)
        )

    @property
    def was_imported(self) -> bool:
        """Whether an import has left its copy, as that begins: a person may have a file of its name."""
        try:
            with open(self.imported, "rb") as copy:
                return copy.read(len(_OF_A_SEGMENT)) == _OF_A_SEGMENT
        except OSError:
            return False

    @property
    def has_orphans(self) -> bool:
        """Whether there are finished trials, and no home that a study which was purged comes back from."""
        return not self.home.exists() and (
            self.was_imported or any(TrialPaths.of(trial).record.exists() for trial in self.trials.glob("[0-9]*"))
        )

    @staticmethod
    def owns(name: str) -> bool:
        """Whether an entry of a study folder may be the study's own (hidden files are nobody's)."""
        return name.startswith(".") or name.split(".", 1)[0] in _OURS

    def open_attempts(self) -> list[tuple[int, int]]:
        """Every marker that is there."""
        try:
            names = os.listdir(self.open)
        except FileNotFoundError:
            return []
        return sorted(parsed for name in names if (parsed := parse_attempt_name(name)) is not None)
