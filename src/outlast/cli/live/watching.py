"""Between the coordinator and the terminal: what happens, as lines and as the live block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from outlast.cli.render.render_run import ended_line
from outlast.cli.render.text import make_console
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.seen_live import SeenLive
from outlast.engine.hold.terminal import words_to_run_log
from outlast.monitor.snapshot import LiveFacts
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from rich.console import Console

    from outlast.cli.live.live_view import LiveView

_HOW_TO_LEAVE = "Ctrl-C stops the search, and the same command goes on with it later"


class Watching(Listener):
    """Feeds a `LiveView` from the coordinator. Until there is something to show nothing of it is loaded: the first trial is
    begun by then.

    A terminal or pipe that is gone, or a full disk under a redirected output, never ends a search: its words go to the
    study's ``run.log`` from then on.
    """

    def __init__(
        self, settings: Settings, live: LiveFacts, folder: str, console: Callable[[], Console] = make_console
    ) -> None:
        self._console = console
        self._settings, self._folder = settings, folder
        self._seen = SeenLive(settings, live, folder)
        self._cut_off = False

    @cached_property
    def _view(self) -> LiveView:
        from outlast.cli.live.keys import keyboard_of
        from outlast.cli.live.live_view import LiveView

        console = self._console()
        return LiveView(console, keyboard=keyboard_of(console.file), on_quit=_HOW_TO_LEAVE)

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """A line for each trial that ended, and for each that was interrupted."""
        self._seen.decided()
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
        self._seen.looked(running)
        self._show(lambda: self._view.update(lambda: self._seen.overview(study)))

    def said(self, text: str) -> None:
        """A line."""
        self._show(lambda: self._view.event(text))

    def close(self) -> None:
        """Leave the terminal in order."""
        if "_view" in vars(self):
            self._show(self._view.close)

    def _show(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except OSError:
            if not self._cut_off:
                self._cut_off = True
                words_to_run_log(StudyPaths.at(self._folder))
