"""The process that tells: it looks, sends what is new, and ends when there is nothing more to see and everything has arrived."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from outlast._system.process_behind import Shift
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
        self._folder, self._told_path = os.path.abspath(folder), names.told
        self._watched = watched_in(folder, notify, cwd)
        self._post = Post(addresses_of(notify, os.environ, cwd)[0])
        self._shift, self._once = Shift(names.telling, pipe), pipe is None

    def run(self) -> None:
        """Until there is nothing more to see. Leaves at once where somebody tells already and nobody waits for us.

        Who can reach nobody leaves what there is to tell to whoever can.
        """
        if not self._post.names:
            return
        try:
            if self._shift.begin():
                self._tell()
        finally:
            self._shift.end()

    def _tell(self) -> None:
        told = read_told(self._told_path)
        ended: float | None = None
        while not self._shift.is_deleted:
            began = time.monotonic()
            news = [signed(each, self._folder) for each in self._watched.news(told, alone=self._shift.alone)]
            told.post(news, self._post.names, time.time())
            self._keep(told)
            over = self._watched.over or (self._once and not self._watched.doubtful)
            took = time.monotonic() - began
            self._deliver(told, until=began + max(look_every(), took / _SHARE), over=over)
            if self._shift.succeeded:
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
            was = self._shift.alone
            self._shift.rest(_TICK if self._post.busy or told.letters else max(0.0, until - time.monotonic()))
            if self._shift.alone != was:
                return  # whoever began us is gone, or done

    def _keep(self, told: ToldBefore) -> None:
        with contextlib.suppress(OSError):  # a full disk: people are told all the same
            keep_told(self._told_path, told)
