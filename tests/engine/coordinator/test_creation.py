"""Creating trials by itself: who enqueued what, what the derive hook rules out, and a space that is used up."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.config.load import load_study_file
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, Event, RevisionMade, StudyCreated, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator.new_trials import Creation
from outlast.optimizer.index.index_rows import ForeignRow
from outlast.optimizer.sampling import Optimizer
from outlast.testing.manual_clock import FakeClock

HOOK = "def derive(params):\n    return {'twice': 2 * params['x']} if params['x'] < 3 else 'infeasible'\n"


class Desk:
    """Creation with a real sampler; the index only hands over what somebody enqueued there."""

    def __init__(self, place: Path, **changes: Any) -> None:
        file = {
            "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "sampler": "grid",
            "parameters": {"x": {"values": [1, 2, 3]}}, "budget": {"trials": 9}, **changes,
        }  # fmt: skip
        (place / "study.yaml").write_text(json.dumps(file))
        settings = load_study_file(str(place / "study.yaml"))
        self.study, self.said, self.refused = Study(), [], {}
        self.study.apply(StudyCreated("lab", "", study_seed=1))
        self.study.apply(RevisionMade(1, "", settings.resolved))
        self.foreign: list[Any] = []
        self.optimizer = Optimizer(settings, self.study)
        decisions: Any = SimpleNamespace(
            study=self.study, optimizer=self.optimizer, clock=FakeClock(), take=self.take, say=self.said.append
        )
        index: Any = SimpleNamespace(take_foreign=self._taken, refuse=self._refuse)
        self.creation = Creation(settings, decisions, index)

    def take(self, event: Event) -> None:
        self.study.apply(event)
        self.optimizer.apply(event)

    def _taken(self) -> list[Any]:
        found, self.foreign = self.foreign, []
        return found

    def _refuse(self, row: Any, why: str) -> None:
        self.refused[row.key] = why

    def create(self) -> dict[str, Any] | None:
        """The parameters of one more trial that is to be started."""
        events = self.creation.create()
        if len(events) != 1:
            return None
        (event,) = events
        assert isinstance(event, TrialCreated) and event.trial in self.study.trials
        return dict(event.params)


def test_a_space_is_drawn_to_its_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    drawn = [desk.create() for _ in range(3)]
    assert sorted(each["x"] for each in drawn if each) == [1, 2, 3]
    assert desk.creation.create() == [] and len(desk.study.trials) == 3


def test_what_the_study_file_enqueues_comes_before_what_is_drawn(tmp_path: Path) -> None:
    desk = Desk(tmp_path, enqueue=[{"x": 3}])
    assert desk.create() == {"x": 3}
    assert desk.study.trials[0].source == "enqueued"


def test_what_somebody_enqueued_by_hand_comes_first_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    space = {"lr": {"min": 0.001, "max": 0.1}}
    desk = Desk(tmp_path, sampler="random", parameters=space, enqueue=[{"lr": 0.03}])
    desk.foreign = [
        ForeignRow("1:1", 1, 0, "WAITING", params={"lr": 9.0}),
        ForeignRow("1:2", 2, 1, "WAITING", params={"lr": 0.02}),
    ]
    assert desk.create() == {"lr": 0.02} and desk.study.trials[0].source == "foreign"
    assert set(desk.refused) == {"1:1"} and "does not fit the search space" in desk.said[0]
    assert desk.create() == {"lr": 0.03}


@pytest.mark.parametrize("x", [1, 3])
def test_the_derive_hook_adds_values_or_rules_a_trial_out_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, x: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hook.py").write_text(HOOK)
    desk = Desk(tmp_path, derive="hook:derive", enqueue=[{"x": x}])
    created, *rest = desk.creation.create()
    assert isinstance(created, TrialCreated)
    if x < 3:
        assert created.derived == {"twice": 2} and rest == []
        return
    opened, ended = rest
    assert isinstance(opened, AttemptOpened) and isinstance(ended, AttemptEnded)
    assert (ended.state, ended.cause) == (TrialState.INFEASIBLE, Cause.CONSTRAINT)
    assert desk.study.trials[0].state is TrialState.INFEASIBLE
