"""Where a study that is submitted lies, and how much of it may be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outlast._system.quota import Quota, parse_quota, quota_of
from outlast.engine.cluster.shared_storage import quota_findings, storage_findings

LUSTRE = """\
/scratch/project_4711/some/long/name
                 1234*     20000   25000 6d23h59m       7       0       10       -
"""
NFS = """\
Disk quotas for user me (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
      /dev/sda1      10       0       0       0       1       0       0       0
   server:/home    2048    4096    8192       0     100       0     200       0
"""


@pytest.mark.parametrize(
    ("text", "device", "quota"),
    [
        (LUSTRE, None, Quota(1234 * 1024, 25000 * 1024, 7, 10)),
        (NFS, "server:/home", Quota(2048 * 1024, 8192 * 1024, 100, 200)),
        (NFS, "/dev/sda1", Quota(10 * 1024, None, 1, None)),
        (NFS, "elsewhere:/", None),
        ("Disk quotas for user me (uid 1000): none\n", None, None),
        ("", None, None),
    ],
)
def test_a_quota_is_read(text: str, device: str | None, quota: Quota | None) -> None:
    assert parse_quota(text, device) == quota


@pytest.mark.parametrize(
    ("quota", "level", "text"),
    [
        (Quota(2**30, 100 * 2**30, 5, 100_000), "ok", "1.0 of 100.0 GB and 5 of 100,000 files are used"),
        (Quota(95 * 2**30, 100 * 2**30, 5, None), "note", "95.0 of 100.0 GB are used: little is left"),
        (Quota(0, None, 99_900, 100_000), "note", "99,900 of 100,000 files are used: little is left; the study comes to 200"),
    ],
)  # fmt: skip
def test_a_quota_that_is_almost_used_up_is_a_note(quota: Quota, level: str, text: str) -> None:
    (found,) = quota_findings(quota, 200)
    assert (found.about, found.level) == ("quota", level) and found.text.startswith(text)


def test_no_quota_is_nothing_to_say() -> None:
    assert list(quota_findings(None, 200)) == list(quota_findings(Quota(1, None, 1, None), 200)) == []


def test_the_command_that_is_there_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lfs = tmp_path / "lfs"
    lfs.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\necho '/scratch 1 0 9 - 1 0 9 -'\n")
    lfs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert quota_of(str(tmp_path)) == Quota(1024, 9 * 1024, 1, 9)
    assert (tmp_path / "asked").read_text().split()[::4] == ["quota", str(tmp_path)]


def test_a_folder_that_looks_local_is_a_note_and_too_few_inodes_too(make, monkeypatch) -> None:
    settings = make(budget={"trials": 1000})
    monkeypatch.setattr("outlast.engine.cluster.shared_storage.quota_of", lambda place: None)
    assert [finding.about for finding in storage_findings(settings, "studies/s")] == ["shared folder"]
    few = os.statvfs_result((4096, 4096, 10**9, 10**9, 10**9, 10**6, 4000, 4000, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda place: few)
    monkeypatch.setattr("outlast.engine.cluster.shared_storage.is_shared", lambda place: True)
    shared, inodes = storage_findings(settings, "studies/s")
    assert shared.level == "ok" and inodes.level == "note"
    assert inodes.text == f"4,000 are free in {os.getcwd()}, and the study needs about 4,100"
