"""The deadline of a session comes while functions train: they end in time, and the same command goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.survival import Lab, verify
from outlast.core.states import AT_DEADLINE, TrialState

pytestmark = pytest.mark.slow


def test_a_search_stops_before_its_session_ends_and_loses_an_epoch_at_most(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    """All at once: they mostly wait. Their trials are asked to leave after five seconds; a busy machine has a minute for that."""
    ways = ("process", "worker", "kept")
    labs = [make_lab(way, trials=3, seconds=0.8, isolation=way, trial={"grace": "60s"}) for way in ways]
    for command in [lab.start("run", "study.yaml", "--deadline", "69s") for lab in labs]:
        assert command.wait() == 4, command.said
    for lab in labs:
        study = lab.study()
        assert study.ended is not None and study.last_run is not None
        assert study.ended.reason == AT_DEADLINE and study.ended.at < (study.last_run.deadline or ""), lab.place
        assert not study.in_state(TrialState.RUNNING, TrialState.FAILED, TrialState.PRUNED), lab.place
    for command in [lab.start() for lab in labs]:
        assert command.wait() == 0, command.said
    assert {lab.place.name: verify(lab, reference, trials=3, interruptions=1).faults for lab in labs} == {
        lab.place.name: [] for lab in labs
    }
