"""What a tracker was sent and what its sink remembers of it: one file each, replaced whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from outlast._system.files import remove, write_atomic
from outlast._system.syncing import make_dir
from outlast.config.secrets import mask_text
from outlast.core.file_names import TrackerPaths


class Kept(Struct):
    """The file's content."""

    taken: dict[int, str] = {}  # trial → what it was when the tracker took it
    study: str = ""  # the same of the study
    identity: str = ""  # which one that is
    sink: dict[str, Any] = {}  # the sink's own


class MemoryFile:
    """The `outlast.tracking.sink.Memory` of one sink. Where it cannot be read it begins anew: the sink asks its tracker.

    Attributes:
        data: The sink's own.
        taken: Trial → what it was when the tracker took it; for whoever drives the sink.
        study: The same of the study.
    """

    def __init__(self, paths: TrackerPaths, identity: str) -> None:
        self._paths, self._identity = paths, identity
        self._environment: str | None = None  # as it is on the disk; not known yet
        self._kept = b""  # likewise
        kept = Kept()
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            kept = msgspec.json.decode(paths.memory.read_bytes(), type=Kept)
        if kept.identity != identity:  # of a study that lay here before
            kept = Kept()
        self.data, self.taken, self.study = kept.sink, kept.taken, kept.study

    def keep(self) -> None:
        """Make `data`, and what was taken, durable; and hand on what trainings are to find in their environment.

        Raises:
            OSError: The study folder cannot be written.
        """
        data = msgspec.json.encode(Kept(self.taken, self.study, self._identity, self.data))
        if data != self._kept:
            make_dir(self._paths.folder)
            write_atomic(self._paths.memory, data)
            self._kept = data
        text = _environment(self.data.get("environment"))
        if text == self._environment:
            return
        if text:
            write_atomic(self._paths.environment, text, durable=False)
        else:
            remove(self._paths.environment, durable=False)
        self._environment = text

    def forget(self) -> None:
        """The tracker has nothing any more of what it took."""
        self.taken, self.study = {}, ""


def _environment(given: Any) -> str:
    """Variables by trial, as JSON; of a trial whose variables would put a secret on record, nothing."""
    if not isinstance(given, Mapping):
        return ""
    found = {
        str(trial): {str(name): str(value) for name, value in variables.items()}
        for trial, variables in given.items()
        if isinstance(variables, Mapping)
    }
    open_ones = {
        trial: variables
        for trial, variables in found.items()
        if all(mask_text(value) == value for value in variables.values())
    }
    return json.dumps(open_ones) if open_ones else ""
