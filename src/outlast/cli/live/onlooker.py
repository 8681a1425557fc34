"""Whoever looks at folders again and again: ``outlast status -w``, and the terminal of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Collection

from outlast.cli.live.keys import keyboard_of
from outlast.cli.live.live_view import LiveView
from outlast.cli.render import render_many, render_run
from outlast.cli.render.text import make_console
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.monitor.overview import Overview, Sight

_PAUSE = 0.25  # seconds until it is asked again whether something is to be drawn; a key wakes us
_Outcome = tuple[int, str]  # a trial's number, and when it finished
_RESULTS_BEFORE = 5  # shown at the beginning, of those that had ended before; of each of several studies only the last


class Onlooker:
    """Shows what `look` finds on a view, and says which trials have ended since the last look."""

    def __init__(self, look: Callable[[], Overview], view: LiveView) -> None:
        self._look, self._view = look, view
        self._told: dict[str, set[_Outcome]] = {}
        self.overview: Overview | None = None  # the last look

    def update(self) -> None:
        """Look and draw, if it is time."""
        self._view.update(self.look)

    def look(self) -> Overview:
        """Look now, and have what ended said with the next redraw."""
        found = self.overview = self._look()
        for sight in found.sights:
            self._tell(sight, named=len(found.sights) > 1)
        return found

    def _tell(self, sight: Sight, *, named: bool) -> None:
        study = sight.study
        if study is None or sight.settings is None:
            return
        if sight.folder not in self._told:
            before = 1 if named else _RESULTS_BEFORE
            self._told[sight.folder] = {_outcome(trial) for trial in _ended(study, ())[:-before]}
        told = self._told[sight.folder]
        for trial in _ended(study, told):
            line = render_run.ended_line(trial, study, sight.settings, params=self._view.is_wide)
            self._view.event(f"{sight.name}: {line}" if named else line)
            told.add(_outcome(trial))


def watch(look: Callable[[], Overview], *, several: bool) -> None:
    """Show what `look` finds until a person leaves or nothing goes on any more; then it is said how it ended.

    Args:
        several: Whether it is a campaign or a folder with studies, whatever their number.
    """
    console = make_console()
    view = LiveView(console, keyboard=keyboard_of(console.file))
    onlooker = Onlooker(look, view)
    overview = onlooker.look()
    try:
        while overview.is_live and not view.wants_to_quit:
            onlooker.update()
            view.wait(_PAUSE)
            overview = onlooker.overview or overview
    except KeyboardInterrupt:
        pass
    finally:
        view.close()
    if not overview.is_live:
        console.print(render_many.several(overview) if several else render_run.status(overview.snapshots[0]))


def _outcome(trial: Trial) -> _Outcome:
    """Which of a trial's outcomes it is: it may be tried again, or be another study's after ``--fresh``."""
    return trial.number, trial.finished_at or ""


def _ended(study: Study, told: Collection[_Outcome]) -> list[Trial]:
    """The trials that have ended and were not told of yet, in the order in which they did."""
    new = [trial for trial in study.trials.values() if trial.state.finished and _outcome(trial) not in told]
    return sorted(new, key=lambda trial: (trial.finished_at or "", trial.number))
