"""What each tracker lacks and why, on record for whoever looks at the study: ``tracking/behind.json``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from outlast._system.files import write_atomic


class Unsent(Struct, frozen=True):
    """Of one tracker."""

    trials: int = 0  # that are otherwise than it took them
    trouble: str = ""  # why it does not take them; empty: it is on its way
    cure: str = ""


def keep_unsent(path: Path, unsent: Mapping[str, Unsent]) -> None:
    """Put it on record, where the disk takes it."""
    with contextlib.suppress(OSError):
        write_atomic(path, msgspec.json.encode(unsent), durable=False)


def read_unsent(path: Path) -> dict[str, Unsent]:
    """What is on record; nothing where there is nothing that can be read."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Unsent])
    return {}
