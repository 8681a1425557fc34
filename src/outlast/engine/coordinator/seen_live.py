"""How a study that runs in this process stands, from what its coordinator tells: for whoever shows it while it runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timezone

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.engine.attempts.running import Running
from outlast.monitor.moved_on import WHOLE_EVERY, moved_on
from outlast.monitor.overview import Overview, Sight, overview_of
from outlast.monitor.snapshot import LiveFacts, Snapshot, snapshot
from outlast.study.opened import Opened


def live_here(opened: Opened, slots: int) -> LiveFacts:
    """That this process runs the study."""
    since = opened.study.last_run.at if opened.study.last_run else ""
    return LiveFacts(os.uname().nodename, os.getpid(), since, slots)


class SeenLive:
    """What depends on all trials is worked out again after a decision or now and then; in between, only what moves is."""

    def __init__(self, settings: Settings, live: LiveFacts, folder: str) -> None:
        self._settings, self._live, self._folder = settings, live, folder
        self._reports: dict[int, tuple[int, float]] = {}
        self._whole: Snapshot | None = None  # everything, as it was worked out since the last decision

    def decided(self) -> None:
        """Something was put on record."""
        self._whole = None

    def looked(self, running: Sequence[Running]) -> None:
        """A round is over: these attempts run, and have reported."""
        name = self._settings.metrics[0].name
        for attempt in running:
            if attempt.reports and name in attempt.reports[-1].metrics:
                last = attempt.reports[-1]
                self._reports[attempt.trial] = (last.step, float(last.metrics[name]))
            else:  # the last attempt's are no measure of this one
                self._reports.pop(attempt.trial, None)

    def overview(self, study: Study, *, over: bool = False) -> Overview:
        """How it stands now, alone; `over`: nobody runs it any more."""
        now, before = datetime.now(timezone.utc), self._whole
        if not over and before is not None and 0 <= (now - before.now).total_seconds() < WHOLE_EVERY:
            found = moved_on(before, study, now=now, running_reports=self._reports)
        else:
            live = None if over else self._live
            found = self._whole = snapshot(
                study, self._settings, now=now, live=live, running_reports=self._reports, folder=self._folder
            )
        return overview_of(Sight(found.study, self._folder, found, study=study, settings=self._settings), now)
