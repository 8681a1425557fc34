"""Whole lives of studies, replayed decision by decision: a search that goes well is never said to be unwell.

Beside the lives that earlier versions recorded: searches as a hyperparameter search in good health is, with half to two thirds
pruned, trainings that run out of memory, some crashes, and preemptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.lab.searched import events, settings_of, study_file

from outlast.config.resolved import settings_on_record
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.moments import parse_time
from outlast.core.records import Event, StudyEnded
from outlast.core.states import TrialState
from outlast.monitor.health import HealthFacts, HealthWarning, health
from outlast.study.segments import read_ledger

ARCHIVE = Path(__file__).parents[1] / "archive"
#: Lives in which nothing went wrong but what a person did on purpose; the others were recorded for what went wrong in them.
WELL = ("complete", "first", "folds", "function", "objectives", "pruned", "revised", "stopped", "warm-start", "workers")


def replayed(told: list[Event], settings: Settings, *, every: int = 1) -> Iterator[tuple[HealthWarning, datetime]]:
    """What anybody who looked would have been told, after each decision, and a moment before the next one."""
    study, count = Study(), 0
    times = [parse_time(getattr(event, "at", "")) for event in told]
    for event, at, following in zip(told, times, [*times[1:], None], strict=True):
        study.apply(event)
        count += 1
        if at is None or study.last_run is None or count % every:
            continue
        live = not isinstance(event, StudyEnded) and study.ended is None
        quiet = {trial.number: 5.0 for trial in study.in_state(TrialState.RUNNING)}
        facts = HealthFacts(disk_free=2**40, disk_total=2**41, inodes_free=10**8, quiet=quiet, holder_silent=8.0)
        for now in (at, max(at, following - timedelta(milliseconds=1)) if following is not None else at):
            for warning in health(study, settings, now=now, live=live, facts=facts):
                yield warning, now


@pytest.mark.parametrize("life", WELL)
def test_a_recorded_life_that_went_well_has_no_trouble_at_any_moment(life: str) -> None:
    told = read_ledger(ARCHIVE / f"0.1.0-{life}" / "study" / "ledger").events
    study = Study()
    for event in told:
        study.apply(event)
    assert study.revision is not None
    settings = settings_on_record(study.revision.settings, ".")
    assert [(warning, at) for warning, at in replayed(told, settings) if warning.is_trouble] == []


@pytest.mark.parametrize(("trials", "slots", "seed"), [(400, 4, 1), (300, 1, 2), (300, 8, 3)])
def test_a_long_search_with_pruning_failures_and_preemptions_has_no_trouble(trials: int, slots: int, seed: int) -> None:
    file = study_file()
    told = events(file, trials, slots=slots, seed=seed)
    settings = settings_of(file)
    found = [(warning.key, at) for warning, at in replayed(told, settings, every=7) if warning.is_trouble]
    assert found == []


def test_a_search_that_prunes_two_thirds_is_in_good_health() -> None:
    """50-70% is what asynchronous successive halving does to a search of a large space."""
    from random import Random

    from outlast.testing.studies import StudyBuilder

    drawn, build = Random(11), StudyBuilder()
    build.run(0)
    settings = settings_of(study_file())
    curve = tuple((step, 0.1 * step) for step in range(9))
    for number in range(300):
        state = drawn.choices([TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE], [0.28, 0.65, 0.07])[0]
        at = 90.0 * number
        params = {"lr": drawn.uniform(1e-5, 0.1), "layers": drawn.randint(1, 8)}
        build.trial(
            params, state, at=at, seconds=80, values=drawn.random(), curves=(curve,), reason="CUDA out of memory"
        )
        found = health(build.study, settings, now=build.moment(at + 85), live=True, facts=HealthFacts(quiet={}))
        assert [warning for warning in found if warning.is_trouble] == []
