"""A worker asks for trials: one at a time, where there is a place, cards and time for it; and does what the answer says."""

from __future__ import annotations

import time
from typing import Any

from outlast._system.processes import my_identity
from outlast.engine.hold.children import Children
from outlast.engine.hold.workplace import Workplace
from outlast.study import requests

_TOO_SHORT = 60.0  # seconds of walltime that no trial is begun in
_NO_ROOM_FOR = 600.0  # seconds that a machine stands idle because a disk is full


class Asking:
    """Asks whoever holds the study; its children start what it is given."""

    def __init__(self, workplace: Workplace, children: Children) -> None:
        self._at, self._children, self._leaving = workplace, children, workplace.leaving
        self._request: requests.Request | None = None
        self._is_laid_out = False  # that request; a disk may refuse it
        self._not_before = 0.0
        self._no_room_since = 0.0  # that whoever holds the study tells us of
        self.judges = False  # whoever answered last has a pruner, which waits for reports

    @property
    def waits(self) -> bool:
        """Whether a request has no answer yet."""
        return self._request is not None

    def ask(self) -> bool:
        """Leave a request where one is due, or the one before again where a disk refused it. Returns whether it is a new one."""
        new = self._request is None and self._is_due()
        if new:
            self._request, self._is_laid_out = requests.prepare("trial", **self._about_us()), False
        if self._request is not None and not self._is_laid_out:
            requests.lay_out(self._at.paths, self._request)
            self._is_laid_out = True
        return new

    def _is_due(self) -> bool:
        """Whether another trial could run here now. Where none ever will, this worker leaves."""
        running, finished = len(self._children.running), self._children.finished
        if running >= self._at.parallel or self._leaving.begun or time.monotonic() < self._not_before:
            return False
        left = self._at.seconds_left
        enough = self._at.most is not None and finished + running >= self._at.most
        if enough or (left is not None and finished + running and left < _TOO_SHORT):
            if not running:  # never set back: a signal's handler may have asked meanwhile
                self._leaving.begun = True
            return False
        return self._at.cards is None or self._at.cards.ready(running=running)

    def _about_us(self) -> dict[str, Any]:
        """Who asks; and the cards of the job that the trial gets, as the ledger keeps them: by node."""
        us = {"worker": my_identity().to_json()}
        if self._at.job is None:
            return us
        facts = self._at.job.facts
        cards = [f"{facts.node}:{card}" for card in self._children.next_cards]
        return {**us, **facts.to_json(), "task": True, "gpus": cards}

    def read_answer(self) -> bool:
        """Do what the answer says. Returns whether there was one."""
        answer = None if self._request is None else requests.read_answer(self._at.paths, self._request)
        if answer is None:
            return False
        self._request = None
        self.judges = bool(answer.get("judges"))
        if "attempt" in answer:
            self._children.start(str(answer["attempt"]), float(answer.get("grace", 120.0)))
        elif answer.get("done"):
            self._leaving.begun = True
        else:
            self._not_before = time.monotonic() + float(answer.get("wait", 1.0))
        self._mind_the_room(str(answer.get("lacking", "")))
        if self._at.cards is not None:
            self._at.cards.let_go(running=len(self._children.running))
        return True

    def _mind_the_room(self, lacking: str) -> None:
        """Nothing begins while a disk is full. That may be over soon; a machine that stands idle for long is left to others."""
        now = time.monotonic()
        if not lacking:
            self._no_room_since = 0.0
        elif not self._no_room_since:
            self._no_room_since = now
            self._at.say(f"{lacking}: no trial begins before there is room")
        elif not self._children.running and now - self._no_room_since > _NO_ROOM_FOR:
            self._at.say(f"{lacking} for {_NO_ROOM_FOR / 60:.0f} minutes: leaving")
            self._leaving.begun = True
