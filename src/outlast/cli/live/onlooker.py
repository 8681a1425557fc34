"""``outlast status -w``: looks at folders again and again and shows what it sees, until nothing runs there any more."""

from __future__ import annotations

from collections.abc import Callable, Collection

from outlast.cli.live.keys import keyboard_of
from outlast.cli.live.live_view import LiveView
from outlast.cli.render import ended_line
from outlast.cli.text import make_console
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.monitor.overview import Overview, Sight

_EVERY = 0.5  # seconds between two looks
_SHARE_OF_TIME = 0.05  # that looking may take
_RESULTS_BEFORE = 5  # shown at the beginning, of those that had ended before


def watch(look: Callable[[], Overview]) -> Overview:
    """Show what `look` finds, with the trials that end, until a person leaves or nothing goes on. Returns the last look."""
    console, overview = make_console(), look()
    view = LiveView(console, keyboard=keyboard_of(console.file))
    told: dict[str, set[int]] = {}
    try:
        while overview.is_live and not view.wants_to_quit:
            for sight in overview.sights:
                _tell(sight, told, view, named=len(overview.sights) > 1)
            view.update(overview)
            view.wait(_EVERY)
            view.update(overview)
            overview = look()
    except KeyboardInterrupt:
        pass
    finally:
        view.close()
    return overview


def _tell(sight: Sight, told: dict[str, set[int]], view: LiveView, *, named: bool) -> None:
    """A line for each trial that has ended since; at first for the last few."""
    if sight.study is None or sight.settings is None:
        return
    if sight.folder not in told:
        before = 1 if named else _RESULTS_BEFORE
        told[sight.folder] = {trial.number for trial in _ended(sight.study, ())[:-before]}
    for trial in _ended(sight.study, told[sight.folder]):
        line = ended_line(trial, sight.study, sight.settings, params=view.is_wide)
        view.event(f"{sight.name}: {line}" if named else line)
        told[sight.folder].add(trial.number)


def _ended(study: Study, told: Collection[int]) -> list[Trial]:
    """The trials that have ended and were not told of yet, in the order in which they did."""
    new = [trial for trial in study.trials.values() if trial.state.finished and trial.number not in told]
    return sorted(new, key=lambda trial: (trial.finished_at or "", trial.number))
