"""Locks on shares of cards: nobody gets what another holds, and they end with their last holder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast._system import card_locks
from outlast._system.card_locks import UNITS, CardLock, Holder, holders, holders_of, make_lock_directory

HALF = UNITS // 2


@pytest.fixture
def folder(tmp_path: Path) -> str:
    made = str(tmp_path / "locks")
    make_lock_directory(made)
    return made


@pytest.fixture
def mask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def take(folder: str, units: int, card: str = "GPU-a") -> CardLock:
    lock = CardLock.take(folder, card, units)
    assert lock is not None
    return lock


def test_a_whole_card_is_given_once(folder: str) -> None:
    lock = take(folder, UNITS)
    assert CardLock.take(folder, "GPU-a", UNITS) is None
    assert CardLock.take(folder, "GPU-a", 1) is None
    lock.close()
    take(folder, UNITS).close()


def test_cards_do_not_know_each_other(folder: str) -> None:
    locks = [take(folder, UNITS, card) for card in ("GPU-a", "GPU-b", "MIG-a/0/1")]
    assert [lock.uuid for lock in locks] == ["GPU-a", "GPU-b", "MIG-a/0/1"]
    for lock in locks:
        lock.close()


def test_a_shared_card_is_not_given_whole_and_takes_as_many_as_fit(folder: str) -> None:
    half, quarter = take(folder, HALF), take(folder, HALF // 2)
    assert CardLock.take(folder, "GPU-a", UNITS) is None
    assert CardLock.take(folder, "GPU-a", HALF) is None
    other = take(folder, HALF // 2)
    assert holders_of(folder, "GPU-a") == [
        Holder(0, HALF, os.getpid()), Holder(HALF, HALF // 2, os.getpid()), Holder(3 * HALF // 2, HALF // 2, os.getpid()),
    ]  # fmt: skip
    assert [holder.start for holder in holders(half.fd)] == [HALF, 3 * HALF // 2]
    for lock in (half, quarter, other):
        lock.close()
    assert holders_of(folder, "GPU-a") == []


@given(st.lists(st.tuples(st.integers(1, UNITS), st.booleans()), max_size=12))
def test_shares_never_overlap(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]]) -> None:
    folder = str(tmp_path_factory.getbasetemp() / "shares")
    make_lock_directory(folder)
    held: list[CardLock] = []
    for units, release in steps:
        if release and held:
            held.pop(0).close()
        lock = CardLock.take(folder, "GPU-a", units)
        held += [lock] if lock is not None else []
        used = [unit for lock in held for unit in range(lock.start, lock.start + lock.units)]
        assert len(used) == len(set(used)) and max(used, default=0) < UNITS
        assert [(h.start, h.units) for h in holders_of(folder, "GPU-a")] == sorted((h.start, h.units) for h in held)
    for lock in held:
        lock.close()


def test_every_user_may_lock_and_nobody_may_remove(mask: None, folder: str) -> None:
    take(folder, UNITS).close()
    card = os.path.join(folder, "GPU-a.lock")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o1777
    assert stat.S_IMODE(os.stat(card).st_mode) == 0o1666
    assert os.listdir(folder) == ["GPU-a.lock"]


def test_a_link_in_place_of_a_lock_is_not_followed(folder: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    os.symlink(tmp_path / "precious", os.path.join(folder, "GPU-a.lock"))
    with pytest.raises(OSError, match="symbolic"):
        CardLock.take(folder, "GPU-a", UNITS)
    assert (tmp_path / "precious").read_text() == "as it was"


def test_a_removed_file_does_not_make_a_second_lock_on_the_old_one(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(folder, HALF).close()
    real, removed = card_locks._is_there, []

    def removed_in_between(fd: int, path: str) -> bool:
        if not removed:
            removed.append(path)
            os.unlink(path)
        return real(fd, path)

    monkeypatch.setattr(card_locks, "_is_there", removed_in_between)
    lock = take(folder, HALF)
    assert removed and os.fstat(lock.fd).st_ino == os.stat(removed[0]).st_ino
    lock.close()


HOLDER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[int(sys.argv[1])], start_new_session=True)
print(child.pid, flush=True)
input()
"""


@pytest.mark.slow
def test_a_lock_lives_as_long_as_any_process_that_inherited_it(folder: str) -> None:
    lock = take(folder, UNITS)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock.fd)],
        pass_fds=[lock.fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdin is not None
    child = int(holder.stdout.readline())
    lock.close()
    assert CardLock.take(folder, "GPU-a", 1) is None
    holder.kill()
    holder.wait()
    assert CardLock.take(folder, "GPU-a", 1) is None  # the child has it
    pidfd = os.pidfd_open(child)
    os.kill(child, signal.SIGKILL)
    os.close(pidfd)
    while CardLock.take(folder, "GPU-a", UNITS) is None:  # ends when the kernel has ended the child
        os.sched_yield()
    holder.stdin.close()
    holder.stdout.close()
