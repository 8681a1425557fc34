"""What every rule looks at: the study, what was found on the machine, and a few figures that several rules need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.lately import latest
from outlast.core.moments import parse_time
from outlast.core.records import Trial
from outlast.core.states import FINISHED, Cause, TrialState
from outlast.monitor.health.warning import HealthFacts
from outlast.monitor.rate import attempt_spans, busy_seconds

RECENT = 50
_TYPICAL = 10


class View(Struct, frozen=True, dict=True):
    """One study at one moment."""

    study: Study
    settings: Settings
    now: datetime
    live: bool
    where: str  # its folder, as a person types it
    facts: HealthFacts
    counts: Mapping[TrialState, int]  # of finished trials that were run here
    recent: list[Trial]  # the last of them, by the time they ended
    complete: list[Trial]  # the last complete ones, likewise

    @classmethod
    def of(cls, study: Study, settings: Settings, now: datetime, live: bool, where: str, facts: HealthFacts) -> View:
        """The view of a study. Trials that were imported, and those that a new version left out, say nothing of its health."""
        misfits = (trial for trial in study.misfits if trial.source != "imported" and trial.state.finished)
        left_out = Counter(trial.state for trial in misfits)
        counts = {state: len(numbers) - left_out[state] for state, numbers in study.sums.by_end.items()}
        return cls(
            study=study,
            settings=settings,
            now=now,
            live=live,
            where=where,
            facts=facts,
            counts=Counter(counts),
            recent=_latest(study, FINISHED, left_out.total()),
            complete=latest(study, (TrialState.COMPLETE,), RECENT),
        )

    @cached_property
    def running(self) -> list[Trial]:
        """The trials that run, without those that stand still by a scheduler's will."""
        return [trial for trial in self.study.in_state(TrialState.RUNNING) if trial.number not in self.facts.still]

    @cached_property
    def usual_step(self) -> float | None:
        """Seconds between two reports, at the median of the last trials that made several; ``None`` where none has."""
        steps = [
            outcome.seconds / len(outcome.curves[0])
            for trial in self.recent
            if (outcome := trial.last) is not None and outcome.curves and len(outcome.curves[0]) > 1
        ]
        return _median(steps)

    @cached_property
    def usual_trial(self) -> float | None:
        """Seconds of training, at the median of the last complete trials; ``None`` where none has completed."""
        return _median([trial.seconds for trial in self.complete])

    @cached_property
    def longest_trial(self) -> float:
        """Seconds of training of the longest among the last complete trials; 0 where there is none."""
        return max((trial.seconds for trial in self.complete[-_TYPICAL:]), default=0.0)

    def worked_since(self, since: datetime) -> float:
        """Seconds since then in which an attempt ran."""
        spans = [span for span in attempt_spans(self.study, since) if span[1] is not None]
        for trial in self.running:
            trained, opened = self.facts.trained.get(trial.number), self.opened(trial)
            began = opened if trained is None else self.now - timedelta(seconds=trained)
            if began is not None:  # by its own clock: its job may have waited since it was opened
                spans.append((max(since, began), self.now))
        return busy_seconds(spans, until=self.now)

    def before(self, seconds: float) -> str:
        """So long ago, as a record says it."""
        return self.time(self.now - timedelta(seconds=seconds))

    @staticmethod
    def time(moment: datetime) -> str:
        """A moment as a record says it."""
        return moment.astimezone(timezone.utc).isoformat(timespec="seconds")

    def opened(self, trial: Trial) -> datetime | None:
        """When the attempt that runs was begun."""
        attempt = trial.open_attempt
        return parse_time(attempt.opened_at) if attempt is not None else None


def _latest(study: Study, states: Collection[TrialState], left_out: int) -> list[Trial]:
    """The last trials, of which so many at most say nothing."""
    found = latest(study, states, RECENT + left_out)
    return [trial for trial in found if trial.cause is not Cause.SPACE_CHANGED][-RECENT:]


def _median(values: Sequence[float]) -> float | None:
    """As `statistics.median`, which loads random numbers and fractions."""
    ordered, half = sorted(values), len(values) // 2
    if not ordered:
        return None
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
