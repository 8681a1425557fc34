"""Stores that others share: each study written there once and wholly, whatever happens to the store meanwhile."""

from __future__ import annotations

import contextlib
import os
import pprint
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from msgspec.structs import replace

from lab.postgres import PASSWORD, Postgres
from lab.waiting import until
from outlast.config.settings import Settings
from outlast.config.store_address import StoreAddress, store_address
from outlast.core.fold import Study
from outlast.core.records import TrialCreated, TrialRetried
from outlast.core.states import TrialState
from outlast.optimizer.index.index_build import build_index
from outlast.optimizer.index.index_rows import RowMaker
from outlast.optimizer.stores.store_writer import StoreWriter

pytestmark = pytest.mark.slow

LIMIT = 60.0  # seconds that a test would wait for the writer; it takes milliseconds, and whatever a busy machine adds


@pytest.fixture(autouse=True)
def quiet_optuna() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield


def address_of(given: str) -> StoreAddress:
    return store_address(given, environment={}, timeout=50)


@pytest.fixture(params=["sqlite", "postgresql", "journal"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    """An empty store of each kind."""
    if request.param != "postgresql":
        return address_of(f"sqlite:///{tmp_path}/shared.db" if request.param == "sqlite" else f"{tmp_path}/shared.log")
    server, database = request.getfixturevalue("postgres"), request.getfixturevalue("database")
    return address_of(server.url(database))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return address_of(f"sqlite:///{tmp_path}/shared.db")
    server, database = request.getfixturevalue("postgres"), request.getfixturevalue("database")
    return address_of(server.url(database))


@contextlib.contextmanager
def writing(
    address: StoreAddress, settings: Settings, study: Study, identity: str = "this one", **how: Any
) -> Iterator[StoreWriter]:
    writer = StoreWriter(address, settings, identity, **{"interval": 0.01, "poll": 0.05, **how})
    writer.update(study.trials.values())
    writer.start()
    try:
        yield writer
    finally:
        writer.close(timeout=0.0)


def optuna_storage(address: StoreAddress) -> optuna.storages.BaseStorage:
    if address.kind == "journal":
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(address.file))
    return optuna.storages.get_storage(optuna_url(address))


def closed(storage: Any) -> None:
    if isinstance(storage, optuna.storages.JournalStorage):
        return
    storage._backend.remove_session()
    storage._backend.engine.dispose()


def optuna_url(address: StoreAddress) -> str:
    return address.url.replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{address.file}"


@contextlib.contextmanager
def opened(address: StoreAddress, name: str = "digits") -> Iterator[optuna.Study]:
    study = optuna.load_study(study_name=name, storage=optuna_storage(address))
    try:
        yield study
    finally:
        closed(study._storage)


def content(study: optuna.Study) -> list[str]:
    """All that Optuna says about a study, but ids."""
    trials: list[Any] = [{**vars(trial), "_trial_id": None} for trial in study.get_trials(deepcopy=False)]
    facts = [study.study_name, study.directions, study.metric_names, study.user_attrs, *trials]
    return [pprint.pformat(fact, width=10_000) for fact in facts]  # NaN as text, and no order of keys


def counted(address: StoreAddress, table: str) -> int:
    """How many rows there are, by SQL; in a journal, what Optuna finds there."""
    if address.kind == "journal":
        storage = optuna_storage(address)
        studies = storage.get_all_studies()
        trials = sum(len(storage.get_all_trials(study._study_id)) for study in studies)
        return {"studies": len(studies), "trials": trials, "alembic_version": 1}[table]
    query = f"SELECT count(*) FROM {table}"
    if address.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(address.file)) as connection:
            return int(connection.execute(query).fetchone()[0])
    import psycopg

    with psycopg.connect(address.url) as server:
        return int(server.execute(query).fetchone()[0])  # type: ignore[index, arg-type]


def ask(address: StoreAddress, statement: str) -> None:
    if address.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(address.file)) as connection:
            connection.executescript(statement)
        return
    import psycopg

    with psycopg.connect(address.url) as server:
        server.execute(statement)  # type: ignore[arg-type]


def test_optuna_finds_in_each_store_what_it_finds_in_the_folders_own(
    lab: Any, study: Study, address: StoreAddress, tmp_path: Path
) -> None:
    settings = lab.settings()
    own = address_of(str(tmp_path / "study.db"))
    build_index(own.file, settings, [RowMaker(settings).row(trial) for trial in study.trials.values()])
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT), writer.warnings
        with opened(own) as ours, opened(address) as there:
            assert content(there) == content(ours)
    assert writer.warnings == []


def test_what_changes_is_written_and_what_was_written_is_written_once(
    lab: Any, study: Study, address: StoreAddress
) -> None:
    settings = lab.settings()
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT)
        study.apply(TrialRetried(3, lab.ended(3).at, 2))
        study.apply(lab.opened(3, 2))
        study.apply(lab.ended(3, values=(0.5,), attempt=2))
        writer.update([study.trials[3]], {})
        assert writer.flush(LIMIT)
    with writing(address, settings, study) as again:
        assert again.flush(LIMIT)
    assert counted(address, "trials") == 9
    with opened(address) as there:
        assert there.trials[3].value == 0.5
        assert [trial.number for trial in there.trials] == list(range(9))


def test_an_enqueued_row_is_found_and_becomes_the_trials(lab: Any, study: Study, address: StoreAddress) -> None:
    from outlast.optimizer.index.study_db import claimed
    from outlast.optimizer.sampling import Optimizer

    settings = lab.settings()
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT)
        with opened(address) as there:
            there.enqueue_trial({"layers": 3})
            there.enqueue_trial({"layers": 99})
        found: list[Any] = []
        until(lambda: found.extend(writer.take_foreign()) or len(found) == 2)
        draw = Optimizer(settings, study).ask(9, fixed=found[0].params, source="foreign")
        study.apply(lab.created(claimed(draw, found[0]), 9))
        writer.update([study.trials[9]])
        writer.refuse(found[1], "layers is at most 4")
        assert writer.flush(LIMIT)
        assert writer.take_foreign() == []
    with opened(address) as there:
        assert [trial.number for trial in there.trials] == list(range(11))
        assert there.trials[9].params["layers"] == 3
        assert there.trials[10].state is optuna.trial.TrialState.FAIL


def test_other_studies_stay_as_they_are_and_a_taken_name_is_refused(
    lab: Any, study: Study, address: StoreAddress
) -> None:
    theirs = optuna.create_study(storage=optuna_storage(address), study_name="theirs")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    before = content(theirs)
    settings = lab.settings()
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT)
    assert content(theirs) == before
    with writing(address, replace(settings, name="theirs"), study) as writer:
        until(lambda: writer.warnings)
        assert "another study called theirs" in writer.warnings[0]
    with writing(address, settings, study, "a study of this name in another folder") as writer:
        until(lambda: writer.warnings)
        assert "another study called digits" in writer.warnings[0]
    assert content(theirs) == before
    assert counted(address, "trials") == 3 + 9
    closed(theirs._storage)


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM trial_values; DELETE FROM trial_params; UPDATE trial_user_attributes SET value_json = '1'",
        "UPDATE trials SET number = number + 3",
        "DELETE FROM trial_system_attributes WHERE \"key\" = 'outlast:trial' AND value_json = '4'",
    ],
    ids=["rows that hang on trials", "numbers", "a mark of ours"],
)
def test_what_somebody_changed_is_put_right_when_the_store_is_opened_again(
    lab: Any, study: Study, database_address: StoreAddress, harm: str
) -> None:
    settings = lab.settings()
    with writing(database_address, settings, study) as writer:
        assert writer.flush(LIMIT)
    with opened(database_address) as there:
        before = content(there)
    ask(database_address, harm)
    with writing(database_address, settings, study) as writer:
        assert writer.flush(LIMIT)
    with opened(database_address) as there:
        found = content(there)
        ours = [trial for trial in there.trials if "outlast:trial" in trial.system_attrs]
    assert len(ours) == 9
    assert [each for each in before if each not in found] == []


def test_many_begin_at_once_on_an_empty_database_and_each_has_its_study(
    lab: Any, study: Study, address: StoreAddress
) -> None:
    settings = lab.settings()
    count = 64 if address.kind == "server" else 16
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(writing(address, replace(settings, name=f"study {n}"), study, f"study {n}"))
            for n in range(count)
        ]
        for writer in writers:
            assert writer.flush(240), writer.warnings  # the first one waits for whoever is before it, too
    print(f"{count} writers: {time.monotonic() - began:.1f} s")
    assert [warning for writer in writers for warning in writer.warnings] == []
    assert counted(address, "studies") == count
    assert counted(address, "trials") == count * 9
    assert counted(address, "alembic_version") == 1


def test_a_fresh_start_takes_the_name_and_keeps_the_earlier_study_under_its_folders(
    lab: Any, study: Study, database_address: StoreAddress
) -> None:
    settings = lab.settings()
    with writing(database_address, settings, study, "before") as writer:
        assert writer.flush(LIMIT)
    with opened(database_address) as there:
        before = content(there)[1:]
    with writing(database_address, settings, lab.study(), "after", earlier={"before": "digits.20240501"}) as writer:
        finished(lab, lab.study(), writer, 0)
        assert writer.flush(LIMIT)
    with opened(database_address, "digits.20240501") as kept, opened(database_address) as there:
        assert content(kept)[1:] == before
        assert len(there.trials) == 1


def test_a_copy_of_the_study_beside_it_is_not_its_earlier_self(
    lab: Any, study: Study, database_address: StoreAddress
) -> None:
    settings = lab.settings()
    for _ in range(2):
        with writing(database_address, settings, study, "me", earlier={"me": "digits.20240501_120000"}) as writer:
            assert writer.flush(LIMIT), writer.warnings
    assert counted(database_address, "studies") == 1
    assert counted(database_address, "trials") == 9


def test_two_rows_of_one_trial_are_not_taken_for_another_study(lab: Any, study: Study, tmp_path: Path) -> None:
    address, settings = address_of(str(tmp_path / "shared.db")), lab.settings()
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT)
    ask(
        address,
        "UPDATE trial_system_attributes SET value_json = '3' WHERE \"key\" = 'outlast:trial' AND value_json = '4'",
    )
    with writing(address, settings, study) as writer:
        until(lambda: writer.warnings)
    assert "a trial has two rows" in writer.warnings[0] and "another study" not in writer.warnings[0]


def test_a_name_for_which_a_server_has_no_room_is_left_out_and_said(
    lab: Any, study: Study, database_address: StoreAddress
) -> None:
    from outlast.core.records import AttributeSet

    long = "n" * 513
    study.apply(AttributeSet(3, long, "1"))
    study.apply(AttributeSet(3, "short", "1"))
    for _ in range(2):
        with writing(database_address, lab.settings(), study) as writer:
            writer.note_study({long: "1", "seen": "1"})
            assert writer.flush(LIMIT), writer.warnings
        on_a_server = database_address.kind == "server"
        assert ["no room for an attribute called 'nnn" in each for each in writer.warnings] == [True] * on_a_server
    with opened(database_address) as there:
        noted = there.trials[3].user_attrs
        assert noted["short"] == 1 and (long in noted) is not on_a_server
        assert there.user_attrs["seen"] == 1


def test_a_server_s_limits_hold_in_our_transactions_and_end_with_them(postgres: Postgres, database: str) -> None:
    from outlast.optimizer.stores.store_connection import connect

    query = "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"
    with contextlib.closing(connect(address_of(postgres.url(database)))) as connection:
        connection.begin(writing=True)
        assert connection.execute(query).fetchone() == ("50s", "1min")
        connection.commit()
        assert connection.execute(query).fetchone() == ("0", "0")


def test_a_journal_takes_what_another_store_enqueued_and_what_begins_out_of_order(
    lab: Any, study: Study, tmp_path: Path
) -> None:
    """Without the whole study being written anew, and each row under its own number."""
    address = address_of(str(tmp_path / "shared.log"))
    with writing(address, lab.settings(), study) as writer:
        assert writer.flush(LIMIT)
        params = {"lr": 0.01, "layers": 2, "width": 3.0, "model": "mlp"}
        for number in (9, 10):
            claim = {"outlast:row": "another store:7"} if number == 9 else {}
            study.apply(TrialCreated(number, lab.ended(number).at, params=params, source="sampled", system_attrs=claim))
        for number in (9, 10):
            writer.update([study.trials[number]])
            assert writer.flush(LIMIT)
        study.apply(lab.opened(10))
        writer.update([study.trials[10]])
        assert writer.flush(LIMIT)
        with opened(address) as there:
            assert [trial.system_attrs["outlast:trial"] for trial in there.trials] == list(range(11))
        study.apply(lab.opened(9))
        writer.update([study.trials[9]])
        assert writer.flush(LIMIT)
    assert '"op_code": 1,' not in Path(address.file).read_text()


def test_a_journal_with_a_row_of_somebody_s_is_not_written_anew_for_each_trial(
    lab: Any, study: Study, tmp_path: Path
) -> None:
    address = address_of(str(tmp_path / "shared.log"))
    with writing(address, lab.settings(), study) as writer:
        assert writer.flush(LIMIT)
        with opened(address) as there:
            there.enqueue_trial({"layers": 99})
        found: list[Any] = []
        until(lambda: found.extend(writer.take_foreign()) or found)
        writer.refuse(found[0], "layers is at most 4")
        for number in range(9, 14):
            finished(lab, study, writer, number)
            time.sleep(0.05)  # rounds of the writer's
        assert Path(address.file).read_text().count('"op_code": 1,') <= 1
        assert writer.flush(LIMIT)
    with opened(address) as there:
        ours = [trial.number for trial in there.trials if "outlast:trial" in trial.system_attrs]
        assert ours == list(range(14)) and len(there.trials) == 15


def finished(lab: Any, study: Study, writer: StoreWriter, number: int) -> None:
    """One more trial, begun and ended."""
    params = {"lr": 0.01, "layers": 2, "width": 3.0, "model": "mlp"}
    study.apply(TrialCreated(trial=number, at=lab.ended(number).at, params=params, source="sampled"))
    writer.update([study.trials[number]])
    study.apply(lab.opened(number))
    study.apply(lab.ended(number, values=(number / 7,), curve=((0, 0.1), (1, 0.2))))
    writer.update([study.trials[number]])


def once_and_wholly(address: StoreAddress, trials: int) -> None:
    """Nothing lost and nothing twice, counted by SQL."""
    assert counted(address, "trials") == trials
    assert counted(address, "(SELECT DISTINCT number FROM trials) AS n") == trials
    assert counted(address, "trial_system_attributes") == trials
    assert counted(address, "(SELECT trial_id FROM trials WHERE number >= 9 AND state <> 'COMPLETE') AS n") == 0
    assert counted(address, "(SELECT DISTINCT trial_id, step FROM trial_intermediate_values) AS n") == counted(
        address, "trial_intermediate_values"
    )


def test_connections_are_cut_again_and_again_and_nothing_is_lost_or_twice(
    lab: Any, study: Study, postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.optimizer.index.written_behind.PAUSES", (0.01,))
    address = address_of(postgres.url(database))
    with writing(address, lab.settings(), study, interval=0.001) as writer:
        assert writer.flush(LIMIT)
        stop = threading.Event()
        cut = 0

        def cutting() -> None:
            nonlocal cut
            query = (
                f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{database}'"
            )
            while not stop.wait(0.05):
                cut += int(str(postgres.ask(query)[0][0]))

        thread = threading.Thread(target=cutting)
        thread.start()
        for number in range(9, 209):
            finished(lab, study, writer, number)
            time.sleep(0.005)  # as trials come, not all at once
        until(lambda: cut > 3, "they are cut")
        stop.set()
        thread.join()
        assert writer.flush(LIMIT), writer.warnings
    once_and_wholly(address, 209)


def test_a_server_that_is_restarted_in_the_middle_is_told_of_once_and_has_everything(
    lab: Any, study: Study, postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.optimizer.index.written_behind.PAUSES", (0.05,))
    address = address_of(postgres.url(database))
    other = address_of(f"{postgres.url(database)}&connect_timeout=3")
    with (
        writing(address, lab.settings(), study) as writer,
        writing(other, replace(lab.settings(), name="beside"), study, "beside") as beside,
    ):
        assert writer.flush(LIMIT)
        assert beside.flush(LIMIT)
        postgres.stop()
        try:
            finished(lab, study, writer, 9)
            beside.update([study.trials[9]])
            until(lambda: writer.warnings and beside.warnings)
        finally:
            postgres.start()
        assert writer.flush(LIMIT)
        assert beside.flush(LIMIT)
        until(lambda: len(writer.warnings) == 2)
    assert "is behind for now; every result is safe in the ledger" in writer.warnings[0]
    assert "can be written again" in writer.warnings[1]
    assert counted(address, "trials") == 20
    assert not any(PASSWORD in warning for warning in writer.warnings)


def test_a_lock_that_somebody_holds_delays_only_the_store(
    lab: Any, study: Study, database_address: StoreAddress
) -> None:
    with writing(database_address, lab.settings(), study) as writer:
        assert writer.flush(LIMIT)
        with locked(database_address):
            finished(lab, study, writer, 9)
            assert not writer.flush(0.2)
        assert writer.flush(LIMIT)
    assert counted(database_address, "trials") == 10


@contextlib.contextmanager
def locked(address: StoreAddress) -> Iterator[None]:
    """Somebody sits in a transaction with the study's rows."""
    if address.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(address.file, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
        return
    import psycopg

    with psycopg.connect(address.url) as connection:
        connection.execute("LOCK TABLE studies, trials, study_system_attributes")
        yield


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("postgresql://u:{secret}@127.0.0.1:1/db", "cannot be written"),
        ("postgresql://searcher:{secret}@127.0.0.1:{port}/postgres", "password authentication failed"),
        ("postgresql://u:{secret}@nowhere.invalid/db", "cannot be written"),
        ("postgresql://u:two@{secret}@127.0.0.1:{port}/db", "cannot be written"),
        ("cockroach://u:{secret}@127.0.0.1/db", "no address of a database"),
        ("mysql+pymysql://u:{secret}@127.0.0.1:1/db", "needs a driver"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_in_one_line_without_its_secret(
    lab: Any, study: Study, postgres: Postgres, wrong: str, says: str
) -> None:
    address = address_of(wrong.format(secret="mySecret77", port=postgres.port))
    with writing(address, lab.settings(), study) as writer:
        until(lambda: writer.warnings)
    assert says in writer.warnings[0]
    assert "mySecret77" not in "".join(writer.warnings)
    assert "\n" not in writer.warnings[0]


def test_a_file_that_is_no_database_is_left_as_it_is(lab: Any, study: Study, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"something of somebody's" * 200)
    before = file.read_bytes()
    with writing(address_of(str(file)), lab.settings(), study) as writer:
        until(lambda: writer.warnings)
        assert "left as it is" in writer.warnings[0]
        assert file.read_bytes() == before
        os.rename(file, tmp_path / "away")
        assert writer.flush(LIMIT)  # and once it is out of the way, it is made anew
    assert counted(address_of(str(file)), "trials") == 9


def test_whoever_lost_the_lease_writes_no_more(lab: Any, study: Study, address: StoreAddress) -> None:
    from outlast.errors import LeaseLost

    lost: list[bool] = []

    def fence() -> None:
        if lost:
            raise LeaseLost("somebody else")

    with writing(address, lab.settings(), study, fence=fence) as writer:
        assert writer.flush(LIMIT)
        lost.append(True)
        finished(lab, study, writer, 9)
        writer.flush(1.0)
    assert counted(address, "trials") == 9


def test_a_copy_of_the_study_that_writes_there_as_well_is_told(lab: Any, study: Study, address: StoreAddress) -> None:
    settings = lab.settings()
    with writing(address, settings, study) as one, writing(address, settings, study) as other:
        until(lambda: one.warnings or other.warnings)
    assert "another copy of this study" in [*one.warnings, *other.warnings][0]
    assert counted(address, "trials") == 9


def test_several_objectives_and_what_was_noted_are_there(lab: Any, address: StoreAddress, tmp_path: Path) -> None:
    from outlast.core.records import AttributeSet

    settings = lab.settings(goals=("maximize", "minimize"))
    study = lab.study()
    params = {"lr": 0.01, "layers": 2, "width": 3.0, "model": "mlp"}
    for event in (
        TrialCreated(trial=0, at=lab.ended(0).at, params=params, source="sampled"),
        lab.opened(0),
        AttributeSet(0, "note", '{"a": [1, null, "ü"]}'),
        AttributeSet(0, "constraints", "[0.5, -1.0]", system=True),
        lab.ended(0, values=(0.5, 7.0)),
    ):
        study.apply(event)
    assert study.trials[0].state is TrialState.COMPLETE
    own = address_of(str(tmp_path / "study.db"))
    build_index(own.file, settings, [RowMaker(settings).row(study.trials[0])])
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT), writer.warnings
    with opened(own) as ours, opened(address) as there:
        assert content(there) == content(ours)
        assert there.trials[0].user_attrs["note"] == {"a": [1, None, "ü"]}


def test_what_is_noted_about_a_study_is_said_and_what_others_noted_there_stays(lab, address):
    settings, study = lab.settings(), lab.study()
    study.apply(TrialCreated(0, "2026-01-01T00:00:00Z", params={"lr": 0.1}))
    with writing(address, settings, study) as writer:
        assert writer.flush(LIMIT)
        with opened(address) as theirs:
            theirs.set_user_attr("theirs", "kept")
        writer.note_study({"seen": "7", "best": "NaN"})
        writer.note_study({"seen": "8"})
        assert writer.flush(LIMIT)
    with opened(address) as found:
        assert repr(found.user_attrs["best"]) == "nan" and found.user_attrs["seen"] == 8
        assert found.user_attrs["theirs"] == "kept"
