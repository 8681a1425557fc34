"""A process of our own behind another: nobody waits for it, it learns when who began it is gone, and one works at a time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outlast._system.locks import FileLock, is_locked

_LOOKED_AFTER = 30.0  # seconds
_AGAIN = 60.0  # seconds between two beginnings
_LOOK, _SILENT = 1.0, 60.0  # seconds between two looks at another host's beats, and without one after which it is gone
_AGO = 900.0  # seconds since the last beat, by a clock that may be minutes off
_BEAT_AT, _BEAT_BYTES = 16, 120
_NOBODY = b" " * 10 + b"\n"  # waits for whoever works
#: That go on without us: whoever drops such an object is warned, and one that has ended is a zombie until it is asked.
_left: list[subprocess.Popen[bytes]] = []


class Behind:
    """A command of ours in a folder, begun again when it dies.

    It learns by the end of its input that we are gone, however we went.

    Args:
        root: The folder.
        words: The command's, without ``outlast``.
        given: What it is told on its input, as a line of JSON: no other process sees that.
        env: Its environment.
    """

    def __init__(self, root: Path, words: Sequence[str], given: Any, env: Mapping[str, str]) -> None:
        self._root, self._words, self._env = root, list(words), env
        self._line = json.dumps(given, default=str).encode() + b"\n"
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False
        self._began = self._looked = 0.0

    def start(self) -> None:
        """Begin."""
        self._is_wanted = True
        self._began = self._looked = time.monotonic()
        self._process = started(self._root, self._words, self._env, stdin=subprocess.PIPE)
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(self._line)
                self._process.stdin.flush()

    def looked(self) -> None:
        """Begin again where the process has died, or could not be begun."""
        now = time.monotonic()
        if not self._is_wanted or now - self._looked < _LOOKED_AFTER:
            return
        self._looked = now
        if (self._process is None or self._process.poll() is not None) and now - self._began >= _AGAIN:
            self._let_go()
            self.start()

    def close(self, *, wait: float) -> None:
        """It is over. Waits so many seconds for the process to be done as well; what takes longer is done without us."""
        process, self._is_wanted = self._process, False
        self._let_go()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
            _left[:] = [each for each in (*_left, process) if each.poll() is None]

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()


def started(root: Path, words: Sequence[str], env: Mapping[str, str], *, stdin: int) -> subprocess.Popen[bytes] | None:
    """A command of ours in a folder and a session of its own, heard by nobody; ``None`` where it cannot be started."""
    # Faults that a test injects are for the run that it is behind.
    ours = {name: value for name, value in env.items() if name != "OUTLAST_FAULTS"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "outlast", *words], cwd=root, env=ours, stdin=stdin,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # behind the trainings
    return process


def told(pipe: int) -> Any:
    """What `Behind` gives. No more than the line is read: the input's end is waited for elsewhere."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(pipe, 1)):
        line += byte
    return json.loads(line)


class Shift:
    """Of several processes that would do the same, one does: whoever locks a file. Who has a run in front of them comes first.

    Args:
        path: The file.
        pipe: Descriptor whose end of file means that whoever began us is gone. ``None``: nobody did.
        everywhere: One of all hosts that share the folder, where a network filesystem's lock is one host's only. Whoever works
            shows by `beat` that it does.
    """

    def __init__(self, path: Path, pipe: int | None, *, everywhere: bool = False) -> None:
        self._path, self._pipe, self.alone, self._everywhere = path, pipe, pipe is None, everywhere
        self._lock: FileLock | None = None
        self._sign = f"{os.getpid():>10}\n".encode()
        self._name, self._beats = f"{socket.gethostname()}:{os.getpid()}", 0

    def begin(self, *, insist: float = 0.0) -> bool:
        """Wait until it is our turn. Whoever is alone, or becomes so, does not wait: then the answer may be no.

        Args:
            insist: Seconds that we wait although we are alone, for whoever works without a run in front of them to leave.
        """
        lock = self._lock = FileLock(str(self._path))
        until = time.monotonic() + insist
        waits = False
        try:
            while not lock.acquire():
                if self.alone and time.monotonic() >= until:
                    return False
                waits = True
                os.pwrite(lock.content, self._sign, 0)  # the one of a run that is gone leaves when it sees this
                self.rest(0.2 if self.alone else 1.0)
            waits = False
        finally:
            if waits:
                os.pwrite(lock.content, _NOBODY, 0)
        if self._everywhere and lock.shared and not self._is_free_elsewhere():
            return False
        os.pwrite(lock.content, self._sign, 0)
        return True

    def _is_free_elsewhere(self) -> bool:
        """Wait until no other host works, or the one that did is silent; whoever is alone does not wait for one that lives."""
        seen, since = self._last_beat(), time.monotonic()
        while seen and seen.partition(":")[0] != self._name.partition(":")[0]:  # of ours, we hold the lock
            self.rest(_LOOK)
            now = self._last_beat()
            if now != seen and self.alone and now:
                return False
            if now == seen and time.monotonic() - since > _SILENT:
                break
            seen, since = now, since if now == seen else time.monotonic()
        self.beat()
        time.sleep(_LOOK)
        return (
            self._last_beat().partition(" ")[0] == self._name
        )  # two that began at the same moment: one has written last

    def _last_beat(self) -> str:
        """Opened anew, as a network filesystem shows what others wrote to whoever opens a file."""
        with open(self._path, "rb") as file:
            return file.read()[_BEAT_AT:].decode(errors="replace").strip()

    def beat(self) -> None:
        """Show other hosts that we work; call it every few seconds."""
        if self._everywhere and self._lock is not None and self._lock.shared:
            self._beats += 1
            with contextlib.suppress(OSError):
                os.pwrite(self._lock.content, f"{self._name} {self._beats:09d}".ljust(_BEAT_BYTES).encode(), _BEAT_AT)
                os.fsync(self._lock.content)

    def end(self) -> None:
        """Let others."""
        if self._lock is not None:
            if self._beats and not self.is_deleted and self._last_beat().partition(" ")[0] == self._name:
                with contextlib.suppress(OSError):
                    os.pwrite(self._lock.content, b" " * _BEAT_BYTES, _BEAT_AT)
            self._lock.close()
            self._lock = None

    @property
    def succeeded(self) -> bool:
        """Whether somebody who has a run in front of them waits for us, who have none any more."""
        if not self.alone or self._lock is None:
            return False
        sign = os.pread(self._lock.content, 11, 0)
        return sign not in (self._sign, _NOBODY) and _lives(sign)

    @property
    def is_deleted(self) -> bool:
        """Whether somebody has deleted or moved the file, with its folder most likely: then nobody wants us here any more."""
        try:
            return self._lock is None or not os.path.samestat(os.fstat(self._lock.content), os.stat(self._path))
        except OSError:  # ESTALE, on a network filesystem
            return True

    def rest(self, seconds: float) -> None:
        """Wait, no longer than until whoever began us is gone."""
        if self.alone or self._pipe is None:
            time.sleep(seconds)
        elif select.select([self._pipe], [], [], seconds)[0] and not os.read(self._pipe, 4096):
            self.alone = True


def is_worked_on(path: Path) -> bool:
    """Whether somebody works whose `Shift` has this file: on this host, or lately on another that shares the folder."""
    if is_locked(str(path)):
        return True
    try:
        with open(path, "rb") as file:
            beat = file.read()[_BEAT_AT:].strip()
            age = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError:
        return False
    return bool(beat) and age < _AGO


def _lives(sign: bytes) -> bool:
    """Whether the process that has written its number is still there, to wait."""
    try:
        os.kill(int(sign), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
