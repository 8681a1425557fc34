"""The index: what `optuna.load_study` finds in it equals the ledger, and nothing that happens to the file matters."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from msgspec.structs import replace
from optuna.trial import TrialState as Row

from lab.waiting import until
from outlast._system import observed
from outlast.core.fold import Study
from outlast.core.records import TrialCreated, TrialRetried
from outlast.core.states import TrialState
from outlast.optimizer.index.index_build import build_index, rebuild_index
from outlast.optimizer.index.index_check import check_index, foreign_rows
from outlast.optimizer.index.index_rows import CLAIM, RowMaker
from outlast.optimizer.index.study_db import IndexWriter, claimed
from outlast.optimizer.sampling import Optimizer

LIMIT = 60.0  # seconds that a test would wait for the writer; it takes milliseconds, and whatever a busy machine adds


@pytest.fixture(autouse=True)
def quiet_optuna() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield


def loaded(path: Path) -> optuna.Study:
    engine = {"connect_args": {"timeout": 5}}
    return optuna.load_study(study_name="digits", storage=optuna.storages.RDBStorage(f"sqlite:///{path}", engine))


def closed(optuna_study: optuna.Study) -> None:
    storage: Any = optuna_study._storage
    storage._backend.remove_session()
    storage._backend.engine.dispose()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[optuna.Study]:
    optuna_study = loaded(path)
    try:
        yield optuna_study
    finally:
        closed(optuna_study)


@contextlib.contextmanager
def writing(path: Path, lab: Any, study: Study, **options: Any) -> Iterator[IndexWriter]:
    writer = IndexWriter(path, lab.settings(), interval=0.01, poll=0.02, **options)
    writer.update(study.trials.values())
    writer.start()
    try:
        yield writer
    finally:
        writer.close(LIMIT)


def assert_equal(path: Path, study: Study) -> None:
    with opened(path) as optuna_study:
        rows = optuna_study.trials
        assert [row.number for row in rows] == sorted(study.trials)
        for row in rows:
            trial = study.trials[row.number]
            assert row.params == trial.params
            if trial.state in (TrialState.COMPLETE,):
                assert (row.state, tuple(row.values)) == (Row.COMPLETE, trial.values)
            assert not row.state.is_finished() or trial.state.finished


def test_every_state_is_shown_by_the_table(lab: Any, study: Study, tmp_path: Path) -> None:
    rebuild_index(tmp_path / "study.db", study, lab.settings())
    with opened(tmp_path / "study.db") as optuna_study:
        rows = optuna_study.trials
        assert [row.state.name for row in rows] == [
            "COMPLETE", "PRUNED", "PRUNED", "FAIL", "FAIL", "RUNNING", "RUNNING", "RUNNING", "COMPLETE",
        ]  # fmt: skip
        assert [row.values for row in rows] == [[0.75], [0.5], None, None, None, None, None, None, [math.inf]]
        assert [row.user_attrs.get("cause") for row in rows[2:6]] == [
            "gpu_out_of_memory", "crash", "lost", "preempted",
        ]  # fmt: skip
        assert rows[2].user_attrs["state"] == "infeasible" and rows[2].intermediate_values == {}
        assert math.isnan(rows[0].intermediate_values[1]) and rows[0].intermediate_values[2] == 0.5
        assert optuna_study.direction.name == "MAXIMIZE" and optuna_study.metric_names == ["m0"]
        assert optuna_study.best_trial.number == 8
    assert_equal(tmp_path / "study.db", study)


def test_a_value_that_no_distribution_can_show_stands_beside_it(lab: Any, tmp_path: Path) -> None:
    settings = lab.settings({"sizes": {"values": [[64, 64], [128]]}, "x": {"min": 0, "max": 3}})
    study = lab.study()
    study.apply(TrialCreated(0, "2024-01-01T00:00:00+00:00", params={"sizes": [64, 64], "x": 2}))
    rebuild_index(tmp_path / "study.db", study, settings)
    with opened(tmp_path / "study.db") as optuna_study:
        row = optuna_study.trials[0]
        assert row.params == {"sizes": "[64, 64]", "x": 2}
        assert row.user_attrs["params"] == {"sizes": [64, 64]}


def test_times_are_utc(lab: Any, study: Study, tmp_path: Path) -> None:
    rebuild_index(tmp_path / "study.db", study, lab.settings())
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        stored = connection.execute("SELECT datetime_complete FROM trials WHERE number = 0").fetchone()[0]
    assert stored == "2024-05-01 00:00:01.000000"


def test_a_fresh_index_is_in_rollback_journal_mode_and_sound(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    assert rebuild_index(path, study, lab.settings()) is None
    assert check_index(path, study, lab.settings()) == []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert os.listdir(tmp_path) == ["study.db"]


@pytest.mark.parametrize("gone", [True, False])
def test_a_trial_that_changes_while_its_row_is_made_is_shown_the_next_time(
    gone: bool, lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a file that was trusted are made where it has to be built anew, of trials that somebody decides about."""
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    writer = IndexWriter(path, lab.settings())
    writer.trust(study.trials.values())
    writer.attempt()
    path.unlink() if gone else path.write_bytes(b"no database")
    row, failures = writer._maker.row, iter(range(2))

    def made(*given: Any) -> Any:
        if next(failures, None) is not None:
            raise RuntimeError("dictionary changed size during iteration")
        return row(*given)

    monkeypatch.setattr(writer._maker, "row", made)
    for _ in range(4):
        writer.attempt()
    writer.disconnect()
    assert_equal(path, study)


def test_the_writer_follows_the_ledger_round_by_round(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        assert_equal(path, study)
        writer.update([study.trials[6]], {6: {0: 0.1, 1: 0.2}})
        assert writer.flush(LIMIT)
        with opened(path) as optuna_study:
            assert optuna_study.trials[6].intermediate_values == {0: 0.1, 1: 0.2}
        study.apply(lab.ended(6, values=(0.3,), curve=((0, 0.1), (1, 0.2), (2, 0.3))))
        study.apply(TrialRetried(0, "t"))
        writer.update([study.trials[6], study.trials[0]])
        assert writer.flush(LIMIT)
        with opened(path) as optuna_study:
            assert optuna_study.trials[6].value == 0.3
            assert optuna_study.trials[0].state is Row.RUNNING and optuna_study.trials[0].values is None
        assert check_index(path, study, lab.settings()) == []
        assert not writer.warnings


def test_an_index_that_is_behind_is_sound_and_is_caught_up(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    study.apply(lab.ended(6, values=(0.3,)))
    study.apply(TrialCreated(9, "2024-01-01T00:00:00+00:00", params=dict(study.trials[0].params)))
    assert check_index(path, study, lab.settings()) == []
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
    assert_equal(path, study)
    assert os.listdir(tmp_path) == ["study.db"]


# -- broken files --------------------------------------------------------------------------------------------------


def execute(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def journal_of_another(path: Path) -> None:
    """A hot journal and a write-ahead log that belong to some other database."""
    other = path.with_name("other.db")
    connection = sqlite3.connect(other, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t SELECT hex(randomblob(2000)) FROM sqlite_master")
    connection.execute("BEGIN")
    connection.execute("UPDATE t SET x = hex(randomblob(2000))")
    connection.execute("INSERT INTO t SELECT a.x FROM t a, t b")
    shutil.copyfile(f"{other}-journal", f"{path}-journal")
    connection.execute("ROLLBACK")
    connection.close()
    other.unlink()
    Path(f"{path}-wal").write_bytes(os.urandom(5000))


BREAKAGES: dict[str, Any] = {
    "missing": lambda path: path.unlink(),
    "missing, journal left": lambda path: (journal_of_another(path), path.unlink()),
    "zero bytes": lambda path: path.write_bytes(b""),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "garbage": lambda path: path.write_bytes(os.urandom(40_000)),
    "garbage inside": lambda path: path.write_bytes(
        path.read_bytes()[:8192] + b"\xa5" * 8192 + path.read_bytes()[16384:]
    ),
    "text": lambda path: path.write_text("this is not a database\n" * 500),
    "dropped table": lambda path: execute(path, "DROP TABLE trial_params"),
    "dropped trials": lambda path: execute(path, "DROP TABLE trials"),
    "emptied trials": lambda path: execute(path, "DELETE FROM trials"),
    "emptied params": lambda path: execute(path, "DELETE FROM trial_params"),
    "emptied values": lambda path: execute(path, "DELETE FROM trial_values"),
    "emptied curves": lambda path: execute(path, "DELETE FROM trial_intermediate_values"),
    "emptied notes": lambda path: execute(path, "DELETE FROM trial_system_attributes"),
    "emptied studies": lambda path: execute(path, "DELETE FROM studies"),
    "emptied study notes": lambda path: execute(path, "DELETE FROM study_system_attributes"),
    "emptied directions": lambda path: execute(path, "DELETE FROM study_directions"),
    "no schema version": lambda path: execute(path, "DELETE FROM alembic_version"),
    "lost rows": lambda path: execute(path, "DELETE FROM trials WHERE number > 4"),
    "another value": lambda path: execute(path, "UPDATE trial_values SET value = 0.99 WHERE trial_id = 1"),
    "another state": lambda path: execute(path, "UPDATE trials SET state = 'COMPLETE' WHERE number = 3"),
    "told by somebody": lambda path: execute(path, "UPDATE trials SET state = 'FAIL' WHERE number = 6"),
    "another parameter": lambda path: execute(
        path, "UPDATE trial_params SET param_value = 3 WHERE param_name='layers'"
    ),
    "renumbered": lambda path: execute(path, "UPDATE trials SET number = number + 1"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_every_kind_of_broken_index_is_noticed_and_rebuilt(
    lab: Any, study: Study, tmp_path: Path, breakage: str
) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    BREAKAGES[breakage](path)
    left = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    faults = check_index(path, study, lab.settings())
    assert faults and all(fault.startswith("study.db") for fault in faults)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == left, "a check changes nothing"

    aside = rebuild_index(path, study, lab.settings())
    assert check_index(path, study, lab.settings()) == []
    assert_equal(path, study)
    for name, content in left.items():
        moved = tmp_path / name.replace("study.db", aside.name) if aside else None
        assert moved is None or moved.read_bytes() == content, "the old file is set aside whole"
    assert not [name for name in os.listdir(tmp_path) if name.startswith("study.db-")]


@pytest.mark.parametrize("breakage", ["missing", "zero bytes", "truncated", "garbage", "dropped trials", "lost rows"])
def test_an_index_that_breaks_while_a_study_runs_comes_back_and_is_said(
    lab: Any, study: Study, tmp_path: Path, breakage: str
) -> None:
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        BREAKAGES[breakage](path)
        study.apply(lab.ended(6, values=(0.3,)))
        writer.update([study.trials[6]])
        assert writer.flush(LIMIT)
        assert check_index(path, study, lab.settings()) == []
        assert_equal(path, study)
        assert any("built anew" in warning for warning in writer.warnings)


def test_a_journal_that_goes_while_its_index_is_set_aside_is_no_fault(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    journal = Path(f"{path}-journal")
    journal.touch()

    def see(operation: str, about: str, **_detail: object) -> None:
        if operation == "rename" and about == str(journal):
            journal.unlink()  # a coordinator that was superseded ends its transaction

    monkeypatch.setattr(observed, "observer", see)
    aside = rebuild_index(path, study, lab.settings())
    assert aside is not None and aside.exists() and not check_index(path, study, lab.settings())


def test_a_hot_journal_of_our_own_killed_writer_is_no_fault(lab: Any, study: Study, tmp_path: Path) -> None:
    path, killed = tmp_path / "study.db", tmp_path / "killed.db"
    rebuild_index(path, study, lab.settings())
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE trials SET state = 'FAIL'")
    connection.execute("UPDATE trial_params SET distribution_json = hex(randomblob(4000))")
    shutil.copyfile(path, killed)
    shutil.copyfile(f"{path}-journal", f"{killed}-journal")
    connection.close()
    assert Path(f"{killed}-journal").stat().st_size > 0
    assert check_index(killed, study, lab.settings()) == []
    with writing(killed, lab, study) as writer:
        assert writer.flush(LIMIT)
    assert_equal(killed, study)


# -- other people at the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_trial", [False, True], ids=["a known trial", "a new trial"])
def test_a_reader_that_holds_a_transaction_delays_nothing_and_breaks_nothing(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_trial: bool
) -> None:
    from outlast.optimizer.index import study_db, written_behind

    monkeypatch.setattr(study_db, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(written_behind, "PAUSES", (0.01,))
    monkeypatch.setattr(study_db, "PATIENCE", 10**9)
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        with opened(path) as dashboard:
            dashboard.set_user_attr("note", "written by a person")
        inode = path.stat().st_ino
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM trials").fetchone()
        study.apply(lab.ended(6, values=(0.3,)))
        if new_trial:
            study.apply(TrialCreated(9, "2024-01-01T00:00:00+00:00", params=dict(study.trials[0].params)))
        writer.update([study.trials[number] for number in (6, 9) if number in study.trials])  # returns at once
        assert until(lambda: writer._failures >= 3) and not writer.flush(0.0)
        reader.execute("COMMIT")
        reader.close()
        assert writer.flush(LIMIT)
        assert writer.warnings == [] and path.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["study.db"], "nothing was set aside"
    assert_equal(path, study)
    with opened(path) as dashboard:
        assert dashboard.user_attrs["note"] == "written by a person"


def test_a_file_that_stays_locked_is_told_about_once(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outlast.optimizer.index import study_db, written_behind

    monkeypatch.setattr(study_db, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(written_behind, "PAUSES", (0.01,))
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        writer.update([study.trials[6]], {6: {0: 1.0}})
        assert until(lambda: writer.warnings) and not writer.flush(0.0)
        holder.execute("ROLLBACK")
        holder.close()
        assert writer.flush(LIMIT)
        assert [warning for warning in writer.warnings if "held by another program" in warning] == writer.warnings
        assert len(writer.warnings) == 1


def test_a_folder_that_cannot_be_written_is_told_about_and_tried_again(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outlast.optimizer.index import written_behind

    monkeypatch.setattr(written_behind, "PAUSES", (0.01,))
    folder = tmp_path / "not yet"
    with writing(folder / "study.db", lab, study) as writer:
        assert until(lambda: writer.warnings) and not writer.flush(0.0)
        folder.mkdir()
        assert writer.flush(LIMIT)
        assert all("safe in the ledger" in warning for warning in writer.warnings)
    assert_equal(folder / "study.db", study)


def test_a_reader_that_stays_open_sees_new_rows_and_survives_a_rebuild(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        with opened(path) as dashboard:
            assert len(dashboard.trials) == 9
            study.apply(TrialCreated(9, "2024-01-01T00:00:00+00:00", params=dict(study.trials[0].params)))
            writer.update([study.trials[9]])
            assert writer.flush(LIMIT)
            assert [row.number for row in dashboard.trials] == list(range(10))
            rebuild_index(path, study, lab.settings())
            assert len(dashboard.trials) == 10  # of the old file, or of the new one
            with contextlib.suppress(optuna.exceptions.StorageInternalError):
                dashboard.set_user_attr("note", "written by a dashboard that did not notice")
            assert not [name for name in os.listdir(tmp_path) if name.startswith("study.db-")]
        writer.update([study.trials[6]], {6: {0: 1.0}})
        assert writer.flush(LIMIT)
    assert check_index(path, study, lab.settings()) == []
    assert_equal(path, study)


def test_a_configuration_that_a_user_enqueued_becomes_a_trial_in_its_own_row(
    lab: Any, study: Study, tmp_path: Path
) -> None:
    path = tmp_path / "study.db"
    optimizer = Optimizer(lab.settings(sampler="random"), study)
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        with opened(path) as user:
            user.enqueue_trial({"lr": 1e-3, "model": "mlp"}, user_attrs={"why": "a hunch"})
            (row,) = until(writer.take_foreign)
            assert row.waiting and row.params == {"lr": 1e-3, "model": "mlp"}
            # Meanwhile the ledger gave the row's number to another trial.
            for number, draw in (
                (9, optimizer.ask(9)),
                (10, claimed(optimizer.ask(10, fixed=row.params), row)),
            ):
                event = lab.created(draw, number)
                study.apply(event)
                optimizer.apply(event)
            writer.update([study.trials[9], study.trials[10]])
            assert writer.flush(LIMIT)
            rows = user.trials
            assert [r.number for r in rows] == list(range(11))
            assert rows[10].state is Row.RUNNING and rows[10].params["lr"] == 1e-3
            assert rows[10].user_attrs["why"] == "a hunch" and rows[10]._trial_id == row.trial_id
    assert study.trials[10].source == "foreign"
    assert not writer.warnings and foreign_rows(path) == []
    assert check_index(path, study, lab.settings()) == []
    with writing(path, lab, study) as restarted:
        assert restarted.flush(LIMIT) and restarted.take_foreign() == []


def test_a_row_taken_in_before_a_kill_is_not_taken_in_again(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    with opened(path) as user:
        user.enqueue_trial({"lr": 1e-3})
    (row,) = foreign_rows(path)
    draw = claimed(Optimizer(lab.settings(), study).ask(9, fixed=row.params), row)
    study.apply(lab.created(draw, 9))  # durable; killed before the index was written
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        assert writer.take_foreign() == []
    assert_equal(path, study)


def test_a_row_that_was_read_is_the_one_that_was_written_whatever_it_was_made_from(lab: Any, study: Study) -> None:
    study.apply(lab.created(replace(Optimizer(lab.settings(), study).ask(9), system_attrs={CLAIM: "here:7"}), 9))
    row = RowMaker(lab.settings()).row(study.trials[9])
    assert row.claim == "here:7" and row == replace(row, claim=None) and row != replace(row, state="FAIL")


def test_an_enqueued_row_outlives_a_rebuild(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    with opened(path) as user:
        user.enqueue_trial({"lr": 1e-3}, user_attrs={"why": "a hunch"})
    rebuild_index(path, study, lab.settings())
    (row,) = foreign_rows(path)
    assert (row.params, row.user_attrs, row.number) == ({"lr": 1e-3}, {"why": "a hunch"}, 9)
    with opened(path) as user:
        assert user.trials[9].state is Row.WAITING


def test_an_enqueued_row_that_does_not_fit_is_marked_with_the_reason(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        with opened(path) as user:
            user.enqueue_trial({"lr": 9.0})
            (row,) = until(writer.take_foreign)
            writer.refuse(row, "lr: 9.0 is not from 1e-05 to 0.1")
            assert writer.flush(LIMIT)
            assert user.trials[9].state is Row.FAIL and "1e-05" in user.trials[9].user_attrs["reason"]
        assert writer.take_foreign() == []


def test_other_foreign_rows_are_told_about_and_get_out_of_the_way(lab: Any, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        with opened(path) as user:
            user.add_trial(optuna.trial.create_trial(value=1.0))
        study.apply(TrialCreated(9, "2024-01-01T00:00:00+00:00", params=dict(study.trials[0].params)))
        writer.update([study.trials[9]])
        assert writer.flush(LIMIT)
    assert any("did not write" in warning for warning in writer.warnings)
    with opened(path) as optuna_study:
        assert [(row.number, row.state.name) for row in optuna_study.trials[9:]] == [(9, "RUNNING"), (10, "COMPLETE")]
    assert check_index(path, study, lab.settings()) == []


def test_a_schema_that_is_not_known_here_is_written_by_optuna_itself(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outlast.optimizer.index import index_build, index_check, study_db

    for module in (study_db, index_build, index_check):
        monkeypatch.setattr(module, "KNOWN_HEADS", frozenset())
    path = tmp_path / "study.db"
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        study.apply(lab.ended(6, values=(0.3,)))
        writer.update([study.trials[6]])
        assert writer.flush(LIMIT)
        assert not writer.warnings
    assert_equal(path, study)
    assert check_index(path, study, lab.settings()) == []
    assert os.listdir(tmp_path) == ["study.db"]


def test_a_writer_that_lost_the_study_does_not_write_to_its_successors_index(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that was paused wakes up after another one took over and built the index anew."""
    from outlast.optimizer.index import index_build, study_db

    path = tmp_path / "study.db"
    with writing(path, lab, study) as paused:
        assert paused.flush(LIMIT)
        study.apply(lab.ended(6, values=(0.3,)))
        for module in (
            study_db,
            index_build,
        ):  # two sets: what builds it is another process than what looks, at any moment
            monkeypatch.setattr(module, "BUILT_HERE", set())
        rebuild_index(path, study, lab.settings())
        study.trials[0].values = (0.1,)
        paused.update([study.trials[0]])
        assert not paused.flush(LIMIT)
        assert "replaced by another program" in paused.warnings[0]
    study.trials[0].values = (0.75,)
    assert check_index(path, study, lab.settings()) == []


@pytest.mark.parametrize("breakage", ["emptied trials", "emptied notes", "lost rows", "renumbered", "another value"])
def test_a_writer_that_starts_on_a_broken_index_mends_it_by_itself(
    lab: Any, study: Study, tmp_path: Path, breakage: str
) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    BREAKAGES[breakage](path)
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
    assert check_index(path, study, lab.settings()) == []


def test_a_broken_index_is_built_anew_before_the_end_also_where_that_takes_long(
    lab: Any, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished study that is run again has nothing to do but that."""
    path, building, in_vain = tmp_path / "study.db", threading.Event(), threading.Event()
    path.write_bytes(b"no database" * 999)

    def slowly(*args: Any, **kwargs: Any) -> Any:
        building.set()
        in_vain.wait(LIMIT)
        return build_index(*args, **kwargs)

    class Waiting(IndexWriter):
        def flush(self, timeout: float) -> bool:
            done = super().flush(timeout)
            in_vain.set()
            return done

    monkeypatch.setattr("outlast.optimizer.index.study_db.build_index", slowly)
    writer = Waiting(path, lab.settings())
    writer.update(study.trials.values())
    writer.start()
    assert building.wait(LIMIT)
    assert writer.close(timeout=1.0)
    assert check_index(path, study, lab.settings()) == []


def test_rows_of_trials_that_the_ledger_does_not_have_are_gone_after_a_start(
    lab: Any, study: Study, tmp_path: Path
) -> None:
    path = tmp_path / "study.db"
    rebuild_index(path, study, lab.settings())
    del study.trials[8]  # a decision of a holder that was fenced off
    assert "trial 8" in check_index(path, study, lab.settings())[0]
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
    assert_equal(path, study)


@pytest.mark.parametrize("goals", [("minimize",), ("minimize", "maximize")])
def test_what_is_optimised_is_restated_when_the_study_file_changes_it(
    lab: Any, study: Study, tmp_path: Path, goals: tuple[str, ...]
) -> None:
    path, changed = tmp_path / "study.db", lab.settings(goals=goals)
    named = replace(changed, metrics=tuple(replace(m, name=f"new{i}") for i, m in enumerate(changed.metrics)))
    with writing(path, lab, study) as writer:
        assert writer.flush(LIMIT)
        inode = path.stat().st_ino
    writer = IndexWriter(path, named, interval=0.01, poll=0.02)
    writer.update(study.trials.values())
    writer.start()
    assert writer.close(LIMIT) and not writer.warnings
    assert check_index(path, study, named) == [] and path.stat().st_ino == inode
    with opened(path) as dashboard:
        assert [direction.name.lower() for direction in dashboard.directions] == list(goals)
        assert dashboard.metric_names == [metric.name for metric in named.metrics]
