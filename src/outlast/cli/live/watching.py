"""Between the coordinator and the terminal: what happens, as lines and as the live block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from rich.console import Console

from outlast.cli.live.keys import keyboard_of
from outlast.cli.live.live_view import LiveView
from outlast.cli.render import ended_line
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.listener import Listener
from outlast.engine.hold.terminal import words_to_run_log
from outlast.monitor.moved_on import WHOLE_EVERY, moved_on
from outlast.monitor.overview import Overview, Sight, overview_of
from outlast.monitor.snapshot import LiveFacts, Snapshot, snapshot
from outlast.study.layout import StudyPaths

_HOW_TO_LEAVE = "Ctrl-C stops the search, and the same command goes on with it later"


class Watching(Listener):
    """Feeds a `LiveView` from the coordinator.

    A terminal or pipe that is gone, or a full disk under a redirected output, never ends a search: its words go to the
    study's ``run.log`` from then on.
    """

    def __init__(self, console: Console, settings: Settings, live: LiveFacts, folder: str) -> None:
        self._view = LiveView(console, keyboard=keyboard_of(console.file), on_quit=_HOW_TO_LEAVE)
        self._settings, self._live, self._folder = settings, live, folder
        self._reports: dict[int, tuple[int, float]] = {}
        self._whole: Snapshot | None = None  # everything, as it was worked out since the last decision
        self._cut_off = False

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """A line for each trial that ended, and for each that was interrupted."""
        self._whole = None
        self._show(lambda: self._tell(events, study))

    def _tell(self, events: Sequence[Event], study: Study) -> None:
        for event in events:
            if not isinstance(event, AttemptEnded):
                continue
            trial = study.trials[event.trial]
            if event.state is TrialState.INTERRUPTED:
                if event.cause is Cause.PART:
                    self._view.event(f"trial {event.trial} {event.reason}")
                elif event.cause is not Cause.NEVER_STARTED:
                    self._view.event(f"trial {event.trial} interrupted: {event.reason}")
                continue
            self._view.event(ended_line(trial, study, self._settings, params=self._view.is_wide))

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """Redraw, if it is time."""
        name = self._settings.metrics[0].name
        for attempt in running:
            if attempt.reports and name in attempt.reports[-1].metrics:
                last = attempt.reports[-1]
                self._reports[attempt.trial] = (last.step, float(last.metrics[name]))
            else:  # the last attempt's are no measure of this one
                self._reports.pop(attempt.trial, None)
        self._show(lambda: self._view.update(lambda: self._overview(study)))

    def said(self, text: str) -> None:
        """A line."""
        self._show(lambda: self._view.event(text))

    def close(self) -> None:
        """Leave the terminal in order."""
        self._show(self._view.close)

    def _show(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except OSError:
            if not self._cut_off:
                self._cut_off = True
                words_to_run_log(StudyPaths.at(self._folder))

    def _overview(self, study: Study) -> Overview:
        now, before = datetime.now(timezone.utc), self._whole
        if before is not None and 0 <= (now - before.now).total_seconds() < WHOLE_EVERY:
            found = moved_on(before, study, now=now, running_reports=self._reports)
        else:
            found = self._whole = snapshot(
                study, self._settings, now=now, live=self._live, running_reports=self._reports, folder=self._folder
            )
        return overview_of(Sight(found.study, self._folder, found, study=study, settings=self._settings), now)
