"""What somebody enqueued in a store beside ``study.db`` between two runs: a file is looked into, a server is not waited for."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from msgspec.structs import replace

from lab.postgres import Postgres
from outlast.config.settings import IndexSettings, MetricSettings, Settings
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.derived import derived_files
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.optimizer.index.index_rows import CLAIM, ForeignRow
from outlast.optimizer.stores import store_waiting
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(
    name="small", command=("true",), metrics=(MetricSettings(name="loss", goal="minimize"),), parameters=()
)


@pytest.fixture(params=["shared.db", "shared.log"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store in a file, of each kind, where nothing is yet."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.setattr(derived_files, "_MANY", 2)
    return str(tmp_path / request.param)


@pytest.fixture
def build() -> StudyBuilder:
    """A long study."""
    found = StudyBuilder("small")
    for value in (0.5, 0.1, 0.9):
        found.trial(values=value)
    return found


def begun(store: str, build: StudyBuilder) -> DerivedFiles:
    """A run's, before its first trial."""
    folder = Path(store).parent if os.path.isabs(store) else Path.cwd()
    (folder / "small").mkdir(exist_ok=True)
    derived = DerivedFiles(StudyPaths.at(folder / "small"), replace(SETTINGS, index=IndexSettings(url=store)))
    derived.start(build.study, doubtful=False, rivalled=False)
    return derived


def found(derived: DerivedFiles) -> list[ForeignRow]:
    return derived.index.take_foreign()


def taken_in(build: StudyBuilder, row: ForeignRow) -> None:
    """The ledger has a trial of it, which is complete."""
    at = build.at(0)
    for event in (
        TrialCreated(3, at, row.params, source="foreign", system_attrs={CLAIM: row.key}),
        AttemptOpened(3, 1, at),
        AttemptEnded(3, 1, at, TrialState.COMPLETE, Cause.COMPLETED, values=(0.05,)),
    ):
        build.study.apply(event)


@contextlib.contextmanager
def by_optuna(store: str, name: str = "small") -> Iterator[optuna.Study]:
    if store.endswith(".db"):
        storage: optuna.storages.BaseStorage = optuna.storages.RDBStorage(f"sqlite:///{store}")
    else:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(store))
    yield optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize("long", [True, False])
def test_it_is_known_before_a_trial_is_drawn_and_becomes_one(
    store: str, build: StudyBuilder, long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived_files, "_MANY", 2 if long else 200)
    begun(store, build).close(build.study)
    with by_optuna(store) as study:
        study.enqueue_trial({"x": 0.25}, user_attrs={"why": "a hunch"})
    derived = begun(store, build)
    (row,) = found(derived)
    assert (row.params, row.user_attrs) == ({"x": 0.25}, {"why": "a hunch"})
    taken_in(build, row)
    derived.decided([build.study.trials[3]])
    derived.looked(build.study, [])
    assert derived.close(build.study) == [] and derived.is_whole
    assert found(derived) == [], "once"
    with by_optuna(store) as study:
        assert [trial.value for trial in study.trials] == [0.5, 0.1, 0.9, 0.05]
    assert found(begun(store, build)) == []


def test_one_that_the_ledger_has_taken_in_already_is_no_second_trial(store: str, build: StudyBuilder) -> None:
    begun(store, build).close(build.study)
    with by_optuna(store) as study:
        study.enqueue_trial({"x": 0.25})
    derived = begun(store, build)
    (row,) = found(derived)
    derived.abandon()  # killed before it was written there
    taken_in(build, row)
    assert found(begun(store, build)) == []


def test_one_that_does_not_fit_is_refused_there(store: str, build: StudyBuilder) -> None:
    begun(store, build).close(build.study)
    with by_optuna(store) as study:
        study.enqueue_trial({"x": 9.0})
    derived = begun(store, build)
    derived.index.refuse(found(derived)[0], "x: 9.0 is not from 0 to 1")
    derived.close(build.study)
    with by_optuna(store) as study:
        assert study.trials[-1].state is optuna.trial.TrialState.FAIL
    assert found(begun(store, build)) == []


def test_what_waits_in_a_study_of_others_is_theirs(store: str, build: StudyBuilder) -> None:
    with by_optuna(store) as study:  # the same name, another study
        study.enqueue_trial({"x": 0.5})
    with by_optuna(store, "another") as study:
        study.enqueue_trial({"x": 0.5})
    derived = begun(store, build)
    assert found(derived) == []
    derived.close(build.study)
    assert found(derived) == []


def test_a_store_that_is_not_written_is_not_taken_from_either(store: str, build: StudyBuilder) -> None:
    begun(store, build).close(build.study)
    with by_optuna(store) as study:
        study.enqueue_trial({"x": 0.25})
    if store.endswith(".db"):
        with contextlib.closing(sqlite3.connect(store)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'v9.9.0.a'")
    else:
        with open(store, "a") as journal:
            journal.write('{"op_code": 4, "wor')
    derived = begun(store, build)
    assert found(derived) == []
    assert any("shared" in told for told in derived.close(build.study))


@pytest.mark.parametrize("content", [b"", b"no store \xff"])
def test_a_file_that_cannot_be_read_is_left_to_who_writes_behind(
    store: str, content: bytes, build: StudyBuilder
) -> None:
    Path(store).write_bytes(content)
    derived = begun(store, build)
    assert found(derived) == [] and Path(store).read_bytes() == content
    derived.close(build.study)


def test_a_file_that_is_not_there_is_not_made_before_the_first_trial(store: str, build: StudyBuilder) -> None:
    derived = begun(store, build)
    assert found(derived) == [] and not Path(store).exists()
    derived.close(build.study)


def test_a_store_that_somebody_holds_is_not_waited_for_to_its_end(
    tmp_path: Path, build: StudyBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived_files, "_MANY", 2)
    store = str(tmp_path / "shared.db")
    begun(store, build).close(build.study)
    with by_optuna(store) as study:
        study.enqueue_trial({"x": 0.25})
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        derived = begun(store, build)
        assert found(derived) == [], "a moment later, behind the first trial"
        other.execute("ROLLBACK")
    derived.looked(build.study, [])
    derived.close(build.study)
    assert [row.params for row in found(derived)] == [{"x": 0.25}]


def test_a_long_journal_is_left_to_who_writes_behind(
    tmp_path: Path, build: StudyBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived_files, "_MANY", 2)
    store = str(tmp_path / "shared.log")
    begun(store, build).close(build.study)
    with by_optuna(store) as study:
        study.enqueue_trial({"x": 0.25})
    monkeypatch.setattr(store_waiting, "_LONG_JOURNAL", os.path.getsize(store) - 1)
    derived = begun(store, build)
    assert found(derived) == []
    derived.close(build.study)
    assert [row.params for row in found(derived)] == [{"x": 0.25}]


def test_a_server_is_not_asked_before_the_first_trial(
    tmp_path: Path, build: StudyBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(derived_files, "_MANY", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # whoever connects hears nothing
        silent.setblocking(False)
        derived = begun(f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/studies", build)
        with pytest.raises(BlockingIOError):
            silent.accept()
        assert found(derived) == []
    derived.abandon()


def test_what_waits_on_a_server_is_found_behind_the_first_trial(
    tmp_path: Path, build: StudyBuilder, postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(derived_files, "_MANY", 2)
    begun(postgres.url(database), build).close(build.study)
    storage = optuna.storages.RDBStorage(postgres.url(database).replace("postgresql:", "postgresql+psycopg:"))
    optuna.load_study(study_name="small", storage=storage).enqueue_trial({"x": 0.25})
    storage.remove_session()
    storage.engine.dispose()
    derived = begun(postgres.url(database), build)
    assert found(derived) == []
    derived.close(build.study)
    assert [row.params for row in found(derived)] == [{"x": 0.25}]
