"""Trials that a new version of the study file leaves out come back when a later one holds them again."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core import records
from outlast.core.budget import counted
from outlast.core.fold import Study, fold
from outlast.core.records import Event, RevisionMade, RunStarted
from outlast.core.states import Cause, TrialState
from outlast.engine.hold.new_version import fitted_anew, told_of
from outlast.testing.studies import StudyBuilder

WIDE = {"x": {"min": 0.0, "max": 1.0}, "kind": {"values": ["a", "b"]}}
NARROW = {**WIDE, "x": {"min": 0.5, "max": 1.0}}
COUNT = ("complete", "pruned", "infeasible")


def settings(parameters: Mapping[str, Any] = WIDE, metric: str = "score", **more: Any) -> Settings:
    resolved = {
        "name": "digits",
        "command": ["true"],
        "metric": {"name": metric, "goal": "maximize"},
        "parameters": dict(parameters),
        "budget": {"trials": 9},
        **more,
    }
    return settings_from_resolved(resolved, ".")


class Search:
    """A study whose file changes."""

    def __init__(self, parameters: Mapping[str, Any] = WIDE) -> None:
        self.build = StudyBuilder()
        self.study = self.build.study
        self.study.revisions[:] = [RevisionMade(1, self.build.at(0), settings(parameters).resolved)]
        self._seconds = 1000.0

    def change(self, parameters: Mapping[str, Any] = WIDE, metric: str = "score", **more: Any) -> list[str]:
        """As opening the study does; every record goes through JSON. Returns what is said."""
        self._seconds += 1000
        new, now = settings(parameters, metric, **more), self.build.at(self._seconds)
        events: list[Event] = [
            RevisionMade(len(self.study.revisions) + 1, now, new.resolved), *fitted_anew(self.study, new, now), RunStarted(now)
        ]  # fmt: skip
        for event in events:
            read = records.from_json(json.loads(json.dumps(records.to_json(event))))
            assert read is not None
            self.study.apply(read)
        return told_of(events)

    @property
    def left_out(self) -> list[int]:
        return [trial.number for trial in self.study.misfits]


def everything(search: Search) -> dict[int, Any]:
    return {number: copy.deepcopy(trial) for number, trial in search.study.trials.items()}


def test_a_range_that_was_narrowed_and_widened_again_has_all_its_trials_as_they_were() -> None:
    search = Search()
    for state in (s for s in TrialState if s.finished or s is TrialState.INTERRUPTED):
        values = 0.7 if state is TrialState.COMPLETE else None
        for x in (0.2, 0.8):
            search.build.trial({"x": x, "kind": "a"}, state, values=values, curves=(((0, 0.5),),))
    search.build.trial({"x": 0.3, "kind": "b"}, TrialState.CREATED)
    before, counts, done = everything(search), search.study.counts(), counted(search.study, COUNT)
    said = search.change(NARROW)
    out = [n for n, t in before.items() if t.params["x"] < 0.5 and t.state is not TrialState.FAILED]
    assert search.left_out == out and str(len(out)) in said[0] and "0.2 is not from 0.5 to 1" in said[0]
    assert counted(search.study, COUNT) == done - 3
    assert search.change(NARROW) == []
    assert search.change() == [f"{len(out)} trials fit the study file and count again"]
    assert (everything(search), search.study.counts(), search.left_out) == (before, counts, [])
    assert search.study.extreme_values == (0.7, 0.7) and counted(search.study, COUNT) == done


def test_what_ran_when_it_was_left_out_waits_for_its_next_attempt() -> None:
    search = Search()
    number = search.build.trial({"x": 0.2, "kind": "a"}, TrialState.RUNNING)
    search.change(NARROW)
    search.change()
    trial = search.study.trials[number]
    assert (trial.state, trial.open_attempt, len(trial.attempts)) == (TrialState.INTERRUPTED, None, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {**WIDE, "wd": {"min": 0.0, "max": 1.0}}},  # a parameter more
        {"parameters": {"x": WIDE["x"]}},  # one less
        {"parameters": {**WIDE, "kind": {"values": ["b", "c"]}}},
        {"parameters": {**WIDE, "x": {"values": [0.8, 0.9]}}},  # of another type
        {"parameters": {**WIDE, "x": {"value": 0.8}}},
        {"constraints": ["x > 0.5"]},
        {"metric": "loss"},
    ],
)
def test_whatever_left_trials_out_they_come_back(change: dict[str, Any]) -> None:
    search = Search()
    search.build.trial({"x": 0.2, "kind": "a"}, values=0.5)
    before = everything(search)
    search.change(**change)
    assert search.left_out == [0]
    search.change()
    assert everything(search) == before


def test_trials_of_a_time_when_a_parameter_was_a_constant_have_its_value() -> None:
    search = Search({**WIDE, "kind": {"value": "a"}, "depth": {"value": 3}})
    for _ in range(2):
        search.build.trial({"x": 0.2}, values=0.5)
    assert search.change() == []
    assert [trial.params for trial in search.study.trials.values()] == [{"x": 0.2, "kind": "a"}] * 2
    search.change({**WIDE, "kind": {"value": "b"}})
    assert search.left_out == [0, 1]
    search.change()
    assert search.left_out == [] and search.study.trials[0].params == {"x": 0.2, "kind": "a"}


def test_trials_that_were_measured_by_another_metric_stay_out() -> None:
    search = Search()
    search.build.trial({"x": 0.2, "kind": "a"}, values=0.5)
    search.build.trial({"x": 0.2, "kind": "a"}, TrialState.CREATED)
    search.change(metric="loss")
    assert search.left_out == [0], "what was not measured yet fits"
    search.build.attempt(1, at=2500, seconds=1, values=0.1)
    search.change(NARROW, metric="loss")
    search.change(metric="loss")
    assert search.left_out == [0] and search.study.trials[1].value == 0.1
    search.change()
    assert search.left_out == [1] and search.study.trials[0].value == 0.5


def test_what_failed_by_itself_is_no_misfit() -> None:
    search = Search()
    search.build.trial({"x": 0.2, "kind": "a"}, TrialState.FAILED)
    search.change(NARROW)
    assert search.left_out == [] and search.study.trials[0].cause is Cause.CRASH


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.INTERRUPTED])
def test_a_trial_s_own_record_brings_it_back_as_well(state: TrialState) -> None:
    """A ledger that was rebuilt from the trials' copies knows what they were before they were left out."""
    search = Search()
    search.build.trial({"x": 0.2, "kind": "a"}, state, values=0.5 if state is TrialState.COMPLETE else None)
    before = everything(search)[0]
    search.change(NARROW)
    rebuilt: Study = fold([*search.study.revisions, *search.study.trials[0].events()])
    assert rebuilt.trials[0] == search.study.trials[0]
    search.study.trials.clear()
    for event in fitted_anew(rebuilt, settings(), "2026-02-01T00:00:00.000+00:00"):
        rebuilt.apply(event)
    assert replace(rebuilt.trials[0], created_at=before.created_at) == before
