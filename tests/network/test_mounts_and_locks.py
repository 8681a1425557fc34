"""What is known of filesystems that hosts share, and the locks that lie elsewhere because of it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.hosts import Share
from outlast._system.files import write_once
from outlast._system.locks import FileLock, clear_locks, is_locked
from outlast._system.mounts import is_shared
from outlast._system.processes import lock_holders
from outlast._system.reading import read_bytes, unstale
from outlast.errors import StorageError

_TABLE = r"""21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 21 0:40 / /home rw shared:3 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/me/local rw - tmpfs tmpfs rw
32 21 0:42 / /scratch\040space rw - lustre mds@tcp:/scratch rw
33 21 0:43 / /drive rw - fuse.rclone drive: rw
34 21 0:44 / /ntfs rw - fuseblk /dev/sdb1 rw
35 21 0:45 / /over rw - nfs server:/x rw
36 35 0:46 / /over rw - xfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("/home/me/study", True), ("/home", True), ("/homework", False), ("/home/me/local/x", False), ("/scratch space/a", True),
        ("/drive/x", True), ("/ntfs/x", False), ("/over/x", False), ("/tmp/x", False),
    ],
)  # fmt: skip
def test_the_mount_that_a_path_lies_on_tells_whether_it_is_shared(tmp_path: Path, path: str, shared: bool) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(_TABLE)
    assert is_shared(path, str(table)) is shared
    assert is_shared(path, str(tmp_path / "none")) is False


def test_this_folder_is_local_and_the_mount_of_a_host_is_not(share: Share) -> None:
    assert not is_shared(share.folder)
    told = share.host("a").python(
        "import sys; from outlast._system.mounts import is_shared; print(is_shared(sys.argv[1] + '/new/er'))",
        str(share.folder),
    )
    assert told.strip() == "True"


@pytest.fixture
def shared_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file on what is taken for a network filesystem."""
    monkeypatch.setattr("outlast._system.locks.is_shared", lambda path: True)
    monkeypatch.setenv("OUTLAST_LOCK_DIR", str(tmp_path / "locks"))
    file = tmp_path / "alive"
    file.touch()
    return file


def test_the_lock_of_a_shared_file_is_the_hosts_own_and_lasts_as_long_as_an_inheritor(shared_file: Path) -> None:
    lock = FileLock(str(shared_file))
    assert lock.shared
    assert lock.acquire()
    training = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.fd], start_new_session=True
    )
    lock.close()
    assert is_locked(str(shared_file)) is True
    assert lock_holders(str(shared_file)) == [training.pid]
    clear_locks()
    assert is_locked(str(shared_file)) is True
    training.communicate()
    assert is_locked(str(shared_file)) is False
    assert os.listdir(shared_file.parent / "locks") == []


def test_locks_whose_holders_were_killed_are_cleared_away(shared_file: Path) -> None:
    lock = FileLock(str(shared_file))
    assert lock.acquire()
    lock.close()
    assert len(os.listdir(shared_file.parent / "locks")) == 1
    clear_locks()
    assert os.listdir(shared_file.parent / "locks") == []


def test_a_lock_that_is_cleared_away_while_it_is_taken_is_made_anew(shared_file: Path) -> None:
    lock, other = FileLock(str(shared_file)), FileLock(str(shared_file))
    clear_locks()
    assert lock.acquire()
    assert not other.acquire() or not os.path.samestat(os.fstat(lock.fd), os.fstat(other.fd))
    again = FileLock(str(shared_file))
    assert not again.acquire()
    for each in (lock, other, again):
        each.close()


def test_a_lock_that_is_only_looked_at_is_free(shared_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FileLock(str(shared_file))
    looking = os.open(lock.path, os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_EX)  # as `clear_locks` does for a moment
    monkeypatch.setattr("outlast._system.locks.time.sleep", lambda seconds: fcntl.flock(looking, fcntl.LOCK_UN))
    assert lock.acquire()
    os.close(looking)
    lock.close()


def test_a_folder_for_locks_that_belongs_to_somebody_else_is_refused(
    shared_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="OUTLAST_LOCK_DIR"):
        FileLock(str(shared_file))


def test_a_link_whose_reply_was_lost_is_known_to_be_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_and_lose_the_reply(source: str, target: str) -> None:
        link(source, target)
        link(source, target)  # the client sends it again: it exists by now

    monkeypatch.setattr("os.link", link_and_lose_the_reply)
    assert write_once(tmp_path / "claim", "mine")
    assert not write_once(tmp_path / "claim", "theirs")
    assert (tmp_path / "claim").read_text() == "mine"


def test_a_stale_handle_is_tried_again_and_in_the_end_said_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    left = [3]

    def read() -> str:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "there")
        return "read"

    assert unstale(read) == "read"
    left[0] = 1000
    with pytest.raises(OSError, match="Stale") as stale:
        unstale(read)
    assert "network filesystem no longer knows it" in str(StorageError.of(stale.value))
    assert left[0] > 900


def test_an_attempt_on_a_share_is_claimed_and_over_for_hosts_that_see_no_new_files(share: Share) -> None:
    """Its claim and its evidence are in the file with the heartbeat, which is there from the start."""
    share.be(late=60)
    told = share.host("b").start_python(_INSPECT, str(share.folder))
    folder = share.folder / "trials" / "0000" / "attempts" / "1"
    folder.mkdir(parents=True)
    (folder / "alive").touch()
    assert told.stdin is not None
    assert told.stdout is not None

    def look() -> str:
        told.stdin.write("\n")  # type: ignore[union-attr]
        told.stdin.flush()  # type: ignore[union-attr]
        return told.stdout.readline().strip()  # type: ignore[union-attr]

    assert look() == "unclaimed"
    share.host("a").python(_RUN, str(share.folder))
    assert read_bytes(folder / "exit.json") is not None
    assert look() == "over 7"
    told.communicate()


_INSPECT = """
import sys
from pathlib import Path
from outlast.study.attempts import inspect
from outlast.core.file_names import AttemptPaths
for _ in sys.stdin:
    status = inspect(AttemptPaths(Path(sys.argv[1], "trials/0000/attempts/1")))
    print(status.life.value, *([status.evidence.exit_code] if status.evidence else []))
"""

_RUN = """
import sys
from pathlib import Path
from outlast.runner.main import main
from outlast.runner.spec import RunnerSpec
root = Path(sys.argv[1])
for name in ("open", "ledger"):
    (root / name).mkdir()
(root / "trials/0000/attempts/1/reports.jsonl").touch()
spec = RunnerSpec(trial=0, attempt=1, argv=("sh", "-c", "exit 7"), cwd=str(root), trial_dir="trials/0000",
                  attempt_dir="trials/0000/attempts/1", checkpoint_dir="trials/0000/checkpoints", objectives=())
(root / "open/0000.1").write_text(spec.to_json())
main([str(root / "open/0000.1")])
"""
