"""Searches that went well, real ones that were recorded and simulated ones of many kinds, have no trouble at any moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from _eta_recordings import WORLDS, Recording, events, recorded, simulate

from outlast.config.settings import MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.monitor.health import HealthFacts, health

BEGAN = datetime(2026, 1, 5, tzinfo=timezone.utc)
SETTINGS = Settings(name="search", command=("true",), metrics=(MetricSettings(name="acc"),))
#: Of these every fourth trial fails, and more for a while: that is trouble.
UNWELL = ("failures at once", "failures late")


def troubles(search: Recording, *, every: int) -> list[tuple[str, float]]:
    """What anybody would have been told who looked after every so many decisions."""
    study, found = Study(), []
    for count, (second, event) in enumerate(events(search)):
        study.apply(event)
        if count % every or study.last_run is None:
            continue
        quiet = {trial.number: 20.0 for trial in study.in_state(TrialState.RUNNING)}
        facts = HealthFacts(disk_free=2**42, disk_total=2**43, quiet=quiet, holder_silent=9.0)
        now = BEGAN + timedelta(seconds=second)
        live = study.ended is None
        found += [(w.key, second) for w in health(study, SETTINGS, now=now, live=live, facts=facts) if w.is_trouble]
    return found


@pytest.mark.parametrize("search", recorded(), ids=lambda search: search.name)
def test_a_real_search_that_went_well_has_no_trouble_at_any_moment(search: Recording) -> None:
    assert troubles(search, every=1) == []


@pytest.mark.parametrize("name", [name for name in WORLDS if name not in UNWELL])
def test_a_search_of_any_kind_that_goes_well_has_none(name: str) -> None:
    assert troubles(simulate(name, 1), every=5) == []


@pytest.mark.parametrize("name", UNWELL)
def test_one_in_which_every_fourth_trial_fails_has(name: str) -> None:
    assert {key for seed in range(3) for key, _ in troubles(simulate(name, seed), every=5)} == {"failure_rate"}
