"""Being woken by the kernel when something happens to the files of a folder (inotify(7))."""

from __future__ import annotations

import ctypes
import os

#: Whoever held one open for writing closed it: the last one that had inherited it.
CLOSED = 0x8
#: One was written.
WRITTEN = 0x2
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC are these


class FolderEvents:
    """Events of a folder, or of a file, while they are asked for.

    Where the kernel tells none, `fd` is ``None``, and nothing ever happens.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._mask, self._watch = os.fsencode(folder), 0, -1
        self._libc = ctypes.CDLL(None, use_errno=True)
        begin = getattr(self._libc, "inotify_init1", None)  # Linux has it
        fd = -1 if begin is None else begin(_FLAGS)
        self.fd: int | None = None if fd < 0 else fd

    def ask_for(self, mask: int) -> None:
        """From now on these events make `fd` readable; with 0, none. Costs nothing where nothing changes."""
        if self.fd is None or mask == self._mask:
            return
        if mask:
            self._watch = self._libc.inotify_add_watch(self.fd, self._folder, mask)
        elif self._watch >= 0:
            self._libc.inotify_rm_watch(self.fd, self._watch)
            self.forget()  # that it is removed is an event as well
            self._watch = -1
        self._mask = mask

    def begin_anew(self) -> None:
        """The folder was removed and made again: the kernel tells of the one that is there now as soon as that is asked for."""
        self.ask_for(0)

    def forget(self) -> bool:
        """Take what has happened so far as known. Returns whether there was anything."""
        found = False
        while self.fd is not None and self._watch >= 0:
            try:
                found = bool(os.read(self.fd, 8192)) or found
            except BlockingIOError:
                break
        return found

    def close(self) -> None:
        """End it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
