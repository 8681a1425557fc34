"""What a search says where it has lines of text: how it begins, each trial that ended, and how it came to rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from outlast._system.reading import read_bytes
from outlast.api.result import counted_trials
from outlast.config.settings import Settings
from outlast.core.best import best_trial
from outlast.core.budget import counted, remaining
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import Cause, StudyState
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.listener import Saying
from outlast.engine.record.kept_where import kept_where
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

FRESH = "fresh=True sets the earlier study aside and starts anew"


class SaidLines(Saying):
    """What is printed: how a search begins, a plain line per finished trial, and how it came to rest."""

    def __init__(self, settings: Settings, folder: str, paths: StudyPaths, say: Callable[[str], object]) -> None:
        super().__init__(say)
        self._settings, self._folder, self._paths = settings, folder, paths
        self.at_round: Callable[[], object] = lambda: None  # what is done whenever the coordinator has looked

    def begun(self, opened: Opened, slots: int, changed: str) -> None:
        """Where it lies, what is there, what is to do, and that it can be interrupted."""
        folder, budget = self._folder, self._settings.budget
        left = remaining(opened.study, budget.trials, budget.count)
        there = ", ".join(f"{number} {state}" for state, number in opened.study.counts().items() if number)
        so_far = f"new study {folder}" if opened.new else f"resuming {folder}: {there or 'no trials'}"
        to_go = "" if left is None else f", {left} to go" if not opened.new else f": {counted_trials(left)}"
        if self._settings.index.in_memory:
            self._say(f"new study{to_go}, {slots} at a time; in memory: nothing is kept but what is given back")
        else:
            self._say(f"{so_far}{to_go}, {slots} at a time; resumable: interrupted or killed, the same call goes on")
            for label, text in kept_where(self._paths, folder):
                self._say(f"{label}: {text}")
        if changed:
            self._say(f"{changed}: {FRESH}")

    def ended(self, verdict: Verdict, study: Study) -> None:
        """How it came to rest, what was best, and where everything is."""
        best = best_trial(study, self._settings.metrics)
        values = "" if best is None else f", best trial {best.number}:{_values(self._settings, best.values)}"
        said = f"{verdict.state}: {counted_trials(len(study.trials))} in {self._folder}{values}"
        if verdict.state is StudyState.HALTED:
            self._say(_story(self._paths, study))
            said += f"; {verdict.reason}\nmend it, then the same call goes on"
        elif verdict.state is not StudyState.DONE:
            said += "; the same call goes on"
        self._say(said)

    def broke(self) -> None:
        """An error has ended it, which is said elsewhere."""

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """A line for each attempt that ended."""
        for event in events:
            if isinstance(event, AttemptEnded) and event.cause is Cause.PART:
                self._say(f"trial {event.trial} {event.reason}")
            elif isinstance(event, AttemptEnded) and event.cause is not Cause.NEVER_STARTED:
                reason = f": {event.reason}" if event.reason else ""
                values = _values(self._settings, event.values)
                self._say(f"trial {event.trial} {event.state}{values}{reason}{self._progress(study)}")

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """A round is over."""
        self.at_round()

    def _progress(self, study: Study) -> str:
        budget, metrics = self._settings.budget, self._settings.metrics
        of = f"{counted(study, budget.count)}" + ("" if budget.trials is None else f" of {budget.trials}")
        extremes = study.extreme_values if len(metrics) == 1 else None
        best = "" if extremes is None else f", best{_values(self._settings, [extremes[metrics[0].goal == 'maximize']])}"
        return f"  ({of}{best})"


def _values(settings: Settings, values: Sequence[float] | None) -> str:
    return "".join(f" {m.name}={value:.6g}" for m, value in zip(settings.metrics, values or (), strict=False))


def _story(paths: StudyPaths, study: Study) -> str:
    failed = max((o for o in study.failures_since_run), key=lambda o: o.at, default=None)
    text = None if failed is None else read_bytes(paths.trial(failed.trial).error_log)
    return "" if text is None else text.decode(errors="replace").partition("\n\n")[2].rstrip()
