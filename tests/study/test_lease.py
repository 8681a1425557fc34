from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outlast._system import my_identity
from outlast.errors import StudyBusy
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
    assert time.monotonic() - began < 5


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
