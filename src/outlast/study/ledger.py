"""The ledger: an append-only list of decisions in segments, one segment per holder of the lease.

Contract:

- *Fencing.* A holder claims segment N+1 by creating it exclusively; its first line says who it is. Only then does it read
  segment N's length, and its second line seals N there. A decision of the former holder therefore counts if it was on the
  disk before the claim, or before the seal was read; whatever it writes later lies behind the seal and is void.
- *Stepping down.* Every holder has a file of its own, ``NNNNNNNN.<number>.held``, made before its segment and named in its
  header. Whoever claims the next segment removes it before reading the length to seal at; `append` opens it after its fsync and
  raises `LeaseLost` where it is gone. (Not a look for the newer segment: over NFS that may be invisible for a minute, while
  opening a file that is known always asks the server.) The caller must not act on a decision before `append` has returned.
- *Atomicity.* One call of `append` is one line; a line counts if it is whole. A torn last line is nobody's decision.
- *Damage.* Each line has a checksum and, behind header and seals, a number of its own: a line that was changed, lost, moved or
  doubled is noticed by whoever reads (`Reading.flaws`), and a segment that was deleted or cut under its holder by the holder.
- *Reading* takes no lock and changes nothing; it can be done during a run, by anyone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from outlast._system.clock import utc_now
from outlast._system.files import append_durable, remove, write_once
from outlast._system.mounts import is_shared
from outlast._system.processes import my_identity
from outlast._system.reading import list_names, unstale
from outlast._system.syncing import fsync_file, make_dir
from outlast.core.records import Event, to_json
from outlast.errors import NO_ROOM, LeaseLost, SegmentLost, StorageError
from outlast.study.ledger_lines import seals_of, to_line
from outlast.study.segments import (
    HELD_NAME,
    TAKEN_OVER,
    Reading,
    can_be_opened,
    first_lines,
    folder_identity,
    is_held,
    listed_segments,
    newest_segment,
    read_ledger,
    segment_path,
)

_RESERVE, _RESERVE_BYTES = ".reserve", 64 * 1024
_LOOK_EVERY = 0.1  # seconds between looks at whether the study is ours, where nothing follows from it at once
_LIST_EVERY = 1.0  # seconds between looks at which segments there are
_MOVED_AWAY = "the study's folder was moved away or deleted under this run: it stops here, and what trains goes on"


class Ledger:
    """The right to append: one claimed segment. Made by `claim` only, by whoever holds the lease."""

    def __init__(self, folder: Path, number: int, fd: int, held: str) -> None:
        self.folder, self.number, self._fd, self._held = folder, number, fd, folder / held
        self._path = str(segment_path(folder, number))
        self._serial, self._length = 0, os.fstat(fd).st_size
        self._next = str(segment_path(folder, number + 1))
        self._shared = is_shared(folder)
        self._listed_at = self._checked_at = float("-inf")
        self.lacking_room = ""  # what the disk said when only the reserve was left

    @classmethod
    def claim(
        cls, folder: Path, *, about: Mapping[str, Any] | None = None, known: Reading | None = None,
        fence: Callable[[], object] = lambda: None,
    ) -> tuple[Ledger, Reading]:  # fmt: skip
        """Create the next segment, seal those before, and read them.

        Args:
            folder: The study's ledger folder; created if missing.
            about: What to say of the holder beyond its process.
            known: An earlier reading; it is given back as it is if nothing was written since.
            fence: Raises where somebody else holds the lease by now. It is asked once the segment is chosen: who took the lease
                later has chosen the same one, which only one of us can create, or a later one.

        Returns:
            The ledger to append to, and everything that was decided before.

        Raises:
            LeaseLost: Somebody else created the segment at the same moment.
        """
        make_dir(folder)
        holder = {**my_identity().to_json(), "folder": folder_identity(folder.parent), **(about or {})}
        number = newest_segment(folder) + 1
        while True:
            fence()
            superseded = is_held(folder, number - 1) is False
            held = _create(folder, number, holder)
            if held is not None:
                break
            if not superseded:
                raise LeaseLost("somebody else took this study at the same moment")
            number = max(number, newest_segment(folder)) + 1  # that one was there before us: we see this folder late
        _retire(folder, number, held)
        fd = unstale(os.open, segment_path(folder, number), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            ledger = cls(folder, number, fd, held)
            return ledger, ledger._seal(known)
        except BaseException:
            os.close(fd)
            raise

    def _seal(self, known: Reading | None) -> Reading:
        """Read the segments before ours, and say how much of them counts."""
        folder, number = self.folder, self.number
        before = known if known is not None and _unchanged(folder, known, number) else read_ledger(folder, below=number)
        before.segments = [s for s in before.segments if s.number < number]
        sealed = {k for s in before.segments for line in s.lines for k in seals_of(line)}
        seals = {str(s.number): s.length for s in before.segments if s.number not in sealed}
        for sealing in seals:  # its holder may have died between write and fsync
            fsync_file(segment_path(folder, int(sealing)))
        self._write({"v": 1, "seals": seals})
        return before

    @classmethod
    def write_anew(cls, folder: Path, number: int, events: Sequence[Event], note: str) -> None:
        """Write a whole ledger into a new folder: one segment that needs none before it. Used by repair only."""
        make_dir(folder)
        header = {
            "v": 1,
            "segment": number,
            "base": number,
            "at": utc_now(),
            "holder": my_identity().to_json(),
            "note": note,
        }
        lines = [to_line(header)]
        for serial, start in enumerate(range(0, len(events), 1000), 1):
            some = [to_json(e) for e in events[start : start + 1000]]
            lines.append(to_line({"v": 1, "n": serial, "at": utc_now(), "events": some}))
        write_once(segment_path(folder, number), b"".join(lines))

    def append(self, events: Sequence[Event]) -> None:
        """Make decisions durable. On return they count, whatever happens next.

        Raises:
            LeaseLost: A newer holder is there; nothing that was written here may be acted on.
            SegmentLost: Nor where this segment is no longer what was written to it.
            StorageError: The disk refused; whether the line counts is open until the ledger is read again.
        """
        if events:
            self._serial += 1
            self._write({"v": 1, "n": self._serial, "at": utc_now(), "events": [to_json(e) for e in events]})

    def check(self) -> None:
        """Raise `LeaseLost` if a newer segment is there, or the ledger itself is another one by now; `SegmentLost` if ours was
        deleted or cut.

        A study that was set aside leaves its name to a new one, which has no file to say that we hold it.
        """
        self._checked_at = time.monotonic()
        if self._is_followed():
            raise LeaseLost(TAKEN_OVER)
        harm = self._harm()
        if harm and self.folder.parent.is_dir():
            name = segment_path(self.folder, self.number).name
            raise SegmentLost(
                f"{name}, where this run writes its decisions, was {harm} under it: it stops here, and what trains goes on",
                cure=f"outlast repair {self.folder.parent}   then the same command again: it takes over what trains",
            )
        if not self._is_ours():
            raise LeaseLost(TAKEN_OVER if self.folder.is_dir() else _MOVED_AWAY)

    def fence(self) -> None:
        """As `check` for what other coordinators do, shortly behind an append: who has claimed a newer segment since, and may
        have read ours already, has removed our file before.

        What people did to the segment since that append is not seen here but by the next append or `look`.
        """
        if not self._is_ours():
            self.check()

    def look(self) -> None:
        """As `check`, unless that was done a moment ago: where nothing is about to be decided or begun."""
        if time.monotonic() - self._checked_at >= _LOOK_EVERY:
            self.check()

    def _is_followed(self) -> bool:
        """Whether a newer segment is there. On a disk of this machine a look at the next one's name tells, and a listing now and
        then whether that one was lost."""
        if not self._shared and os.path.lexists(self._next):
            return True
        now = time.monotonic()
        if not self._shared and now - self._listed_at < _LIST_EVERY:
            return False
        self._listed_at = now
        return max(listed_segments(self.folder), default=0) > self.number

    def _is_ours(self) -> bool:
        """Whether the file that says that we hold the segment is there: as the server has it, where there is one."""
        return can_be_opened(self._held) if self._shared else os.path.lexists(self._held)

    def _harm(self) -> str:
        """What was done to our segment by somebody who is no coordinator; empty while it is as we wrote it.

        Other threads ask as well: a line that the holder writes meanwhile only makes the segment longer than what they know.
        """
        written = self._length
        try:
            ours = os.fstat(self._fd)
        except OSError as error:
            return "deleted" if error.errno == errno.ESTALE else ""  # by another NFS client
        if ours.st_size < written:
            return "emptied" if not ours.st_size else "cut"
        if ours.st_nlink:  # costs nothing; some filesystems always say 0
            return ""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return "deleted"
        return "" if os.path.samestat(ours, there) else "replaced"

    def _write(self, obj: Mapping[str, Any]) -> None:
        line = to_line(obj)
        try:
            try:
                append_durable(self._fd, line, self._path)
            except OSError as error:
                if error.errno not in NO_ROOM or not self.free_reserve():
                    raise
                self.lacking_room = StorageError.of(error, "the ledger").fact
                self.check()  # what follows is for the sole holder
                os.ftruncate(self._fd, self._length)
                append_durable(self._fd, line, self._path)
        except OSError as error:
            raise StorageError.of(error, "the ledger cannot be written") from error
        self._length += len(line)
        self.check()

    def reserve(self) -> bool:
        """Keep some room on the disk, so that a study that meets a full one can say so in its ledger.

        Returns:
            Whether there was room to keep.
        """
        path = os.path.join(self.folder, _RESERVE)
        try:
            with open(path, "wb") as file:
                file.write(b"\0" * _RESERVE_BYTES)
        except OSError:
            self.free_reserve()
            return False
        return True

    def free_reserve(self) -> bool:
        """Give the room back, and an inode, unless it is a newer holder's by now. Returns whether there was any."""
        if not self._is_ours():
            return False
        try:
            os.unlink(os.path.join(self.folder, _RESERVE))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the segment. It stays the newest until somebody claims the next."""
        self.free_reserve()
        os.close(self._fd)


def _create(folder: Path, number: int, holder: Mapping[str, Any]) -> str | None:
    """Create a segment. Returns the name of the file that says it is held; ``None`` if the segment was there already."""
    held = f"{number:08d}.{uuid.uuid4().int}.held"
    os.close(os.open(folder / held, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    header = {"v": 1, "segment": number, "at": utc_now(), "held": held, "holder": holder}
    path = segment_path(folder, number)
    try:
        if write_once(path, to_line(header)):
            return held
    except FileNotFoundError:  # who has claimed it meanwhile has removed what we wrote
        if not path.exists():
            raise
    remove(folder / held, durable=False)
    return None


def _retire(folder: Path, number: int, own: str) -> None:
    """See to it that whoever held an earlier segment finds out; then what it has written is all that counts."""
    lost = 0
    for earlier in range(number - 1, 0, -1):
        header, completed = first_lines(folder, earlier)
        if HELD_NAME.match(str(header.get("held"))):
            remove(folder / header["held"], durable=False)
        lost += not header
        if completed or lost > 3:
            break  # it has done this for those before itself; or the ledger begins here
    for name in list_names(folder):  # of claims that were cut off
        match = HELD_NAME.match(name)
        if match and int(match[1]) <= number and name != own:
            remove(folder / name, durable=False)


def _unchanged(folder: Path, known: Reading, claimed: int) -> bool:
    """Whether the segments below the claimed one are byte for byte as long as when they were read."""
    if known.missing or (known.segments[-1].number if known.segments else 0) != claimed - 1:
        return False
    sealed = {k for s in known.segments for line in s.lines for k in seals_of(line)}
    return all(
        _size(segment_path(folder, s.number)) == s.length + s.torn + s.void
        for s in known.segments
        if s.number not in sealed
    )


def _size(path: Path) -> int:
    with contextlib.closing(unstale(open, path, "rb")) as file:  # opened: a stat would be answered from the cache
        return os.fstat(file.fileno()).st_size
