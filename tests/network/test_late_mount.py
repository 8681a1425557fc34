"""The filesystem that the other tests stand on is as late, and as truthful, as it should be.

It is made in user space because the kernels that these tests meet have no NFS to mount (`/proc/filesystems` names neither nfs
nor nfs4, and there are no modules to load); /dev/fuse is there. Its caches are those of an NFS client at its worst.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from lab.hosts import Share

_LOOK = """
import os, sys
place = sys.argv[1]
for line in sys.stdin:
    what, _, name = line.strip().partition(" ")
    path = os.path.join(place, name)
    try:
        if what == "open":
            with open(path) as file:
                answer = file.read()
        elif what == "stat":
            answer = str(os.stat(path).st_size)
        elif what == "list":
            answer = ",".join(sorted(os.listdir(path)))
        elif what == "link":
            os.link(os.path.join(place, "there"), path)
            answer = "linked"
        elif what == "hold":
            held = open(path)
            answer = "held"
        elif what == "read":
            answer = held.read()
    except OSError as error:
        answer = type(error).__name__ if error.errno != 116 else "ESTALE"
    print(answer)
"""


class _Looker:
    def __init__(self, share: Share, name: str) -> None:
        self._process = share.host(name).start_python(_LOOK, str(share.folder))

    def __call__(self, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        self._process.communicate()


def test_a_new_file_is_late_for_whoever_looked_before_and_links_tell_the_truth(share: Share) -> None:
    share.be(late=60)
    (share.folder / "there").write_text("old")
    host = _Looker(share, "a")
    assert host("open new") == "FileNotFoundError"
    assert host("list .") == "there"
    (share.folder / "new").write_text("x")
    assert host("open new") == "FileNotFoundError"
    assert host("list .") == "there"
    assert host("link new") == "FileExistsError"
    (share.folder / "newer").write_text("y")
    assert host("open newer") == "y"
    share.let_pass(61)
    assert host("open new") == "x"
    assert host("list .") == "new,newer,there"
    host.close()


def test_opening_asks_the_server_and_stat_does_not(share: Share) -> None:
    share.be(late=60)
    (share.folder / "there").write_text("old")
    host = _Looker(share, "a")
    assert host("stat there") == "3"
    replaced = Path(share.folder / "beside")
    replaced.write_text("longer")
    os.replace(replaced, share.folder / "there")
    assert host("stat there") == "3"
    assert host("open there") == "longer"
    assert host("stat there") == "6"
    os.unlink(share.folder / "there")
    assert host("stat there") == "6"
    assert host("open there") == "FileNotFoundError"
    host.close()


def test_a_file_that_was_replaced_while_it_is_open_is_stale(share: Share) -> None:
    (share.folder / "there").write_text("old")
    host = _Looker(share, "a")
    assert host("hold there") == "held"
    (share.folder / "beside").write_text("new")
    os.replace(share.folder / "beside", share.folder / "there")
    assert host("read") == "ESTALE"
    assert host("open there") == "new"
    host.close()


def test_hosts_have_names_and_clocks_of_their_own(share: Share) -> None:
    tell = "import socket, time; print(socket.gethostname(), time.time() - time.monotonic())"
    offset = time.time() - time.monotonic()
    ours = share.host("a").python(tell).split()
    ahead = share.host("b", clock=90).python(tell).split()
    assert (ours[0], ahead[0]) == ("a", "b")
    assert abs(float(ours[1]) - offset) < 5
    assert abs(float(ahead[1]) - offset - 90) < 5, "and nobody's monotonic one is"
