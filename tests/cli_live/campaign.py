"""Four studies as they stood at one moment, for ever the same: what the captures of the live view are of.

As a program it shows them on the terminal that it is started on, with the real keyboard, until somebody leaves; each event that
is named on its command line is said first. Ctrl-C leaves as well.
"""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from outlast.cli.live.keys import keyboard_of
from outlast.cli.live.live_view import LiveView
from outlast.cli.render.text import make_console
from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.states import Cause, TrialState
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, SupervisorFacts, snapshot
from outlast.testing.studies import StudyBuilder

NOW = datetime(2026, 1, 5, 14, 40, tzinfo=timezone.utc)
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"


def curve(best: float, steps: int) -> tuple[tuple[int, float], ...]:
    """What a training reports: it rises to its value, and wavers a little."""
    return tuple((s, best * (1 - math.exp(-(s + 1) / 4)) - 0.01 * (s % 3 == 1)) for s in range(steps))


def params(at: int) -> dict[str, Any]:
    """A configuration."""
    return {
        "lr": round(1e-5 * (1 + at % 7), 7),
        "backbone": ("bert", "roberta", "deberta")[at % 3],
        "batch": 8 << at % 3,
    }


def sight(name: str, *, done: int, target: int, failed: int = 0, at_work: int = 0, state: str = "",
          warnings: tuple[HealthWarning, ...] = ()) -> Sight:  # fmt: skip
    """A study of the campaign."""
    build = StudyBuilder(name, NOW - timedelta(hours=4, minutes=40))
    build.run(0, trials=target)
    for at in range(done):
        value = 0.62 + 0.2 * (1 - math.exp(-at / 9)) + 0.015 * math.sin(at * 2.4)
        pruned = at % 5 == 3
        build.trial(params(at), TrialState.PRUNED if pruned else TrialState.COMPLETE, at=600 * at, seconds=590,
                    values=None if pruned else value, curves=(curve(value, 6 if pruned else 20),),
                    last_step=5 if pruned else 19)  # fmt: skip
    for at in range(failed):
        build.trial(params(at), TrialState.FAILED, at=700 * at, seconds=30, reason=OUT_OF_MEMORY, signature="oom",
                    cause=Cause.CRASH)  # fmt: skip
    reports = {}
    for at in range(at_work):
        number = build.trial(params(at + 40), TrialState.RUNNING, at=16200 + 90 * at)
        reports[number] = 7 + 3 * at, 0.7 + at / 50
    if state:
        build.end(9000, state, f"the first 3 failures have the same cause: {OUT_OF_MEMORY}")
    settings = Settings(
        name=name, command=("true",), metrics=(MetricSettings(name="macro_f1"),), budget=BudgetSettings(trials=target)
    )
    folder = f"studies/maximal/{name}"
    live = None if state else LiveFacts("box", 4242, build.at(0), 1)
    found = snapshot(build.study, settings, now=NOW, live=live, folder=folder, running_reports=reports)
    done_at = NOW + timedelta(hours=target / 6)
    if found.eta is not None:  # a picture of the view, and not of how the end is reckoned
        between = done_at - timedelta(hours=target / 60), done_at + timedelta(hours=target / 40)
        found = replace(found, eta=done_at, eta_range=between, rate_per_hour=6.0)
    return Sight(name, folder, replace(found, warnings=warnings), study=build.study, settings=settings)


def campaign(**changed: Any) -> Overview:
    """Two run, one has halted, one waits for its turn."""
    return replace(_campaign(), **changed)


@lru_cache(maxsize=1)
def _campaign() -> Overview:
    hung = HealthWarning("hung", "trial 27 has reported nothing for 31m, 6 times as long as usual",
                         "outlast logs studies/maximal/criteria 27", "2026-01-05T14:09:00.000+00:00")  # fmt: skip
    same = HealthWarning("same", f"the same failure 3 times, first in trial 0: {OUT_OF_MEMORY}",
                         "outlast show studies/maximal/share failures")  # fmt: skip
    sights = (
        sight("criteria", done=26, target=1200, at_work=2, warnings=(hung,)),
        sight("evidence", done=22, target=800, failed=2, at_work=1),
        sight("share", done=0, target=600, failed=3, state="halted", warnings=(same,)),
        Sight("joint", "studies/maximal/joint", error="not begun yet", begun=False, target=400),
    )
    by = SupervisorFacts("box", 4000, "2026-01-05T10:00:00.000+00:00", {"evidence": 1})
    return Overview("maximal", "studies/maximal", sights, NOW, 4, by, is_campaign=True)


def main() -> None:
    """Show it."""
    overview, console = campaign(), make_console()
    if sys.argv[1:2] == ["one"]:
        overview = Overview("criteria", "studies/maximal/criteria", campaign().sights[:1], NOW)
    view = LiveView(console, keyboard=keyboard_of(console.file))
    for text in sys.argv[2:]:
        view.event(text)
    try:
        while not view.wants_to_quit:
            view.update(overview)
            view.wait(0.1)
    except KeyboardInterrupt:
        pass
    finally:
        view.close()
    print("left", flush=True)


if __name__ == "__main__":
    main()
