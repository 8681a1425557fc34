"""Taking over a long study that was kept: most of its trials are unpacked in one go, without a search for cycles among them."""

from __future__ import annotations

import gc

import pytest

from outlast.core.fold import Study
from outlast.core.kept_trials import KeptTrials
from outlast.optimizer.taken_over import TakenOver
from outlast.testing.studies import StudyBuilder


@pytest.fixture(scope="module")
def build() -> StudyBuilder:
    found = StudyBuilder("long")
    for _ in range(1_200):
        found.trial(values=0.5)
    return found


@pytest.fixture
def resumed(build: StudyBuilder) -> Study:
    return Study.resumed(*build.study.kept())


@pytest.mark.parametrize("looks", [True, False])
def test_no_cycles_are_looked_for_among_what_is_unpacked(
    resumed: Study, looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    unpack = KeptTrials._unpack
    monkeypatch.setattr(KeptTrials, "_unpack", lambda self: (seen.append(gc.isenabled()), unpack(self))[1])
    try:
        if not looks:
            gc.disable()
        TakenOver(resumed).expect(1_100)
        assert (seen, gc.isenabled()) == ([False], looks)
    finally:
        gc.enable()


def test_of_a_few_none_is_unpacked_ahead(resumed: Study) -> None:
    assert isinstance(resumed.trials, KeptTrials)
    TakenOver(resumed).expect(40)
    assert dict.__len__(resumed.trials) == 0
