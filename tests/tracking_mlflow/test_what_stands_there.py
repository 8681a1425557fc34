"""What MLflow has of a study and its trials, read from the database behind a real server."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from lab.sent_to_mlflow import FileMemory, a_study, a_trial, send_all
from lab.tracking_server import TrackingServer
from outlast.cli.commands.inspect import status
from outlast.core.states import StudyState, TrialState
from outlast.errors import OutlastError
from outlast.tracking import mlflow_find
from outlast.tracking.mlflow_local import make_database
from outlast.tracking.mlflow_server import Server
from outlast.tracking.mlflow_sink import MlflowSink
from outlast.tracking.sink import SinkError, TrackedPoint
from tracking_mlflow.counted import is_exactly_there, runs_of

pytestmark = [pytest.mark.slow, pytest.mark.foreign, pytest.mark.filterwarnings("default")]


def test_a_study_is_a_run_with_all_that_is_promised_and_each_trial_one_below_it(
    server: TrackingServer, tmp_path: Path
) -> None:
    log = tmp_path / "output.log"
    log.write_text("epoch 1\n")
    trials = [
        a_trial(0, files={"output.log": str(log)}),
        a_trial(1, TrialState.PRUNED, cause="pruned", reason="worse than the median"),
        a_trial(2, TrialState.FAILED, cause="crash", reason="KeyError: 'x'"),
        a_trial(3, TrialState.RUNNING),
        a_trial(4, points=0),
    ]
    counts = {TrialState.COMPLETE: 2, TrialState.PRUNED: 1, TrialState.FAILED: 1, TrialState.RUNNING: 1}
    study = a_study(name="resume_ner_baseline", counts=counts, best=4, best_value=0.904, upcoming=(5, 6))
    send_all(lambda: MlflowSink(uri=server.uri), study, trials, FileMemory(tmp_path / "memory"))

    by_trial = {trial: (run, status) for run, trial, status in runs_of(server.database, study)}
    assert set(by_trial) == {"", "0", "1", "2", "3", "4", "5", "6"}
    parent, status = by_trial[""]
    assert status == "RUNNING"
    name, experiment = server.rows(
        "SELECT r.name, e.name FROM runs r JOIN experiments e USING (experiment_id) WHERE r.run_uuid = ?", parent
    )[0]
    assert experiment == "resume_ner_baseline-hpo-distilbert"
    assert name.startswith("hpo_distilbert_202311")
    assert dict(server.rows("SELECT key, value FROM params WHERE run_uuid = ?", parent)) == {
        "backbone": "distilbert",
        "max_trials": "8",
        "checkpoint_path": "/studies/resume_ner_baseline/study.db",
        "checkpoint_enabled": "true",
        "checkpoint_storage_type": "sqlite",
        "study_name": "resume_ner_baseline",
        "objective_metric": "val_acc",
        "resumed_from_checkpoint": "false",
    }
    assert dict(server.rows("SELECT key, value FROM metrics WHERE run_uuid = ?", parent)) == {
        "best_value": 0.904,
        "best_val_acc": 0.904,
        "n_trials": 5,
        "n_completed_trials": 2,
    }
    assert [by_trial[str(number)][1] for number in range(7)] == [
        "FINISHED", "KILLED", "FAILED", "RUNNING", "FINISHED", "SCHEDULED", "SCHEDULED",
    ]  # fmt: skip
    tags = dict(server.rows("SELECT key, value FROM tags WHERE run_uuid = ?", by_trial["2"][0]))
    assert (tags["outlast.cause"], tags["outlast.reason"]) == ("crash", "KeyError: 'x'")
    assert [path.name for path in server.folder.rglob(f"artifacts/*/{by_trial['0'][0]}/artifacts/*")] == ["output.log"]


def test_a_resumed_study_goes_on_with_its_run_and_what_mlflow_cannot_change_is_in_tags(
    server: TrackingServer, tmp_path: Path
) -> None:
    study, memory = a_study("resumed"), FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0)], memory)
    later = msgspec.structs.replace(study, runs=2, max_trials=20, state=StudyState.DONE, ended=1_700_000_900.0)
    send_all(lambda: MlflowSink(uri=server.uri), later, [a_trial(0), a_trial(1)], memory)
    is_exactly_there(server.database, study, [a_trial(0), a_trial(1)])
    parent = next(run for run, trial, status in runs_of(server.database, study) if not trial and status == "FINISHED")
    params = dict(server.rows("SELECT key, value FROM params WHERE run_uuid = ?", parent))
    tags = dict(server.rows("SELECT key, value FROM tags WHERE run_uuid = ?", parent))
    assert (params["max_trials"], params["resumed_from_checkpoint"]) == ("8", "false")
    assert (tags["outlast.max_trials"], tags["outlast.resumed_from_checkpoint"]) == ("20", "true")


def test_nothing_is_twice_where_the_memory_was_lost(server: TrackingServer, tmp_path: Path) -> None:
    study, trials = a_study("forgotten"), [a_trial(0), a_trial(1, TrialState.RUNNING)]
    send_all(lambda: MlflowSink(uri=server.uri), study, trials, FileMemory(tmp_path / "one"))
    send_all(lambda: MlflowSink(uri=server.uri), study, trials, FileMemory(tmp_path / "another"))
    is_exactly_there(server.database, study, trials)


def test_what_was_made_ahead_and_not_used_goes_at_the_end_and_comes_back_with_a_resume(
    server: TrackingServer, tmp_path: Path
) -> None:
    study, memory = a_study("ahead", upcoming=(1, 2)), FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0)], memory)
    handed = memory.data["environment"]
    assert set(handed) == {"1", "2"} and handed["1"]["MLFLOW_TRACKING_URI"] == server.uri
    done = msgspec.structs.replace(study, upcoming=(), state=StudyState.DONE, ended=1_700_000_900.0)
    send_all(lambda: MlflowSink(uri=server.uri), done, [a_trial(0)], memory)
    is_exactly_there(server.database, study, [a_trial(0)])
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0), a_trial(1)], memory, close=False)
    assert memory.data["environment"]["2"] == handed["2"]


def test_no_training_is_given_a_run_that_is_about_to_be_deleted(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, memory = a_study("leaving", upcoming=(1, 2)), FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0)], memory)
    handed: list[dict[str, object]] = []
    monkeypatch.setattr(
        Server, "delete", lambda *_: handed.append(json.loads((tmp_path / "memory").read_text())["environment"])
    )
    done = msgspec.structs.replace(study, upcoming=(), state=StudyState.STOPPED, ended=1_700_000_900.0)
    send_all(lambda: MlflowSink(uri=server.uri), done, [a_trial(0)], memory)
    assert handed == [{}, {}]


def test_one_that_was_made_ahead_by_whoever_was_killed_in_the_middle_goes_at_the_end_as_well(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, memory = a_study("killed-ahead", upcoming=(1,)), FileMemory(tmp_path / "memory")
    with monkeypatch.context() as patch:
        patch.setattr(Server, "status", lambda *_: None)  # it stays as MLflow makes it: running
        send_all(lambda: MlflowSink(uri=server.uri), study, [], memory)
    assert [status for _, trial, status in runs_of(server.database, study) if trial == "1"] == ["RUNNING"]
    done = msgspec.structs.replace(study, upcoming=(), state=StudyState.DONE, ended=1_700_000_900.0)
    send_all(lambda: MlflowSink(uri=server.uri), done, [a_trial(0)], memory)
    is_exactly_there(server.database, study, [a_trial(0)])


def test_in_an_experiment_that_a_person_renamed_the_same_runs_are_gone_on_with(
    server: TrackingServer, tmp_path: Path
) -> None:
    import mlflow

    study, memory = a_study("renamed"), FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0)], memory)
    client = mlflow.MlflowClient(server.uri)
    client.rename_experiment(memory.data["experiment"], "renamed by hand")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0), a_trial(1, TrialState.RUNNING)], memory)
    is_exactly_there(server.database, study, [a_trial(0), a_trial(1, TrialState.RUNNING)])
    assert memory.data["environment"]["1"]["MLFLOW_EXPERIMENT_NAME"] == "renamed by hand"


def test_what_a_search_does_not_find_yet_is_not_made_again(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, memory = a_study("late"), FileMemory(tmp_path / "memory")
    trials = [a_trial(0), a_trial(1)]
    send_all(lambda: MlflowSink(uri=server.uri), study, trials, memory)
    with monkeypatch.context() as patch:
        patch.setattr(Server, "runs", lambda *_, **__: [])
        assert send_all(lambda: MlflowSink(uri=server.uri), study, [*trials, a_trial(2)], memory) == []
    is_exactly_there(server.database, study, [*trials, a_trial(2)])


def test_why_no_experiment_was_made_is_said(server: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    there, asked = Server(server.uri), Server._call

    def call(self: Server, name: str, *args: object, **kwargs: object) -> object:
        if name == "create_experiment":
            raise SinkError("MLflow lets us not in: PERMISSION_DENIED", lasting=True)
        return asked(self, name, *args, **kwargs)

    monkeypatch.setattr(Server, "_call", call)
    with pytest.raises(SinkError, match="PERMISSION_DENIED"):
        there.experiment("not-to-be")


def test_what_whoever_was_killed_left_of_a_database_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    for name in (".mlflow.db-old", ".mlflow.db-new", ".mlflow.db.mine"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".mlflow.db-old", (0, 0))
    make_database(str(path))
    assert sorted(os.listdir(tmp_path)) == [".mlflow.db-new", ".mlflow.db.mine", "mlflow.db"]


def test_values_and_names_that_mlflow_refuses_cost_nothing_else(server: TrackingServer, tmp_path: Path) -> None:
    point = TrackedPoint(1, 1_700_000_001.0, {"recall@5": 0.5, "../loss": math.nan, "inf": math.inf, "x" * 300: 1.0})
    trial = a_trial(
        0, points=0, params={"lr(x)": 1, "lr[x]": 2, "text": "é" * 9000, **{f"p{n}": n for n in range(230)}}
    )
    trial = msgspec.structs.replace(trial, points=(point, *(TrackedPoint(n, 1.7e9 + n, {"c": n}) for n in range(2500))))
    study, memory = a_study("odd"), FileMemory(tmp_path / "memory")
    assert send_all(lambda: MlflowSink(uri=server.uri), study, [trial], memory) == []
    run = next(run for run, number, _ in runs_of(server.database, study) if number == "0")
    found = server.rows("SELECT key, count(*) FROM metrics WHERE run_uuid = ? GROUP BY key", run)
    assert dict(found).items() >= {"recall_5": 1, "__/loss": 1, "inf": 1, "c": 2500}.items()
    assert len(server.rows("SELECT key FROM params WHERE run_uuid = ?", run)) == 233


def test_a_run_that_a_person_deleted_stays_deleted(server: TrackingServer, tmp_path: Path) -> None:
    study, memory = a_study("tidied"), FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0), a_trial(1, TrialState.RUNNING)], memory)
    run = next(run for run, trial, _ in runs_of(server.database, study) if trial == "1")
    import mlflow

    mlflow.MlflowClient(server.uri).delete_run(run)
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0), a_trial(1), a_trial(2)], memory)
    is_exactly_there(server.database, study, [a_trial(0), a_trial(2)])


def found_names(server: TrackingServer, monkeypatch: pytest.MonkeyPatch, asked: str) -> list[str]:
    """Of an answer that holds one run."""
    monkeypatch.setattr(mlflow_find, "_MOST", 1)
    inner = Server._call
    monkeypatch.setattr(
        Server,
        "_call",
        lambda self, *args, **given: inner(
            self, *args, **{**given, **({"max_results": 1} if args[0] == "search_runs" else {})}
        ),
    )
    return [each.name for each in mlflow_find.found_studies(server.uri, asked)]


def test_status_finds_the_studies_that_can_be_resumed_by_what_mlflow_says(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "studies" / "kept"
    here.mkdir(parents=True)
    kept = a_study("kept", folder=str(here), index=str(here / "study.db"), best_value=0.91, best=0)
    later = a_study("later", created=1_900_000_000.0)
    for study in (kept, a_study("in-memory", index=None), later):
        send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0)], FileMemory(tmp_path / study.name))
    asked = CliRunner().invoke(status, ["--mlflow", server.uri, "--json"])
    found = {each["name"]: each for each in json.loads(asked.output)}
    assert "in-memory" not in found
    assert (found["kept"]["checkpoint_path"], found["kept"]["is_here"]) == (str(here / "study.db"), True)
    words = CliRunner().invoke(status, ["--mlflow", server.uri, "--filter", "params.study_name = 'kept'"]).output
    assert f"outlast status {here}" in words and "best val_acc=0.91" in words
    assert found_names(server, monkeypatch, "params.backbone = 'distilbert'") == ["later"]
    refused = CliRunner().invoke(status, ["--mlflow", server.uri, "--filter", "nonsense ="])
    assert isinstance(refused.exception, OutlastError) and "ilter" in refused.exception.fact
