"""TensorBoard's event files, exactly what the state says: bytes that are the same whenever they are made.

Where what is there is a beginning of them, the file is gone on with, so that an open TensorBoard shows what is new. Anything
else is replaced by a file of a later name, because a TensorBoard that reads a file does not look for another of the same name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from outlast._system.files import append_durable, remove, remove_temporaries, rename, write_atomic

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

_OURS = re.compile(r"^events\.out\.tfevents\.\d{10}\.outlast\.(\d+)$")
#: What TensorBoard asks a file's first event to say, of the second version of the format.
_VERSION = "brain.Event:2"
_FRESH = ".outlast.new"


def opening(at: float) -> Event:
    """The first event of a file.

    Args:
        at: Seconds since 1970, UTC.
    """
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=at, file_version=_VERSION)


def event(summary: Summary, at: float, step: int = 0) -> Event:
    """A summary at a moment."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=at, step=step, summary=summary)


def scalar(tag: str, value: float, at: float, step: int) -> Event:
    """A number of a curve."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return event(Summary(value=[Summary.Value(tag=tag, simple_value=value)]), at, step)


def bring_up_to_date(folder: Path, created: float, events: Iterable[Event]) -> None:
    """Make a folder's event file hold these events, each once; also where it was left half written.

    Args:
        folder: Made where there is none. Files of other names in it are left alone.
        created: Seconds since 1970, UTC, for the file's name.
        events: All of them, in an order that stays while more come.
    """
    content = b"".join(_record(each.SerializeToString(deterministic=True)) for each in events)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = sorted(int(found[1]) for name in os.listdir(folder) if (found := _OURS.match(name)))
    newest = numbers[-1] if numbers else 0
    if not _gone_on_with(_path(folder, created, newest), content):
        newest += 1
        _appear(_path(folder, created, newest), content)
    for number in numbers:
        if number != newest:
            remove(_path(folder, created, number))


def _path(folder: Path, created: float, number: int) -> Path:
    return folder / f"events.out.tfevents.{int(created):010d}.outlast.{number}"


def _appear(path: Path, content: bytes) -> None:
    """Whole, and under no other name that TensorBoard would read: it takes whatever has ``tfevents`` in its name."""
    remove_temporaries(path.parent)
    fresh = path.with_name(_FRESH)
    write_atomic(fresh, content)
    rename(fresh, path)


def _gone_on_with(path: Path, content: bytes) -> bool:
    """Whether the file held a beginning of this, and now holds it all."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    with os.fdopen(fd, "rb", buffering=0) as stream:
        held = stream.readall()
        if not content.startswith(held):
            return False
        if len(held) < len(content):
            append_durable(fd, content[len(held) :], os.fspath(path))
    return True


def _record(data: bytes) -> bytes:
    """An event as TensorBoard's own writer frames it."""
    import io

    from tensorboard.summary.writer.record_writer import RecordWriter

    out = io.BytesIO()
    RecordWriter(out).write(data)
    return out.getvalue()
