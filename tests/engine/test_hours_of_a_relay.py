"""How long a run lasts that several take up after each other, each for a moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from outlast.core.evidence import beat
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RevisionMade,
    RunStarted,
    StudyCreated,
    TrialCreated,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.hold.opening import join_study
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
from outlast.study.opened import Opened

HOUR = 3600.0


def ago(hours: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(hours=hours)).isoformat()


def begun(root: Path, *events: Event) -> StudyPaths:
    paths = StudyPaths.at(root / "study")
    ledger, _ = Ledger.claim(paths.ledger)
    head = [StudyCreated("s", ago(14)), RevisionMade(1, ago(14)), RunStarted(ago(14)), TrialCreated(0, ago(14))]
    ledger.append([*head, AttemptOpened(0, 1, ago(13)), *events])
    ledger.close()
    return paths


def join(paths: StudyPaths) -> Opened:
    lease = Lease(paths.lease)
    lease.acquire()
    with join_study(paths, lease) as opened:
        return opened


def test_a_worker_that_comes_half_a_day_after_a_run_was_killed_does_not_charge_that_to_the_budget(
    tmp_path: Path,
) -> None:
    paths = begun(tmp_path, AttemptEnded(0, 1, ago(12), TrialState.INTERRUPTED, Cause.STOPPED))
    for _ in range(2):
        opened = join(paths)
        assert opened.study.elapsed_before == pytest.approx(2 * HOUR, abs=5)
        assert opened.elapsed == pytest.approx(0, abs=60)


@pytest.mark.parametrize(("trained", "before", "elapsed"), [(13.0, 0.0, 14.0), (3.0, 4.0, 0.0)])
def test_an_attempt_that_goes_on_shows_how_long_somebody_was_there(
    tmp_path: Path, trained: float, before: float, elapsed: float
) -> None:
    paths = begun(tmp_path)
    attempt = paths.attempt(0, 1)
    attempt.folder.mkdir(parents=True)
    attempt.alive.write_bytes(beat(7, trained * HOUR, ago(0)))
    for _ in range(2):
        opened = join(paths)
        assert opened.study.elapsed_before == pytest.approx(before * HOUR, abs=60)
        assert opened.elapsed == pytest.approx(elapsed * HOUR, abs=60)


def test_what_an_attempt_trained_before_somebody_ran_the_study_again_is_not_charged_twice(tmp_path: Path) -> None:
    paths = begun(tmp_path, RunStarted(ago(5)))
    attempt = paths.attempt(0, 1)
    attempt.folder.mkdir(parents=True)
    attempt.alive.write_bytes(beat(7, 9 * HOUR, ago(4)))  # opened 13 hours ago, alone for the last four
    for _ in range(2):
        opened = join(paths)
        assert opened.study.elapsed_before == pytest.approx(
            2 * HOUR, abs=60
        )  # an hour each of the first and second run
        assert opened.elapsed == pytest.approx(0, abs=60)
