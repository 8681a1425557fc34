"""A finished trial's files in their final form, after one attempt or several."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab.one_trial import AT, OneTrial
from outlast.cli.looking.following import _parts
from outlast.core.evidence import Evidence
from outlast.core.fold import fold
from outlast.core.records import Event, Trial
from outlast.core.states import TrialState
from outlast.study.recovery import merged


@pytest.fixture
def one(tmp_path: Path) -> OneTrial:
    return OneTrial(tmp_path / "study")


def test_a_failure_that_names_a_file_in_another_encoding_is_put_away(one: OneTrial) -> None:
    name = os.fsdecode(b"f\xfcr.py")
    one.attempt(1, TrialState.FAILED, reason=f"could not be started: {name}", evidence=Evidence(error=name))
    assert one.put_away() == {"trial.json", "output.log", "error.log"}
    assert "could not be started: f?r.py" in one.paths.error_log.read_text()
    assert json.loads(one.paths.record.read_text())["events"][-1]["reason"] == f"could not be started: {name}"


@pytest.mark.parametrize("again", [TrialState.COMPLETE, TrialState.FAILED])
@pytest.mark.parametrize("first", [TrialState.COMPLETE, TrialState.FAILED])
def test_a_retried_trial_keeps_what_it_printed_and_reported_before(
    one: OneTrial, first: TrialState, again: TrialState
) -> None:
    one.attempt(1, first, reason="the first end")
    one.put_away()
    one.retry()
    one.open_again(2)
    one.attempt(2, again, reason="the second end")
    left = one.put_away()
    assert one.paths.log.read_text() == "=== before the retry ===\nprinted by 1\n=== attempt 2 ===\nprinted by 2\n"
    record = json.loads(one.paths.record.read_text())
    if again is TrialState.FAILED:
        assert left == {"trial.json", "output.log", "error.log"}
        lines = record["reports"]
        assert "the second end" in one.paths.error_log.read_text()
    else:
        assert left == {"trial.json", "output.log", "reports.jsonl"}
        lines = one.paths.reports.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


@pytest.mark.parametrize("step", ["rename_that", "_remove_attempts"])
def test_putting_away_after_a_retry_may_be_cut_off_and_done_again(
    one: OneTrial, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    one.attempt(1, TrialState.FAILED)
    one.put_away()
    one.retry()
    one.open_again(2)
    one.open_again(2)  # and so may opening
    one.attempt(2, TrialState.COMPLETE)

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(f"outlast.study.putting_away.{step}", cut_off)
        one.put_away()
    assert one.put_away() == {"trial.json", "output.log", "reports.jsonl"}
    assert one.paths.log.read_text().count("printed by") == 2
    assert one.paths.reports.read_text().count("metrics") == 2


def test_a_retry_whose_attempt_printed_nothing_keeps_the_log_as_it_was(one: OneTrial) -> None:
    one.attempt(1, TrialState.FAILED)
    one.put_away()
    one.retry()
    one.open_again(2)
    one.attempt(2, TrialState.COMPLETE)
    one.paths.attempt(2).log.unlink()
    one.put_away()
    assert one.paths.log.read_text() == "printed by 1\n"


def test_the_logs_of_a_retried_trial_are_those_before_and_of_the_attempt_that_runs(one: OneTrial) -> None:
    one.attempt(1, TrialState.FAILED)
    one.put_away()
    one.retry()
    assert [log.read_text() for log in _parts(one.paths)] == ["printed by 1\n"]
    one.open_again(2)
    assert [log.read_text() for log in _parts(one.paths)] == ["printed by 1\n"]
    one.attempt(2, TrialState.COMPLETE)
    assert [log.read_text() for log in _parts(one.paths)] == ["printed by 1\n", "printed by 2\n"]


def test_a_copy_from_before_a_retry_does_not_undo_it(one: OneTrial) -> None:
    def mended(readable: list[Event], copy: list[Event]) -> Trial:
        events = merged(readable, {0: copy}, {}, {}, name="s", settings={}, now=AT)
        return fold(events).trials[0]

    one.attempt(1, TrialState.FAILED)
    copy = one.trial.events()
    cut = copy[:-1]  # the ledger lost how it ended
    assert mended(cut, copy).state is TrialState.FAILED
    one.retry()
    retried = one.trial.events()
    assert mended(retried, copy).state is TrialState.INTERRUPTED
    one.open_again(2)
    one.attempt(2, TrialState.COMPLETE)
    running = one.trial.events()[:-1]
    assert len(mended(running, copy).attempts) == 2
    assert (
        mended(copy, one.trial.events()).state is TrialState.COMPLETE
    )  # the ledger lost the retry and what came of it
    assert mended(retried, one.trial.events()).state is TrialState.COMPLETE
