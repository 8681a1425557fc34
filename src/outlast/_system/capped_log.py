"""A log that never takes more than so much of the disk: its head as it came, and always the latest part of the rest.

The head is the file itself. What comes behind it goes into pieces beside it, ``NAME.tail.HEAD.OFFSET``: a new one is begun
whenever the last is full, and only the last two stay. So the end of the output is on the disk at every moment, whoever is
killed; the name says how long the head is and where in the output the piece begins.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Collection
from typing import BinaryIO

from msgspec import Struct

HEAD_BYTES = 32 * 2**20
PIECE_BYTES = 8 * 2**20

_PIECE = re.compile(r"\.tail\.(\d+)\.(\d+)$")
_BLOCK = 1 << 20


class CappedLog:
    """Writes such a log. A full disk costs output, never the writer.
    It appends to the file at `path`; `head` and `piece` are bytes, of the head and of each of the two latest pieces.
    """

    def __init__(self, path: str, *, head: int = HEAD_BYTES, piece: int = PIECE_BYTES) -> None:
        self.failed: OSError | None = None  # what the disk said when it last refused
        self._path, self._head, self._piece = path, head, piece
        self._pieces: list[str] = []
        self._fd = _open(path)
        self._written = os.fstat(self._fd).st_size
        self._room = max(0, head - self._written)

    def write(self, chunk: bytes) -> None:
        """Take a chunk of output."""
        view = memoryview(chunk)
        while view:
            if self._room <= 0 and not self._begin_piece():
                return
            part = view[: self._room]
            self._room -= len(part)
            self._written += len(part)
            self._put(part)
            view = view[len(part) :]

    def _begin_piece(self) -> bool:
        path = f"{self._path}.tail.{self._head}.{self._written}"
        try:
            fd = _open(path)
            if len(self._pieces) > 1:
                os.unlink(self._pieces.pop(0))
        except OSError as error:
            self.failed = error
            return False
        os.close(self._fd)
        self._fd, self._room = fd, self._piece
        self._pieces.append(path)
        return True

    def _put(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.failed = error

    def close(self) -> None:
        """Close it; what is on the disk is already in its final form."""
        os.close(self._fd)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


class _Part(Struct, frozen=True):
    """A stretch of the output that is on the disk."""

    path: str
    start: int
    most: int | None = None  # of its bytes count


def _parts(path: str) -> list[_Part]:
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder or ".")
    except FileNotFoundError:
        return []
    found = parts_of(name, names, head=True)
    return [_Part(os.path.join(folder, part), start, most) for part, start, most in found]


def parts_of(name: str, names: Collection[str], *, head: bool = False) -> list[tuple[str, int, int | None]]:
    """The files of a log, in order: name, where in the output it begins, how many of its bytes count (``None``: all).

    Args:
        name: Of the log.
        names: What lies in its folder.
        head: Count the log's own file, whether it is there or not.
    """
    found = [(entry, _PIECE.search(entry)) for entry in names if entry.startswith(f"{name}.tail.")]
    pieces = sorted((int(m[2]), int(m[1]), entry) for entry, m in found if m is not None)
    first = [(name, 0, pieces[0][1] if pieces else None)] if head or name in names else []
    return [*first, *((piece, start, None) for start, _, piece in pieces)]


class LogReader:
    """Reads such a log from its beginning and, asked again, on from where it stopped; also while it is written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._at = 0
        self._part: _Part | None = None
        self._fd: int | None = None  # of the part; kept open, so that its end is read although it was removed

    def read(self, most: int = _BLOCK) -> bytes:
        """The next bytes, at most about `most`; empty if there are none now. What was dropped is said in its place."""
        data = self._on(most)
        if data:
            return data
        for part in _parts(self._path):
            if part.start > self._at:
                missing, self._at = part.start - self._at, part.start
                return f"\n… {missing:,} bytes of output left out here …\n".encode()
            if (self._part is None or part.start > self._part.start or part.most is not None) and self._open(part):
                data = self._on(most)
                if data:
                    return data
        return b""

    def skip(self, keep: int) -> None:
        """Read on from the last `keep` bytes that are there now; nothing before them is read."""
        last = _parts(self._path)[-1:]
        with contextlib.suppress(FileNotFoundError):
            self._at = max(self._at, last[0].start + os.stat(last[0].path).st_size - keep) if last else self._at

    def close(self) -> None:
        """Close what is open."""
        if self._fd is not None:
            os.close(self._fd)
        self._part = self._fd = None

    def _open(self, part: _Part) -> bool:
        try:
            fd = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self.close()
        self._part, self._fd = part, fd
        return True

    def _on(self, most: int) -> bytes:
        if self._part is None or self._fd is None:
            return b""
        inside, end = self._at - self._part.start, self._part.most
        wanted = most if end is None else min(most, end - inside)
        data = os.pread(self._fd, wanted, inside) if wanted > 0 else b""
        self._at += len(data)
        return data


def is_one_file(path: str | os.PathLike[str]) -> bool:
    """Whether the log never grew beyond its head: then its file is all of it."""
    return len(_parts(os.fspath(path))) == 1


def log_end(path: str | os.PathLike[str], most: int) -> bytes:
    """The last `most` bytes at most of such a log, from the beginning of a line on; nothing where there is none."""
    data = b""
    for part in reversed(_parts(os.fspath(path))):
        try:
            with open(part.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size if part.most is None else part.most
                file.seek(max(0, size - (most - len(data))))
                data = file.read(min(size, most - len(data))) + data
        except FileNotFoundError:
            continue
        if len(data) >= most:
            return data.partition(b"\n")[2] or data
    return data


def copy_log(path: str | os.PathLike[str], target: BinaryIO, *, most: int | None = None) -> None:
    """Write the whole log, with a line where something was dropped.

    Args:
        most: About how many bytes; of a longer log the first and the last half of that are written.
    """
    reader = LogReader(path)
    try:
        _copy(reader, os.fspath(path), target, most)
    finally:
        reader.close()


def _copy(reader: LogReader, path: str, target: BinaryIO, most: int | None) -> None:
    size = sum(os.stat(part.path).st_size for part in _parts(path))
    if most is None or size <= most:
        while data := reader.read():
            target.write(data)
        return
    target.write(_exactly(reader, most // 2))
    target.write(f"\n… {size - 2 * (most // 2):,} bytes of output left out here …\n".encode())
    latest: deque[bytes] = deque()
    while data := reader.read():
        latest.append(data)
        while sum(map(len, latest)) - len(latest[0]) >= most // 2:
            latest.popleft()
    target.write(b"".join(latest)[-(most // 2) :])


def _exactly(reader: LogReader, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := reader.read(size - len(found))):
        found += data
    return found
