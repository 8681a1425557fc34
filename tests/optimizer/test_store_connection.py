"""What is refused before anything is sent, what passes by itself, and a journal that is appended to wholly or not at all."""

from __future__ import annotations

import resource
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from outlast.config.store_address import StoreAddress, store_address
from outlast.errors import StorageError, UsageError
from outlast.optimizer.stores.moving import WholeStudy, _append
from outlast.optimizer.stores.store_connection import StoreRefused, connect, engine_of, require_known
from outlast.optimizer.stores.store_journal import append_entry, journal_backend
from outlast.optimizer.stores.store_probe import probe
from outlast.optimizer.stores.store_writer import _passes


def address_of(given: str | Path) -> StoreAddress:
    return store_address(str(given), environment={}, timeout=5)


@pytest.mark.parametrize("given", ["postgresql://me:hush@host:54x2/db", "postgresql://me:p@ss:word@host/db"])
def test_a_port_that_is_no_number_is_a_wrong_address_and_says_nothing_of_it(given: str) -> None:
    with pytest.raises(StoreRefused, match="is no address of a database") as error:
        engine_of(address_of(given))
    assert not any(part in str(error.value) for part in ("hush", "word@", "ss:"))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("v3.2.0.a", None), ("v2.6.0.a", "optuna storage upgrade"), ("v3.0.0.d", "optuna storage upgrade"),
        ("v9.1.0.a", "a later Outlast"), ("1975ea83b712", "not one of Optuna's"), (None, "not one of Optuna's"),
    ],
)  # fmt: skip
def test_tables_of_another_version_have_their_own_cure(head: str | None, says: str | None) -> None:
    try:
        require_known(head, address_of("some.db"))
    except StoreRefused as error:
        assert says is not None and says in f"{error.fact} {error.cure}"
    else:
        assert says is None


def failed(name: str, text: str, **said: Any) -> Exception:
    kind: type[Exception] = type(name, (Exception,), said)
    return kind(text)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("disk I/O error"), False),
        (failed("LockNotAvailable", "canceling statement", sqlstate="55P03"), True),
        (failed("DeadlockDetected", "deadlock", pgcode="40P01"), True),
        (failed("OperationalError", "FATAL: sorry, too many clients already"), True),
        (failed("DataCorrupted", "invalid page in block 5 of relation base/1", sqlstate="XX001"), False),
        (failed("OperationalError", "the clock is off"), False),
        (failed("IntegrityError", "UNIQUE"), True),
    ],
)
def test_only_what_passes_by_itself_is_waited_for(error: Exception, passes: bool) -> None:
    assert _passes(error) is passes


def test_an_entry_for_which_there_is_no_room_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    address = address_of(tmp_path / "some.log")
    backend: Any = journal_backend(address)
    append_entry(address, backend, lambda: [{"op_code": 3}])
    before = Path(address.file).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))  # as a disk that is full: half of it goes in
    try:
        with pytest.raises(OSError):
            append_entry(address, backend, lambda: [{"op_code": 3, "text": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Path(address.file).read_bytes() == before


def test_half_an_entry_of_somebodys_is_refused_by_a_look_too(tmp_path: Path) -> None:
    address = address_of(tmp_path / "some.log")
    Path(address.file).write_bytes(b'{"op_code": 0, "worker_id": "a", "study_na')
    backend: Any = journal_backend(address)
    for attempt in (lambda: append_entry(address, backend, list), lambda: probe(address, "digits", None)):
        with pytest.raises(StoreRefused, match="half an entry"):
            attempt()


def test_what_a_run_refuses_a_look_refuses(tmp_path: Path) -> None:
    address = address_of(tmp_path / "some.db")
    connect(address).close()
    assert probe(address, "digits", None).startswith("holds 0 other studies")
    with sqlite3.connect(address.file) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    before = Path(address.file).read_bytes()
    with pytest.raises(StoreRefused, match="tables of another Optuna"):
        probe(address, "digits", None)
    assert Path(address.file).read_bytes() == before
    (tmp_path / "text.db").write_bytes(b"something of somebody's" * 200)
    with pytest.raises(StorageError, match="not a database"):
        probe(address_of(tmp_path / "text.db"), "digits", None)


def test_a_name_that_was_taken_meanwhile_is_refused(tmp_path: Path) -> None:
    address, study = address_of(tmp_path / "some.log"), WholeStudy("one", ("MINIMIZE",), {}, {}, ())
    _append(address, [study])
    before = Path(address.file).read_bytes()
    with pytest.raises(UsageError, match="another study called one"):
        _append(address, [study])
    assert Path(address.file).read_bytes() == before
