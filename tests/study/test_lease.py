from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from outlast._system.processes import my_identity
from outlast.errors import LeaseLost, StudyBusy
from outlast.study.lease import Lease, current_holder, holder_is_live, rebooted_since
from outlast.study.ledger import Ledger

_DIE_HOLDING = """
import os, sys
from pathlib import Path
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
root = Path(sys.argv[1])
lease = Lease(root / "lease")
lease.acquire()
Ledger.claim(root / "ledger")
os._exit(9)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "study"


def _held_by_a_dead_process(root: Path) -> None:
    subprocess.run([sys.executable, "-c", _DIE_HOLDING, str(root)], check=False, timeout=60)
    assert (root / "lease").stat().st_size > 0


def test_a_live_holder_is_named_with_what_to_do_instead(root: Path) -> None:
    lease = Lease(root / "lease")
    lease.acquire()
    Ledger.claim(root / "ledger")[0].close()
    with pytest.raises(StudyBusy) as busy:
        Lease(root / "lease").acquire()
    said = str(busy.value)
    assert f"pid {os.getpid()}" in said
    assert all(command in said for command in ("outlast status -w", "outlast worker", "outlast stop"))
    lease.release()
    Lease(root / "lease").acquire()


def test_a_dead_holder_is_superseded_at_once(root: Path) -> None:
    _held_by_a_dead_process(root)
    assert holder_is_live(root / "ledger") is False
    began = time.monotonic()
    Lease(root / "lease").acquire()
    assert time.monotonic() - began < 20


def test_an_empty_marker_of_a_process_that_died_while_writing_it_does_not_block_for_good(root: Path) -> None:
    root.mkdir()
    (root / "lease").touch()
    Lease(root / "lease").acquire()


def test_a_marker_that_came_with_a_copied_folder_does_not_count(root: Path) -> None:
    lease = Lease(root / "lease")
    lease.acquire()
    Ledger.claim(root / "ledger")[0].close()
    copy = root.with_name("copy")
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    assert holder_is_live(root / "ledger") is True
    assert holder_is_live(copy / "ledger") is False
    Lease(copy / "lease").acquire()


def test_a_renamed_folder_is_still_the_same_study(root: Path) -> None:
    lease = Lease(root / "lease")
    lease.acquire()
    Ledger.claim(root / "ledger")[0].close()
    moved = root.rename(root.with_name("moved"))
    assert holder_is_live(moved / "ledger") is True


def test_nobody_holds_a_study_without_segments(root: Path) -> None:
    assert current_holder(root / "ledger") == {}
    assert holder_is_live(root / "ledger") is False


def test_a_holder_of_an_earlier_boot_may_have_lost_what_it_did_not_sync(root: Path) -> None:
    me = my_identity().to_json()
    assert not rebooted_since(me)
    assert rebooted_since({**me, "boot": "another"})
    assert not rebooted_since({**me, "boot": "another", "host": "elsewhere"})
    assert not rebooted_since({})


def test_a_segment_without_a_readable_header_has_no_holder(root: Path) -> None:
    (root / "ledger").mkdir(parents=True)
    (root / "ledger" / "00000001.jsonl").write_text(json.dumps([1]) + "\n")
    assert current_holder(root / "ledger") == {}


def _marker_of_a_live_holder(place: Path) -> bytes:
    lease = Lease(place / "lease")
    lease.acquire()
    return (place / "lease").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"\x00\xff\xfe no marker", b"{}", b"garbage\n" * 40])
def test_a_marker_that_nobody_can_read_does_not_block_where_the_last_holder_is_dead(damage: bytes, root: Path) -> None:
    _held_by_a_dead_process(root)
    (root / "lease").write_bytes(damage)
    began = time.monotonic()
    Lease(root / "lease").acquire()
    assert time.monotonic() - began < 20


def test_a_marker_that_nobody_can_read_is_left_to_a_holder_that_lives(root: Path) -> None:
    lease = Lease(root / "lease")
    lease.acquire()
    Ledger.claim(root / "ledger")[0].close()
    (root / "lease").write_bytes(b"garbage")
    with pytest.raises(StudyBusy):
        Lease(root / "lease").acquire()
    assert (root / "lease").read_bytes() == b"garbage"


@pytest.mark.parametrize("begun", [b"", b"garb"])
def test_a_marker_that_is_being_written_at_the_first_look_is_its_writers(
    begun: bytes, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _marker_of_a_live_holder(tmp_path / "other")
    root.mkdir()
    (root / "lease").write_bytes(begun)

    def meanwhile(_seconds: float) -> None:
        monkeypatch.undo()
        (root / "lease").write_bytes(whole)

    monkeypatch.setattr("outlast.study.lease.time.sleep", meanwhile)
    with pytest.raises(StudyBusy):
        Lease(root / "lease").acquire()
    assert (root / "lease").read_bytes() == whole


def test_a_marker_that_somebody_replaced_after_it_was_judged_is_given_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look, at what was taken away: another contender may have been quicker."""
    whole = _marker_of_a_live_holder(tmp_path / "other")
    root.mkdir()
    (root / "lease").write_bytes(b"garbage")
    rename = os.rename

    def replaced_before(source: object, target: object) -> None:
        if ".break." in str(target):
            monkeypatch.undo()
            (root / "lease").unlink()
            (root / "lease").write_bytes(whole)
        rename(str(source), str(target))

    monkeypatch.setattr(os, "rename", replaced_before)
    with pytest.raises(StudyBusy):
        Lease(root / "lease").acquire()
    assert (root / "lease").read_bytes() == whole
    assert list(root.glob("lease.break.*")) == []


def test_a_silent_holder_on_another_host_is_superseded_only_if_it_stays_as_it_was_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(root / "lease")
    lease.acquire()
    header = {"holder": {**my_identity().to_json(), "host": "elsewhere"}}
    (root / "ledger").mkdir()
    (root / "ledger" / "00000001.jsonl").write_text(json.dumps(header) + "\n")
    marker = (root / "lease").read_text().replace(f"host={my_identity().host}", "host=elsewhere")
    (root / "lease").write_text(marker)
    now = [1000.0]
    monkeypatch.setattr("outlast.study.lease.time.monotonic", lambda: now[0])
    other = Lease(root / "lease")
    assert not other.take_if_free()
    now[0] += 100.0
    os.utime(root / "lease")  # a heartbeat
    assert not other.take_if_free()
    now[0] += 29.0
    assert not other.take_if_free()
    now[0] += 2.0
    assert other.take_if_free()


def test_who_lost_the_lease_before_its_claim_claims_nothing(root: Path) -> None:
    stopped, other = Lease(root / "lease"), Lease(root / "lease")
    stopped.acquire()
    stopped.check()
    os.rename(root / "lease", root / "broken")  # as whoever found it silent
    with pytest.raises(LeaseLost):
        stopped.check()
    other.acquire()
    Ledger.claim(root / "ledger", fence=other.check)
    with pytest.raises(LeaseLost):
        Ledger.claim(root / "ledger", fence=stopped.check)
    assert current_holder(root / "ledger") and not (root / "ledger/00000002.jsonl").exists()


def test_a_marker_that_is_put_back_at_once_was_never_lost(root: Path) -> None:
    lease = Lease(root / "lease")
    lease.acquire()
    os.rename(root / "lease", root / "aside")  # as whoever judged the one before it
    back = threading.Timer(0.02, os.rename, (root / "aside", root / "lease"))
    back.start()
    lease.check()
    back.join()
