"""What lies beside a training that logs to MLflow itself: which run it is given, how long it waits, what a dead server costs."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from lab.sent_to_mlflow import a_trial
from outlast.config.tracking_section import MlflowSettings
from outlast.core.states import TrialState
from outlast.runner.hooks import hooks_path
from outlast.tracking.choosing import make_sink
from outlast.tracking.mlflow_sink import MlflowSink
from outlast.tracking.mlflow_trial import not_logged
from outlast.tracking.sink import TrackedPoint

OURS = {
    "MLFLOW_TRACKING_URI": "sqlite:////data/mlflow.db", "MLFLOW_EXPERIMENT_ID": "7", "MLFLOW_EXPERIMENT_NAME": "digits-hpo",
    "MLFLOW_RUN_ID": "ours",
}  # fmt: skip


class Clock:
    """Time that passes only while somebody sleeps."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Client:
    """As much of `MlflowClient` as is wrapped; each call is written down, or fails."""

    said: ClassVar[list[tuple[str, str]]] = []
    fails: Exception | None = None

    def _call(self, name: str, run_id: str) -> Any:
        if self.fails is not None:
            raise self.fails
        self.said.append((name, run_id))
        return SimpleNamespace(info=SimpleNamespace(run_id="below"), experiment_id=run_id)

    def create_run(self, experiment_id: str, start_time: Any = None, tags: Any = None) -> Any:
        return self._call("create_run", experiment_id)

    def get_run(self, run_id: str) -> Any:
        return self._call("get_run", run_id)

    def get_experiment(self, experiment_id: str) -> Any:
        return self._call("get_experiment", experiment_id)

    def get_experiment_by_name(self, name: str) -> Any:
        return self._call("get_experiment_by_name", name)


def _logging(name: str) -> Any:
    def log(self: Client, run_id: str, *args: Any, **kwargs: Any) -> None:
        self._call(name, run_id)

    log.__name__ = name
    return log


class Beside(SimpleNamespace):
    """The hook, put into a package `mlflow`, with the folder that hands the run out."""

    def hand(self, **files: Any) -> None:
        for name, content in files.items():
            (self.folder / {"run": "mlflow.environment", "behind": "behind.json"}[name]).write_text(json.dumps(content))


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    (tmp_path / "trials" / "0001").mkdir(parents=True)
    (tmp_path / "tracking").mkdir()
    for name in [
        *OURS,
        "MLFLOW_HTTP_REQUEST_TIMEOUT",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
        "MLFLOW_ENABLE_ASYNC_LOGGING",
    ]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", str(tmp_path / "trials" / "0001"))
    monkeypatch.setenv("OUTLAST_TRIAL", "1")
    monkeypatch.syspath_prepend(hooks_path())
    client: Any = type("Client", (Client,), {"said": []})
    for name in ("log_metric", "log_param", "log_batch", "log_inputs", "set_tag", "set_terminated", "log_artifact"):
        setattr(client, name, _logging(name))

    def start_run(run_id: Any = None, parent_run_id: Any = None) -> Any:
        if found := run_id or os.environ.pop("MLFLOW_RUN_ID", None):
            client().get_run(found)
            return found
        client().get_experiment_by_name(os.environ.get("MLFLOW_EXPERIMENT_NAME", ""))
        return client().create_run("7").info.run_id

    mlflow: Any = ModuleType("mlflow")
    mlflow.set_tracking_uri = lambda uri: os.environ.update(MLFLOW_TRACKING_URI=str(uri))
    mlflow.tracking = SimpleNamespace(set_tracking_uri=mlflow.set_tracking_uri)
    mlflow.set_experiment = lambda name: client().get_experiment_by_name(name)
    mlflow.get_experiment = lambda which: client().get_experiment(which)
    mlflow.start_run = start_run
    mlflow.entities = ModuleType("mlflow.entities")
    mlflow.entities.RunInfo = SimpleNamespace
    mlflow.entities.RunData = SimpleNamespace
    mlflow.entities.Run = lambda info, data: SimpleNamespace(info=info, data=data)
    mlflow.entities.Experiment = lambda which, name, *_: SimpleNamespace(experiment_id=which, name=name)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.entities", mlflow.entities)
    monkeypatch.setitem(sys.modules, "mlflow.tracking.fluent", SimpleNamespace(start_run=start_run))
    hook: Any = import_module("outlast_mlflow")
    clock = hook.time = hook.handed.time = Clock()

    def install() -> None:
        hook.install(mlflow, client)

    yield Beside(
        hook=hook, mlflow=mlflow, client=client, clock=clock, folder=tmp_path / "tracking", install=install
    )  # fmt: skip
    for name in ("outlast_mlflow", "outlast_mlflow_run"):
        sys.modules.pop(name, None)


# How long it waits


def test_a_run_that_never_comes_is_waited_for_once(beside: Beside) -> None:
    beside.install()
    for _ in range(3):
        beside.mlflow.start_run()
        beside.mlflow.set_experiment("my own")
    assert 9 < beside.clock.now - 100 < 11


@pytest.mark.parametrize(
    "handed",
    [
        {"run": {"1": {}}},
        {"behind": {}},
        {"behind": {"wandb": {"trials": 1, "trouble": ""}}},
        {"behind": {"mlflow": {"trials": 1, "trouble": "it is down"}}},
        {"run": {"1": OURS}},
    ],
)
def test_nothing_is_waited_for_that_will_not_come(beside: Beside, handed: dict[str, Any]) -> None:
    beside.install()
    beside.hand(**handed)
    started = beside.mlflow.start_run()
    assert (beside.clock.now, started) == (100, "ours" if OURS in handed.get("run", {}).values() else "below")


def test_a_fork_of_a_worker_finds_its_run_when_one_is_started(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = os.environ["OUTLAST_TRIAL_DIR"]
    monkeypatch.delenv("OUTLAST_TRIAL_DIR")
    beside.install()
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", trial)
    beside.hand(run={"1": OURS})
    assert beside.mlflow.start_run() == "ours"


def test_an_address_is_made_of_the_trainings_own_secrets(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside.hook.handed, "answers", lambda _uri: True)
    beside.hand(run={"1": {**OURS, "MLFLOW_TRACKING_URI": "http://${WHO}:${env:WORD}@h"}})
    beside.install()
    assert "MLFLOW_RUN_ID" not in os.environ  # it has no such variables
    monkeypatch.setenv("WHO", "me")
    monkeypatch.setenv("WORD", "pw")
    assert beside.mlflow.start_run() == "ours"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://me:pw@h"


# Where the script logs elsewhere


@pytest.mark.parametrize(
    ("uri", "stays"),
    [
        ("sqlite:////data/mlflow.db", True),
        ("sqlite:///mlflow.db", True),
        ("sqlite:///other.db", False),
        ("http://elsewhere", False),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_an_address_of_its_own_takes_it_there_and_the_same_one_does_not(
    beside: Beside, monkeypatch: pytest.MonkeyPatch, uri: str, stays: bool, early: bool
) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/data")
    for given in [{}] if early else [{"run": {"1": OURS}}]:
        beside.hand(**given)
    beside.install()
    beside.mlflow.tracking.set_tracking_uri(uri)
    os.environ["MLFLOW_TRACKING_URI"] = OURS["MLFLOW_TRACKING_URI"]  # which earlier releases leave as it is
    beside.hand(run={"1": OURS})
    assert (beside.mlflow.start_run() == "ours") == stays


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://h:5000/", "http://me:pw@h:5000", True),
        ("http://h:5000", "http://h:5001", False),
        ("mlruns", "file:///data/mlruns", True),
        ("./mlruns/", "file:///data/mlruns", True),
        ("databricks", "databricks", True),
        ("databricks", "file:///data/databricks", False),
    ],
)
def test_addresses_that_mean_the_same(
    beside: Beside, monkeypatch: pytest.MonkeyPatch, one: str, other: str, same: bool
) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/data")
    assert beside.hook.handed.is_same_place(one, other) == same


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_a_certificate_that_is_not_trusted_and_a_password_are_answers(beside: Beside) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    at = f"127.0.0.1:{server.server_port}"
    answers = beside.hook.handed.answers
    assert [answers(f"http://{at}"), answers(f"http://me:pw@{at}/"), answers(f"https://{at}")] == [True] * 3
    server.shutdown()
    server.server_close()
    assert not answers(f"http://{at}")


# A server in trouble


class _Uploads(Exception):
    __module__ = "requests.exceptions"


class _Mlflows(Exception):
    error_code = "INTERNAL_ERROR"


@pytest.mark.parametrize("error", [_Mlflows("down"), _Uploads("down"), ConnectionRefusedError("down")])
def test_a_server_that_dies_costs_a_training_nothing(beside: Beside, error: Exception) -> None:
    beside.hand(run={"1": OURS})
    beside.install()
    beside.client.fails = error
    client = beside.client()
    assert beside.mlflow.set_experiment("my own").experiment_id == "7"
    assert beside.mlflow.start_run() == "ours"
    for name in ("log_metric", "log_param", "log_batch", "log_inputs", "set_tag", "log_artifact", "set_terminated"):
        assert getattr(client, name)("ours", "a", 1) is None
    below = beside.mlflow.start_run()
    assert client.get_run(below).info.run_id == below
    client.log_metric(below, "a", 1)
    beside.client.fails = None
    beside.clock.now += 1000
    client.log_metric(below, "a", 1)
    assert client.said == []
    client.log_metric("ours", "a", 1)
    assert client.said == [("log_metric", "ours")]


def test_what_a_script_does_wrong_and_what_it_waits_for_stay_its_own(beside: Beside) -> None:
    beside.hand(run={"1": OURS})
    beside.install()
    client = beside.client()
    beside.client.fails = FileNotFoundError("no such file")
    with pytest.raises(FileNotFoundError):
        client.log_artifact("ours", "nothing.txt")
    beside.client.fails = _Mlflows("down")
    with pytest.raises(_Mlflows):
        client.log_metric("ours", "a", 1, synchronous=False)
    with pytest.raises(_Mlflows):
        client.log_metric("not ours", "a", 1)


def test_a_server_that_hangs_is_asked_ever_less_often(beside: Beside) -> None:
    beside.hand(run={"1": OURS})
    beside.install()
    beside.client.fails = _Mlflows("timed out")
    asked: list[tuple[float, str | None]] = []

    def hangs(_self: object, _name: str, _run: str) -> None:
        asked.append((beside.clock.now, os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT")))
        raise _Mlflows("timed out")

    beside.client._call = hangs
    while beside.clock.now < 100 + 3000:
        beside.client().log_metric("ours", "a", 1)
        beside.clock.now += 1
    assert [after - before for (before, _), (after, _) in pairwise(asked)][:5] == [
        60,
        120,
        240,
        480,
        600,
    ]
    assert {timeout for _, timeout in asked} == {"5"} and "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_where_no_lock_can_be_made_mlflow_does_what_it_does_by_itself(
    beside: Beside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tables: Any = import_module("outlast_mlflow_tables")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    made: list[object] = []
    utils = SimpleNamespace(_initialize_tables=made.append)
    tables.make_one_by_one(utils)
    engines = [SimpleNamespace(url=SimpleNamespace(database="mlflow.db")), object()]
    for engine in engines:
        utils._initialize_tables(engine)
    assert made == engines


# What the sink hands out, and leaves out


@pytest.mark.parametrize(
    ("uri", "written", "handed"),
    [
        ("http://h", None, "http://h"),
        ("http://me:pw@h", "http://${WHO}:${WORD}@h", "http://${WHO}:${WORD}@h"),
        ("http://me:pw@h", "http://me:pw@h", ""),
        (None, None, "${MLFLOW_TRACKING_URI}"),
    ],
)
def test_an_address_with_a_password_is_handed_as_it_is_written(
    uri: str | None, written: str | None, handed: str
) -> None:
    sink = MlflowSink(uri=uri, handed_uri=written)
    sink._server = SimpleNamespace(uri=uri or "http://me:pw@h")  # type: ignore[assignment]
    assert sink._address == handed
    if written and "$" in written:
        made: Any = make_sink("mlflow", MlflowSettings(uri=written), {"WHO": "me", "WORD": "pw"})
        assert (made._given_uri, made._handed_uri) == (uri, written)


def test_what_a_script_prints_and_logs_itself_is_left_to_it() -> None:
    points = (
        TrackedPoint(0, 1.0, {"acc": 0.5, "loss": 2.0}, "output"), TrackedPoint(0, 1.1, {"acc": 0.5012}, "mlflow"),
        TrackedPoint(1, 2.0, {"acc": 0.6}, "output"), TrackedPoint(2, 3.0, {"acc": 0.7}, "mlflow"),
    )  # fmt: skip
    trial = a_trial(1, TrialState.RUNNING)
    left = (TrackedPoint(0, 1.0, {"loss": 2.0}, "output"), points[2])
    assert not_logged(type(trial)(1, TrialState.RUNNING, {}, points=points)) == left
    assert not_logged(type(trial)(1, TrialState.RUNNING, {}, points=points), 1) == left[1:]
