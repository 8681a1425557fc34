"""The process that tells: it looks, sends what is new, and ends when there is nothing more to see and everything has arrived."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path

from outlast._system.locks import FileLock
from outlast.config.settings import NotifySettings
from outlast.core.file_names import StudyNames
from outlast.engine.telling.addresses import addresses_of
from outlast.engine.telling.message import signed
from outlast.engine.telling.post import Post
from outlast.engine.telling.told_before import ToldBefore, keep_told, read_told
from outlast.engine.telling.watched import look_every, watched_in

_SHARE = 0.03  # of the time that looking may take
_TICK = 0.2  # while something is under way
_LAST = 600.0  # seconds for what could not be delivered when everything is over


class Teller:
    """Tells of the study, or the campaign, in a folder; one process of a machine at a time.

    Args:
        folder: It.
        notify: Who is told what.
        cwd: Where the command runs.
        pipe: Descriptor whose end of file means that whoever began us is gone. ``None``: say what there is to say, and leave.
    """

    def __init__(self, folder: str, notify: NotifySettings, cwd: str, pipe: int | None = None) -> None:
        names = StudyNames(Path(os.path.abspath(folder)))
        self._folder = os.path.abspath(folder)
        self._told_path, self._lock_path = names.told, names.telling
        self._watched = watched_in(folder, notify, cwd)
        self._post = Post(addresses_of(notify, os.environ, cwd)[0])
        self._pipe, self._alone, self._once = pipe, pipe is None, pipe is None
        self._sign = f"{os.getpid():>10}\n".encode()

    def run(self) -> None:
        """Until there is nothing more to see. Leaves at once where somebody tells already and nobody waits for us.

        Who can reach nobody leaves what there is to tell to whoever can.
        """
        if not self._post.names:
            return
        self._lock = lock = FileLock(str(self._lock_path))
        try:
            while not lock.acquire():
                if self._alone:
                    return
                os.pwrite(lock.content, self._sign, 0)  # the one of a run that is gone leaves when it sees this
                self._rest(1.0)
            os.pwrite(lock.content, self._sign, 0)
            self._tell()
        finally:
            lock.close()

    @property
    def _succeeded(self) -> bool:
        """Whether somebody who has a run behind them waits for us, who have none any more."""
        return self._alone and os.pread(self._lock.content, len(self._sign), 0) != self._sign

    @property
    def _is_deleted(self) -> bool:
        """Whether somebody has deleted the folder: then there is nothing to tell, of that least of all."""
        try:
            return os.fstat(self._lock.content).st_nlink == 0
        except OSError:  # ESTALE, on a network filesystem
            return True

    def _tell(self) -> None:
        told = read_told(self._told_path)
        ended: float | None = None
        while not self._is_deleted:
            began = time.monotonic()
            news = [signed(each, self._folder) for each in self._watched.news(told, alone=self._alone)]
            told.post(news, self._post.names, time.time())
            self._keep(told)
            over = self._watched.over or (self._once and not self._watched.doubtful)
            took = time.monotonic() - began
            self._deliver(told, until=began + max(look_every(), took / _SHARE), over=over)
            if self._succeeded:
                return
            if over:
                ended = ended or time.monotonic()
                if not told.letters or time.monotonic() - ended > _LAST:
                    return

    def _deliver(self, told: ToldBefore, *, until: float, over: bool) -> None:
        """Send what is due until it is time to look again, or there is a reason to look earlier."""
        while time.monotonic() < until:
            if self._post.deliver(told, time.time()):
                self._keep(told)
            if over and not told.letters:
                return
            was = self._alone
            self._rest(_TICK if self._post.busy or told.letters else max(0.0, until - time.monotonic()))
            if self._alone != was:
                return  # whoever began us is gone, or done

    def _rest(self, seconds: float) -> None:
        if self._alone or self._pipe is None:
            time.sleep(seconds)
        elif select.select([self._pipe], [], [], seconds)[0] and not os.read(self._pipe, 4096):
            self._alone = True

    def _keep(self, told: ToldBefore) -> None:
        with contextlib.suppress(OSError):  # a full disk: people are told all the same
            keep_told(self._told_path, told)
