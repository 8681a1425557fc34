"""Callbacks: what the ledger refuses while one asks is not the callback's, and what `catch` names is of an attempt."""

from __future__ import annotations

import pytest

from outlast.api.called_back import After, CalledBack, _unexpected
from outlast.config.settings import MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, StudyCreated, Trial, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator.listener import Listener
from outlast.errors import OutlastError, StorageError
from outlast.objective.kept_values import CAUGHT
from outlast.optimizer.index.index_rows import Teller

_AT = "2026-01-01T00:00:00.000+00:00"


@pytest.mark.parametrize("swallows", [True, False])
def test_what_the_ledger_refuses_inside_of_a_callback_ends_the_run_whatever_the_callback_makes_of_it(swallows) -> None:
    study, ended = Study(), AttemptEnded(0, 1, _AT, TrialState.COMPLETE, Cause.COMPLETED, values=(1.0,))
    for event in (StudyCreated("s", _AT), TrialCreated(0, _AT), AttemptOpened(0, 1, _AT, "0"), ended):
        study.apply(event)
    settings = Settings(name="s", command=("true",), metrics=(MetricSettings(name="v", goal="minimize"),))
    teller, asked = Teller(settings, study), []

    def ask(question):
        asked.append(question["op"])
        if question["op"] in ("about", "rows"):
            return teller.about() if question["op"] == "about" else teller.rows(0, {})
        raise StorageError("the ledger cannot be written")

    def notes(study, trial):
        try:
            study.set_user_attr("seen", trial.number)
        except OutlastError:
            with pytest.raises(StorageError):
                study.set_user_attr("seen", trial.number)
            if not swallows:
                raise LookupError from None

    back = CalledBack(Listener(), After((notes,)))
    back.holding(ask)
    with pytest.raises(StorageError):
        back.decided([ended], study)
    assert back.raised is None and asked.count("note of study") == 1 and "end" not in asked


@pytest.mark.parametrize(
    ("caught", "unexpected"),
    [
        (None, True),
        ({"attempt": 2, "exception": "ValueError"}, False),
        ({"attempt": 1, "exception": "ValueError"}, True),  # an earlier attempt's
        ("ValueError", False),  # as it was noted before
    ],
)
def test_only_what_the_last_attempt_failed_with_counts_as_expected(caught, unexpected) -> None:
    trial = Trial(number=0, optuna_attrs={} if caught is None else {CAUGHT: caught})
    assert _unexpected(trial, AttemptEnded(0, 2, _AT, TrialState.FAILED, Cause.CRASH)) is unexpected
