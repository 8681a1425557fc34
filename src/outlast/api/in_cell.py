"""A search in a notebook's cell: the lines that it says elsewhere, and how it stands, in one output that is kept up to date."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from outlast.api.cell import CellOutput
from outlast.api.cell_page import page_of
from outlast.api.said_lines import SaidLines
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import Event
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.seen_live import SeenLive, live_here
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

_LINES = 8  # the latest that stay to be read
_HEADS = 4
#: The longer a search has been watched, the less often it is drawn: seconds since it began → between two pictures.
_EVERY = ((60.0, 1.0), (600.0, 2.0), (float("inf"), 5.0))
_SHARE_OF_TIME = 0.05  # what drawing may cost at most


class InCell(SaidLines):
    """Lines and figures as one page, drawn now and then; the last page stays."""

    def __init__(
        self,
        settings: Settings,
        folder: str,
        paths: StudyPaths,
        *,
        output: CellOutput | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        super().__init__(settings, folder, paths, self._lines.append)
        self._output, self._clock = output or CellOutput(), clock
        self._heads: list[str] = []
        self._seen: SeenLive | None = None
        self._began, self._next = clock(), float("-inf")

    def begun(self, opened: Opened, slots: int, changed: str) -> None:
        """What is said at the beginning stays above."""
        super().begun(opened, slots, changed)
        self._heads = list(self._lines)[:_HEADS]
        self._lines.clear()
        self._seen = SeenLive(self._settings, live_here(opened, slots), self._folder)
        self._draw(opened.study)

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """As elsewhere."""
        super().decided(events, study)
        if self._seen is not None:
            self._seen.decided()

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """Draw, if it is time."""
        super().looked(study, running)
        if self._seen is not None:
            self._seen.looked(running)
        if self._clock() >= self._next:
            self._draw(study)

    def ended(self, verdict: Verdict, study: Study) -> None:
        """The last page."""
        super().ended(verdict, study)
        self._draw(study, over=True)

    def _draw(self, study: Study, *, over: bool = False) -> None:
        if self._seen is None:
            return
        began = self._clock()
        overview = self._seen.overview(study, over=over)
        self._output.show(page_of(overview, self._heads, list(self._lines)))
        now = self._clock()
        every = next(every for until, every in _EVERY if now - self._began < until)
        self._next = now + max(every, (now - began) / _SHARE_OF_TIME)
