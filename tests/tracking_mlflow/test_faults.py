"""Servers that die, hang, lie and forget, and senders that are killed: nothing is lost and nothing is twice, counted by SQL."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from lab.lying_proxy import FAULTS, LyingProxy
from lab.sent_to_mlflow import FileMemory, a_study, a_trial, send_all
from lab.tracking_server import TrackingServer, Zygote, begin_sending, kill, lives, rows
from lab.waiting import until
from outlast.core.states import TrialState
from outlast.tracking.mlflow_sink import MlflowSink
from outlast.tracking.sink import EverythingAgain
from tracking_mlflow.counted import is_exactly_there

pytestmark = [pytest.mark.slow, pytest.mark.foreign, pytest.mark.filterwarnings("default")]


def test_whoever_is_killed_and_whenever_each_row_is_there_once(
    zygote: Zygote, server: TrackingServer, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    study, memory = a_study(f"killed-{seed}"), tmp_path / "memory"
    trials = [a_trial(number, chance.choice([*TrialState][3:6]), points=chance.randrange(4)) for number in range(9)]
    sender = kills = 0
    for _ in range(10):
        if not sender or not lives(sender):
            if (tmp_path / "memory.done").exists():
                break
            sender = begin_sending(zygote, server.uri, study, trials, memory)
        time.sleep(chance.uniform(0.05, 0.8))
        if chance.random() < 0.25:
            server.kill()
            server.start()
        else:
            kill(sender)
            until(lambda pid=sender: not lives(pid), "its end")  # type: ignore[misc]
        kills += 1
    if not lives(sender) and not (tmp_path / "memory.done").exists():
        sender = begin_sending(zygote, server.uri, study, trials, memory)
    until(lambda: not lives(sender), "the end of sending")
    assert (tmp_path / "memory.done").exists(), (zygote.folder / "log").read_text()[-3000:]
    assert kills
    is_exactly_there(server.database, study, trials)


def test_a_server_that_lies_about_what_it_took_gets_everything_once(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    left = [*FAULTS, *FAULTS[:-1], *FAULTS[:-1]]  # each of them happens, to requests of any kind
    chance.shuffle(left)

    def fault(_method: str, _path: str) -> str:
        return left.pop() if left and chance.random() < 0.4 else ""

    study, trials = a_study(f"lied-to-{seed}"), [a_trial(number) for number in range(5)]
    with LyingProxy(server.port, fault) as proxy:
        send_all(lambda: MlflowSink(uri=proxy.uri), study, trials, FileMemory(tmp_path / "memory"), at_once=2)
        assert len([what for _, what in proxy.requests if what]) > 5
    is_exactly_there(server.database, study, trials)


@pytest.mark.parametrize("path", ["runs/create", "runs/log-batch", "runs/update", "runs/search", "experiments/create"])
def test_an_answer_that_is_lost_after_the_server_has_acted_makes_nothing_twice(
    server: TrackingServer, tmp_path: Path, path: str
) -> None:
    fired: list[str] = []

    def fault(_method: str, asked: str) -> str:
        if path in asked and len(fired) < 3:
            fired.append(asked)
            return "500 after taking it"
        return ""

    study, trials = a_study(f"lost-{path.replace('/', '-')}"), [a_trial(0), a_trial(1)]
    with LyingProxy(server.port, fault) as proxy:
        troubles = send_all(lambda: MlflowSink(uri=proxy.uri), study, trials, FileMemory(tmp_path / "memory"))
    assert fired and (troubles or path == "experiments/create")
    is_exactly_there(server.database, study, trials)


def test_a_server_that_is_slow_is_waited_for(server: TrackingServer, tmp_path: Path) -> None:
    slow: list[str] = []

    def fault(_method: str, path: str) -> str:
        if len(slow) < 2 and "runs/create" in path:
            slow.append(path)
            time.sleep(1.5)
        return ""

    study = a_study("slow")
    with LyingProxy(server.port, fault) as proxy:
        assert send_all(lambda: MlflowSink(uri=proxy.uri), study, [a_trial(0)], FileMemory(tmp_path / "m")) == []
    is_exactly_there(server.database, study, [a_trial(0)])


def test_where_another_database_stands_behind_the_address_everything_is_sent_again(
    server: TrackingServer, tmp_path: Path
) -> None:
    study, trials, memory = a_study("moved"), [a_trial(0), a_trial(1)], FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, trials, memory)
    before = server.database
    server.begin_anew()
    trials.append(a_trial(2))
    troubles = send_all(lambda: MlflowSink(uri=server.uri), study, trials, memory)
    assert any(isinstance(error, EverythingAgain) for error in troubles)
    is_exactly_there(server.database, study, trials)
    is_exactly_there(before, study, trials[:2])


def test_four_studies_at_once_log_to_one_local_database(zygote: Zygote, empty: Path, tmp_path: Path) -> None:
    import shutil

    database = tmp_path / "mlflow.db"
    shutil.copy(empty, database)
    studies = [a_study(f"side-by-side-{number}") for number in range(4)]
    trials = [a_trial(number, points=20) for number in range(6)]
    senders = [
        begin_sending(zygote, f"sqlite:///{database}", study, trials, tmp_path / study.name) for study in studies
    ]
    for pid in senders:
        until(lambda pid=pid: not lives(pid), "the end of sending")  # type: ignore[misc]
    for study in studies:
        assert (tmp_path / f"{study.name}.done").exists(), (zygote.folder / "log").read_text()[-3000:]
        is_exactly_there(database, study, trials)
    assert rows(database, "SELECT count(*) FROM experiments") == [(5,)]
