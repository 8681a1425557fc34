"""Ledger lines and the fold."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.core.evidence import Evidence, JobEnd, Report
from outlast.core.fold import fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    AttributeSet,
    EarlierTrial,
    Event,
    ParamDrawn,
    RunStarted,
    RunWentOn,
    StudyEnded,
    Trial,
    TrialCreated,
    TrialRetried,
    from_json,
    to_json,
)
from outlast.core.states import Cause, TrialState
from outlast.errors import LedgerTooNew

AT = "2026-01-01T00:00:00.000+00:00"
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | st.text(max_size=8)
params = st.dictionaries(st.text(min_size=1, max_size=6), scalars, max_size=4)
curves = st.lists(st.tuples(st.integers(0, 99), finite), max_size=4).map(tuple)
events = st.one_of(
    st.builds(TrialCreated, trial=st.integers(0, 20), at=st.just(AT), params=params, seed=st.integers(0, 99), latent=params),
    st.builds(AttemptOpened, trial=st.integers(0, 20), attempt=st.integers(1, 4), at=st.just(AT), resumed=st.booleans()),
    st.builds(AttributeSet, trial=st.integers(0, 20), name=st.text(max_size=6), value=scalars.map(json.dumps)),
    st.builds(
        AttemptEnded, trial=st.integers(0, 20), attempt=st.integers(1, 4), at=st.just(AT), state=st.sampled_from(TrialState),
        cause=st.sampled_from(Cause), values=st.none() | st.tuples(finite), curves=st.tuples(curves),
        metrics=st.dictionaries(st.text(min_size=1, max_size=4), finite, max_size=3),
    ),
)  # fmt: skip


@given(events)
def test_an_event_survives_its_ledger_line(event: Event) -> None:
    assert from_json(json.loads(json.dumps(to_json(event), allow_nan=False))) == event


def test_numbers_that_json_cannot_hold_are_written_as_words() -> None:
    event = AttemptEnded(0, 1, AT, TrialState.FAILED, Cause.DIVERGED, values=(float("inf"),))
    assert from_json(json.loads(json.dumps(to_json(event), allow_nan=False))) == event


def test_a_kind_from_a_newer_version_is_refused_with_its_cure() -> None:
    with pytest.raises(LedgerTooNew, match=r"from_the_future.*newer Outlast[^$]*pip install --upgrade outlast"):
        from_json({"kind": "from_the_future", "x": 1})


def test_a_key_from_a_newer_version_is_ignored() -> None:
    assert from_json({"kind": "param_drawn", "trial": 1, "name": "x", "new": 1}) == ParamDrawn(1, "x")


def test_what_an_objective_noted_comes_back_as_it_was() -> None:
    noted = [AttributeSet(0, "best", "NaN"), AttributeSet(0, "constraints:c", "0.5", system=True)]
    lines = [from_json(json.loads(json.dumps(to_json(event), allow_nan=False))) for event in noted]
    trial = fold([TrialCreated(0, AT, system_attrs={"cma": "1"}), *filter(None, lines)]).trials[0]
    assert trial.user_attrs["best"] != trial.user_attrs["best"]
    assert trial.system_attrs == {"cma": "1", "constraints:c": 0.5} and not trial.feasible


def a_life() -> list[Event]:
    return [
        TrialCreated(0, AT, {"lr": 0.1}, seed=7),
        AttemptOpened(0, 1, AT),
        AttemptEnded(0, 1, AT, TrialState.INTERRUPTED, Cause.LOST, curves=(((0, 0.1), (1, 0.2)),), seconds=2.0),
        AttemptOpened(0, 2, AT, resumed=True),
        AttemptEnded(
            0, 2, AT, TrialState.COMPLETE, Cause.COMPLETED, values=(0.9,), curves=(((1, 0.3), (2, 0.9)),), seconds=1.0
        ),
    ]


def test_a_trial_is_one_configuration_over_its_attempts() -> None:
    trial = fold(a_life()).trials[0]
    assert (trial.state, trial.value, trial.seconds, len(trial.attempts)) == (TrialState.COMPLETE, 0.9, 3.0, 2)
    assert trial.curve() == {0: 0.1, 1: 0.3, 2: 0.9}


def test_a_repeated_event_changes_nothing() -> None:
    once, twice = fold(a_life()), fold([e for event in a_life() for e in (event, event)])
    assert once.trials == twice.trials


def test_the_first_outcome_of_an_attempt_stands() -> None:
    late = AttemptEnded(0, 2, AT, TrialState.FAILED, Cause.CRASH)
    assert fold([*a_life(), late]).trials[0].state is TrialState.COMPLETE


def test_a_retry_gives_the_old_number_new_attempts() -> None:
    study = fold([*a_life(), TrialRetried(0, AT)])
    assert study.trials[0].state is TrialState.INTERRUPTED and study.next_number == 1


def test_a_trial_is_the_fold_of_its_own_events() -> None:
    noted = [AttributeSet(0, "epochs", "7"), AttributeSet(0, "constraints:c", "-1.0", system=True)]
    for more in ([], noted, [TrialRetried(0, AT, from_scratch=True)]):
        whole = fold([*a_life(), *more]).trials[0]
        assert fold(whole.events()).trials[0] == whole


def test_the_time_of_a_run_that_was_killed_counts_up_to_its_last_record() -> None:
    study = fold(
        [
            RunStarted("2026-01-01T00:00:00+00:00"),
            TrialCreated(0, "2026-01-01T00:01:00+00:00"),
            RunStarted("2026-01-01T05:00:00+00:00"),
            StudyEnded("2026-01-01T05:00:30+00:00", "done", elapsed=30.0),
        ]
    )
    assert study.elapsed_before == 90.0


def test_hours_in_which_nobody_ran_the_study_do_not_count() -> None:
    killed = [
        RunStarted("2026-01-01T00:00:00+00:00"),
        TrialCreated(0, "2026-01-01T01:00:00+00:00"),
        TrialRetried(0, "2026-01-01T20:00:00+00:00"),
    ]
    assert fold([*killed, RunStarted("2026-01-01T21:00:00+00:00")]).elapsed_before == 3600.0
    study = fold([*killed, RunWentOn("2026-01-01T21:00:00+00:00", 5400.0)])
    assert (study.elapsed_before, study.running_since, study.runs) == (5400.0, "2026-01-01T21:00:00+00:00", 1)
    study.apply(TrialCreated(1, "2026-01-01T22:00:00+00:00"))
    study.apply(RunStarted("2026-01-02T00:00:00+00:00"))  # it was killed again
    assert (study.elapsed_before, study.runs) == (9000.0, 2)


def test_evidence_survives_its_file() -> None:
    evidence = Evidence(exit_code=1, reports=(Report(3, {"acc": 0.5}),), tail=("a", "b"), scores={"acc": 0.5})
    plain: dict[str, Any] = json.loads(json.dumps(evidence.to_json()))
    assert Evidence.from_json(plain) == evidence
    assert "signal" not in plain
    lost = Evidence.from_json(Evidence(job_end=JobEnd.HOST_LOST).to_json())
    assert lost.job_end is JobEnd.HOST_LOST


def test_what_is_known_of_other_searches_is_there_once_and_a_copy_of_a_study_is_one() -> None:
    known = [EarlierTrial("old 1", {"lr": value}) for value in (1, 2, 1)] + [EarlierTrial("old 2", {"lr": 1})]
    study = fold([TrialCreated(4, "2026-01-01T00:00:00+00:00"), *known])
    for each in (study, copy.copy(study), copy.deepcopy(study)):
        each.apply(EarlierTrial("old 1", {"lr": 2}))
        assert each.earlier == [known[0], known[1], known[3]] and each.next_number == 5


def test_a_trial_is_shown_in_a_line() -> None:
    assert repr(Trial(3, params={"lr": 0.1}, values=(0.5, 2.0))) == "<trial 3: created 0.5 2; lr=0.1>"
    many = repr(Trial(3, params={f"p{i}": "x" * 40 for i in range(40)}))
    assert len(many) < 230 and "p0='xxx" in many
    assert repr(Trial(3, params={f"p{i}": i for i in range(40)})).endswith("p7=7, 32 more>")
