"""What has to stand in MLflow's database of a study, no row more and no row less."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.tracking_server import rows
from outlast.tracking.mlflow_content import TRIAL_STATUS
from outlast.tracking.sink import TrackedStudy, TrackedTrial

_ACTIVE = "r.lifecycle_stage = 'active'"


def runs_of(database: Path, study: TrackedStudy) -> list[tuple[str, str, str]]:
    """Run id, trial (empty: the parent) and status of each run that is not deleted."""
    return rows(
        database,
        f"SELECT r.run_uuid, coalesce(t.value, ''), r.status FROM runs r"
        f" JOIN tags s ON s.run_uuid = r.run_uuid AND s.key = 'outlast.study' AND s.value = ?"
        f" LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'outlast.trial' WHERE {_ACTIVE}",
        study.identity,
    )


def is_exactly_there(database: Path, study: TrackedStudy, trials: Sequence[TrackedTrial]) -> None:
    """Assert that the database has the study's run once, each trial's once, and each of their rows once."""
    runs = runs_of(database, study)
    expected_runs = sorted(["", *(str(trial.number) for trial in trials)])
    assert sorted(trial for _, trial, _ in runs) == expected_runs, runs
    by_trial = {trial: (run, status) for run, trial, status in runs}
    for trial in trials:
        run, status = by_trial[str(trial.number)]
        assert status == TRIAL_STATUS[trial.state], trial.number
        found = rows(database, "SELECT key, step, timestamp, value FROM metrics WHERE run_uuid = ?", run)
        expected = {
            (name, point.step, round(point.at * 1000), value)
            for point in trial.points
            for name, value in point.metrics.items()
        }
        last, end = max((point.step for point in trial.points), default=0), round((trial.ended or 0) * 1000)
        if trial.values is not None:
            expected.add(("final_val_acc", last, end, trial.values[0]))
            if not trial.points:
                expected.add(("val_acc", 0, end, trial.values[0]))
        assert sorted(found) == sorted(expected), f"trial {trial.number}"
        params = dict(rows(database, "SELECT key, value FROM params WHERE run_uuid = ?", run))
        assert params == {name: str(value) for name, value in trial.params.items()}
        tags = dict(rows(database, "SELECT key, value FROM tags WHERE run_uuid = ?", run))
        assert (tags["mlflow.parentRunId"], tags["outlast.state"]) == (by_trial[""][0], str(trial.state))
