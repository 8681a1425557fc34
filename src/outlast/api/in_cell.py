"""A search in a notebook's cell: the lines that it says elsewhere, and how it stands, in one output that is kept up to date."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from outlast.api.cell import CellOutput, Page
from outlast.api.cell_page import page_of, page_of_lines
from outlast.api.said_lines import SaidLines
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import Event
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.seen_live import SeenLive, live_here
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

_LINES = 8  # the latest that stay to be read, of what is said since it began
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
        self._heads: list[str] = []  # what is said until it has begun: all of it stays
        self._lines: deque[str] = deque(maxlen=_LINES)
        super().__init__(settings, folder, paths, self._keep)
        self._output, self._clock = output or CellOutput(), clock
        self._seen: SeenLive | None = None
        self._study: Study | None = None  # as it was drawn last
        self._is_over = self._is_broken = False
        self._began, self._next = clock(), float("-inf")

    def begun(self, opened: Opened, slots: int, changed: str) -> None:
        """What is said at the beginning stays above."""
        super().begun(opened, slots, changed)
        self._seen = SeenLive(self._settings, live_here(opened, slots), self._folder)
        self._draw(opened.study)

    def said(self, text: str) -> None:
        """What comes before it has begun, or when it is over, is shown at once; the rest when it is drawn next."""
        super().said(text)
        if self._seen is None:
            self._show(lambda: page_of_lines(self._heads))
        elif self._is_over and self._study is not None:
            self._draw(self._study)

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
        self._is_over = True
        self._draw(study)

    def broke(self) -> None:
        """The last page, which says that it does not run."""
        self._is_over = True
        if self._study is not None:
            self._draw(self._study)

    def _keep(self, text: str) -> None:
        (self._heads if self._seen is None else self._lines).append(text)

    def _draw(self, study: Study) -> None:
        seen, self._study = self._seen, study
        if seen is None:
            return
        began = self._clock()
        self._show(lambda: page_of(seen.overview(study, over=self._is_over), self._heads, list(self._lines)))
        now = self._clock()
        every = next(every for until, every in _EVERY if now - self._began < until)
        self._next = now + max(every, (now - began) / _SHARE_OF_TIME)

    def _show(self, page: Callable[[], Page]) -> None:
        """A picture that cannot be drawn costs the picture, never the search."""
        try:
            self._output.show(page())
        except Exception as error:
            if not self._is_broken:
                print(f"the cell is not kept up to date: {type(error).__name__}: {error}", flush=True)
            self._is_broken = True
