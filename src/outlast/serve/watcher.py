"""One looker for all open pages: a thread that looks as long as somebody asks, and what it has put together.

Only this thread touches a study's fold, which grows while it is looked at. Requests take finished bytes: twenty pages cost what
one does, but for sending them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from msgspec import Struct

from outlast.core.plain_json import plain_json
from outlast.errors import OutlastError
from outlast.monitor.overview import Overview, Sight
from outlast.serve.boards import Boards, key_of
from outlast.serve.live_curves import RunningCurves
from outlast.serve.saying import complain
from outlast.serve.study_view import mark_of_study, study_data

_EVERY = 2.0  # seconds between two looks, while somebody asks
_LEAST = 0.2  # whatever is asked for anew
_SHARE = 5.0  # a look that takes long is followed by a pause so many times as long
_FORGET = (
    6.0  # seconds after which what nobody asks for is not made any more: three questions of a page that is looked at
)
_STUDY_EVERY = 5.0  # seconds between two drawings of a study's trials
_PATIENCE = 5.0  # seconds that a page waits for the first look, or for one after a pause
#: What is asked for: the board, numbers for a scraper, or the study with this key.
BOARD, METRICS = "board", "metrics"


class Answer(Struct, frozen=True):
    """Something that was put together."""

    body: bytes
    version: str  # changes when the body does
    made: float  # monotonic


class Place(Struct, frozen=True):
    """Where a study lies, for whoever reads a log or stops a trial."""

    name: str
    folder: str


class Watcher:
    """Looks, and keeps what it saw for whoever asks.

    Args:
        look: How all studies stand now.
        metrics: The same as numbers for a scraper.
        nicer: By how much later looks give way to whatever else runs (`os.nice`). The first one is waited for, and does not.
    """

    def __init__(self, look: Callable[[], Overview], metrics: Callable[[Overview], str], *, nicer: int = 0) -> None:
        self._look, self._metrics, self._nicer = look, metrics, nicer
        self._boards, self._curves = Boards(), RunningCurves()
        self._lock = threading.Lock()
        self._wake, self._ended = threading.Event(), False
        self._asked: dict[str, float] = {}
        self._answers: dict[str, Answer] = {}
        self._drawn: dict[str, tuple[str, float]] = {}  # study → the state in which it was drawn, and when
        self._places: dict[str, Place] = {}
        self._waiting: dict[str, list[Future[None]]] = {}
        self._looked = float("-inf")
        self._began: float | None = None  # the look that is under way
        self._said = ""
        self.looks = 0  # so far

    def start(self) -> None:
        """Begin to look, as soon as somebody asks."""
        threading.Thread(target=self._run, name="watcher", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended = True
        self._wake.set()

    def want(self, what: str) -> None:
        """Put it together soon, though nobody waits for it yet."""
        with self._lock:
            self._asked[what] = time.monotonic()
        self._wake.set()

    def lacks(self, key: str) -> bool:
        """Whether there is no study with this key, as far as a look has told."""
        return self.looks > 0 and key not in self._places

    async def ask(self, what: str) -> Answer | None:
        """What is known of it, not older than a few looks; ``None`` where there is none (`lacks`), or no look has told of it."""
        with self._lock:
            now = time.monotonic()
            is_new = now - self._asked.get(what, float("-inf")) > _FORGET
            self._asked[what] = now
            answer = self._answers.get(what)
            if answer is not None and (not is_new or self._is_fresh(answer, now)):
                return answer
            if (
                what not in (BOARD, METRICS)
                and self._places
                and what not in self._places
                and now - self._looked < _EVERY
            ):
                del self._asked[what]
                return None
            waiting: Future[None] = Future()
            self._waiting.setdefault(what, []).append(waiting)
            self._wake.set()
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(waiting), _PATIENCE)
        return self._answers.get(what)

    def _is_fresh(self, answer: Answer, now: float) -> bool:
        """Whether it need not be asked for anew: the look that is under way has told it, or one a moment ago."""
        return now - answer.made < _EVERY or (self._began is not None and answer.made >= self._began)

    async def place(self, key: str) -> Place | None:
        """Where the study with this key lies."""
        if key not in self._places:
            await self.ask(BOARD)
        return self._places.get(key)

    def _run(self) -> None:
        is_first = True
        while not self._ended:
            self._wake.clear()
            if not self._is_wanted():
                self._wake.wait()
                continue
            began = time.monotonic()
            self._once()
            if is_first and self._nicer:
                with suppress(OSError):
                    os.nice(self._nicer)  # on Linux this thread alone, and no answer waits for it
            is_first = False
            time.sleep(_LEAST)
            self._wake.wait(max(_EVERY, _SHARE * (time.monotonic() - began)))

    def _is_wanted(self) -> bool:
        with self._lock:
            old = time.monotonic() - _FORGET
            for what in [each for each, at in self._asked.items() if at < old]:
                del self._asked[what]
                self._answers.pop(what, None)
                self._drawn.pop(what, None)
            return bool(self._asked)

    def _once(self) -> None:
        with self._lock:
            waiting, self._began = set(self._waiting), time.monotonic()
        try:
            self._put_together(self._look())
            self._said = ""
        except (OutlastError, OSError) as error:
            self._complain(f"the studies cannot be looked at: {getattr(error, 'fact', None) or error}")
        except Exception as error:  # a page that stands still must say why, and the next look may succeed
            self._complain(f"a look at the studies failed: {type(error).__name__}: {error}")
        for what in waiting:
            self._answer(what)  # there is no such thing, or the look failed
        self._began = None

    def _complain(self, text: str) -> None:
        if text != self._said:
            complain(text)
        self._said = text
        with self._lock:
            self._answers.clear()  # what was seen before is not passed off as what is so
        self._keep(BOARD, json.dumps({"trouble": text}).encode())

    def _put_together(self, overview: Overview) -> None:
        by_key = {key_of(sight.folder): sight for sight in overview.sights}
        self._places = {key: Place(sight.name, sight.folder) for key, sight in by_key.items()}
        curves = self._curves.of(overview)
        board = _encoded(self._boards.board(overview, curves))
        self._looked, self.looks = time.monotonic(), self.looks + 1
        self._keep(BOARD, board)
        with self._lock:
            wanted = set(self._asked)
        if METRICS in wanted:
            self._keep(METRICS, self._metrics(overview).encode())
        for key in wanted & set(by_key):
            self._draw(key, by_key[key])
        with self._lock:
            for key in set(self._answers) - set(by_key) - {BOARD, METRICS}:
                del self._answers[key]

    def _draw(self, key: str, sight: Sight) -> None:
        if sight.study is None or sight.settings is None or sight.snapshot is None:
            self._keep(key, _encoded({"error": sight.error}))
            return
        mark, known = mark_of_study(sight.study), self._drawn.get(key)
        if (
            known is not None
            and key in self._answers
            and (mark == known[0] or time.monotonic() - known[1] < _STUDY_EVERY)
        ):
            self._answer(key)
            return
        self._keep(key, _encoded(study_data(sight.study, sight.settings, sight.snapshot)))
        self._drawn[key] = mark, time.monotonic()

    def _keep(self, what: str, body: bytes) -> None:
        answer = Answer(body, hashlib.sha256(body).hexdigest()[:16], time.monotonic())
        with self._lock:
            self._answers[what] = answer
        self._answer(what)

    def _answer(self, what: str) -> None:
        """Wake whoever waits for it, without waiting for what else a look puts together."""
        with self._lock:
            waiting = self._waiting.pop(what, [])
        for each in waiting:
            if not each.done():
                with suppress(Exception):
                    each.set_result(None)


def _encoded(data: object) -> bytes:
    text = json.dumps(plain_json(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "backslashreplace")  # a name that is no UTF-8 (a lone surrogate) is shown escaped
