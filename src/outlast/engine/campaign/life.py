"""What a coordinator does beside its work where a supervisor looks after it: it shows that it lives, and keeps its log short."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

from outlast._system.turning_log import keep_output_short
from outlast.core.fold import Study
from outlast.core.records import Event
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.listener import Listener
from outlast.study.layout import StudyPaths

_EVERY = 10.0  # seconds


class Living(Listener):
    """Hands on what it hears. Each round that is over shows by the time of the study's ``run.log``."""

    def __init__(self, inner: Listener, paths: StudyPaths) -> None:
        self._inner, self._paths, self._shown = inner, paths, 0.0

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """Hand it on."""
        self._inner.decided(events, study)

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """Hand it on, and show life."""
        self._inner.looked(study, running)
        now = time.monotonic()
        if now - self._shown < _EVERY:
            return
        self._shown = now
        keep_output_short(self._paths.run_log)
        with contextlib.suppress(OSError):
            os.utime(self._paths.run_log)

    def said(self, text: str) -> None:
        """Hand it on."""
        self._inner.said(text)
