"""What a study's hours went into: results, pruned trials, waste, and what resuming did not have to repeat. Pure.

Every attempt's training seconds, times its cards, go into exactly one of four:

- *complete*, *pruned*: work that is part of such a trial's outcome.
- *wasted*: everything of failed and infeasible trials; and of all others what was done again or thrown away: the attempts
  before a start-over, and the steps at or behind the one at which a later attempt went on (what came after the last
  checkpoint).
- *open*: attempts that run now, and what trials that wait for their next attempt can still build on.

*saved* is the part of complete, pruned and open work that was done before a resume: what a later attempt did not have to do
again. Each hour counts once, however often its trial was resumed, and only where the steps prove it
(`outlast.core.sums`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from outlast.core.fold import Study

_HOUR = 3600e9  # nanoseconds


class Hours(Struct, frozen=True):
    """Hours of one unit; `used` is the sum of `complete`, `pruned`, `wasted` and `open`. See the module."""

    gpu: bool = False  # hours of GPUs; otherwise of training, whatever it ran on
    used: float = 0.0
    complete: float = 0.0
    pruned: float = 0.0
    wasted: float = 0.0
    open: float = 0.0
    saved: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The ``hours`` of the status JSON; figures rounded to four decimals."""
        figures = {name: round(figure, 4) for name, figure in asdict(self).items() if name != "gpu"}
        return {"unit": "gpu" if self.gpu else "training", **figures}


def hours(study: Study, running: Mapping[int, float] | None = None) -> Hours:
    """Add up what the study's attempts used and what for.

    In GPU hours where any attempt had a card, otherwise in hours of training. Imported trials were not run here. `running`:
    trial → seconds that its open attempt has trained so far; one that is not named counts nothing yet.
    """
    sums, running = study.sums, running or {}
    gpu = sums.with_cards > 0
    total = {name: part / _HOUR for name, part in (sums.card_hours if gpu else sums.hours).items()}
    going = (study.trials[number] for number in running if number in study.trials)
    for trial in (trial for trial in going if trial.source != "imported"):
        for attempt in (attempt for attempt in trial.attempts if attempt.outcome is None):
            weighed = max(0.0, running[trial.number]) * (attempt.cards if gpu else 1.0) / 3600.0
            for name in ("used", "open"):
                total[name] = total.get(name, 0.0) + weighed
    return Hours(gpu, **total)
