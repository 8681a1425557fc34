"""The process that sends: it looks, gives every tracker what it lacks, and ends when there is nothing more to send."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from outlast._system.process_behind import Shift
from outlast._system.syncing import make_dir
from outlast.config.tracking_section import TrackingSettings
from outlast.core.file_names import StudyNames
from outlast.core.states import StudyState
from outlast.engine.sending.courier import Courier
from outlast.engine.sending.tracked import TrackedFolder, token_of
from outlast.engine.sending.unsent import Unsent, keep_unsent
from outlast.errors import OutlastError
from outlast.tracking.choosing import make_sink

_SHARE = 0.05  # of the time that looking may take
_TICK = 0.1  # while something is under way
_LAST = 600.0  # seconds for what could not be sent when everything is over
_BEAT = 5.0  # seconds between two signs of life for other hosts
_HANGS = 900.0  # seconds on one batch, after which another process begins anew


def look_every() -> float:
    """Seconds between two looks at a study that runs."""
    return float(os.environ.get("OUTLAST_TRACK_SECONDS") or 2.0)


class Sender:
    """Sends the study in a folder; one process of a machine at a time.

    Args:
        folder: It.
        tracking: Where to.
        pipe: Descriptor whose end of file means that whoever began us is gone. ``None``: send what there is, and leave.
        patience: Seconds for what cannot be sent when everything is over.
        environment: Where ``${NAME}`` in the settings is taken from; ours by default.
    """

    def __init__(
        self, folder: str, tracking: TrackingSettings, pipe: int | None = None, *, patience: float = _LAST,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._names = names = StudyNames(Path(os.path.abspath(folder)))
        self._found, self._patience, self._once = TrackedFolder(folder), patience, pipe is None
        env = os.environ if environment is None else environment
        self._done = threading.Event()
        self.couriers = [
            Courier(name, partial(make_sink, name, its, env), names.tracker(name), self._done)
            for name, its in tracking.chosen.items()
        ]
        self._shift = Shift(names.sending, pipe, everywhere=True)
        self._written: dict[str, Unsent] = {}
        self._next_look, self._next_beat = 0.0, 0.0
        #: Whether the last look at the study saw it.
        self.readable = False
        self._news = True  # something may be to be given

    def run(self, *, insist: float = 0.0) -> bool:
        """Until there is nothing more to send. Leaves at once where somebody sends already and nobody waits for us.

        Args:
            insist: Seconds to wait for whoever sends what is left of a run that is over: they try again in minutes only.

        Returns:
            Whether it was our turn.

        Raises:
            OSError: The study folder cannot be written.
        """
        if not self.couriers:
            return True
        make_dir(self._names.tracking)
        try:
            if not self._shift.begin(insist=insist):
                return False
            self._send()
            return True
        finally:
            self._shift.end()

    def _send(self) -> None:
        over_since: float | None = None
        while not self._shift.is_deleted:
            now = time.monotonic()
            if now >= self._next_look:
                self._look(now)
            if now >= self._next_beat:
                self._shift.beat()
                self._next_beat = now + _BEAT
            if self._shift.succeeded:  # before anything is ended that they go on with
                return
            over = self._is_over
            over_since = (over_since or now) if over else None
            if self._news or any(each.failures and each.is_due(now) for each in self.couriers):
                self._news = False
                self._give(now, last=over)
            if any(each.busy_for > _HANGS for each in self.couriers):
                return
            if over_since is not None and (self._is_settled or now - over_since > self._patience):
                return
            alone, busy = self._shift.alone, any(each.busy for each in self.couriers)
            rests = max(0.0, self._next_look - time.monotonic())
            self._rest(_TICK if busy and not alone else min(_TICK * 10 if busy or over else _BEAT, rests))
            if self._shift.alone != alone:  # the end is known by now
                self._next_look = 0.0

    def _rest(self, seconds: float) -> None:
        """Until it is time, or something was brought, or whoever began us is gone."""
        if self._shift.alone:
            self._done.wait(seconds)
        else:
            self._shift.rest(seconds)
        if self._done.is_set():
            self._done.clear()
            self._news = True

    @property
    def _is_over(self) -> bool:
        """Whether nothing more is to come: of a study that nobody runs, or of which nobody can know."""
        if not self._shift.alone:
            return False
        return self._once or not self.readable or self._found.study.state is not StudyState.RUNNING

    @property
    def _is_settled(self) -> bool:
        """Whether every tracker has everything, or is not to have it soon."""
        if not self.readable:
            return True
        study, token = self._found.study, token_of(self._found.study)
        for courier in self.couriers:
            gives_up = courier.lasting or (self._once and courier.failures > 0)
            has_all = courier.closed and not courier.lacks(study, token, self._found.tokens)
            if courier.busy or not (has_all or gives_up):
                return False
        return True

    def lacking(self, courier: Courier) -> int:
        """How many trials a tracker lacks, of those that the last look saw."""
        return len(courier.lacking(self._found.study, self._found.tokens)) if self.readable else 0

    def _look(self, now: float) -> None:
        """Read what is new."""
        try:
            self._found.look()
            self.readable = True
        except (OutlastError, OSError):
            self.readable = False
        else:
            if self._found.study.cwd not in sys.path:
                sys.path.append(self._found.study.cwd)  # where a person's own sink may lie
        self._news = True
        took = time.monotonic() - now
        self._next_look = now + max(look_every(), took / _SHARE)

    def _give(self, now: float, *, last: bool) -> None:
        """Give every tracker what it lacks, where that is due."""
        if not self.readable:
            return
        study, token = self._found.study, token_of(self._found.study)
        for courier in self.couriers:
            if courier.is_due(now) and not (last and self._once and courier.failures):
                courier.give(study, token, self._found.tokens, self._found.trial, last=last)
        unsent = {
            each.name: Unsent(len(each.lacking(study, self._found.tokens)), each.trouble, each.cure)
            for each in self.couriers
        }
        if unsent != self._written:
            self._written = unsent
            keep_unsent(self._names.unsent, unsent)
