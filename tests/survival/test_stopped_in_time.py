"""The deadline of a session comes while functions train: they end in time, and the same command goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.survival import Lab, verify
from outlast.core.states import AT_DEADLINE, TrialState

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("isolation", ["process", "worker", "kept"])
def test_a_search_stops_before_its_session_ends_and_loses_an_epoch_at_most(
    isolation: str, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=5, seconds=0.4, isolation=isolation)
    lab.run("run", "study.yaml", "--deadline", "4s", code=4)
    study = lab.study()
    assert study.ended is not None and study.last_run is not None
    assert study.ended.reason == AT_DEADLINE and study.ended.at < (study.last_run.deadline or "")
    assert not study.in_state(TrialState.RUNNING, TrialState.FAILED, TrialState.PRUNED)
    lab.run()
    assert verify(lab, reference, trials=5, interruptions=1).faults == []
