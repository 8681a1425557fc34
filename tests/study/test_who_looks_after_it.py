"""The record of who looks after a study: where it lies, and what whoever may not lock it reads of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outlast._system.processes import my_identity
from outlast.cli.invocation import Invocation
from outlast.cli.running.run_meant import has_come_to_rest
from outlast.cli.targets.campaign_command import words_on_record
from outlast.study.home import tie
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Charge, Post, Supervision, live_supervision, read_supervision

NOBODY = 65534


def test_who_may_only_read_the_record_sees_that_somebody_looks_after_it() -> None:
    folder = tempfile.mkdtemp()  # another user can reach it
    record = Path(folder) / "supervisor.json"
    try:
        os.chmod(folder, 0o755)
        with closing(Post(record)) as post:
            assert post.take()
            post.write((Charge("a", folder),))
            os.chmod(record, 0o444)
            if os.geteuid() == 0:
                os.seteuid(NOBODY)
            try:
                found = live_supervision(record)
            finally:
                os.seteuid(os.getuid())
        assert found is not None and found.process.pid == os.getpid()
    finally:
        shutil.rmtree(folder)


def test_the_record_names_the_parts_of_a_process_and_is_read_back(tmp_path: Path) -> None:
    me = my_identity()
    charges = (Charge("a", "/a", "running", process=me, restarts=2), Charge("b", "/b"))
    with closing(Post(tmp_path / "supervisor.json")) as post:
        assert post.take()
        post.write(charges)
        record = json.loads(post.path.read_bytes())
        assert record["process"] == record["charges"][0]["process"] == me.to_json()
        assert read_supervision(post.path) == Supervision(me, post.since, charges)


@pytest.mark.parametrize("record", ["[]", "{}", '{"process": {"pid": 1}}', '{"process": 1, "since": "", "charges": 2}'])
def test_what_is_no_record_says_nothing(tmp_path: Path, record: str) -> None:
    (tmp_path / "supervisor.json").write_text(record)
    assert read_supervision(tmp_path / "supervisor.json") is None


def test_with_a_live_folder_elsewhere_a_refusal_is_known_there(tmp_path: Path) -> None:
    home, live = StudyPaths.at(tmp_path / "home"), StudyPaths.at(tmp_path / "live")
    tie(home, live)
    search: Any = SimpleNamespace(campaign=None, folder=str(home.root), settings=SimpleNamespace(name="a"))
    assert not has_come_to_rest(search)
    with closing(Post(live.supervisor)) as post:
        assert post.take()
        post.write((Charge("a", str(live.root), "refused", code=2),))
    assert has_come_to_rest(search)


@pytest.mark.parametrize("once", ["--unless-over", "--detach", "--fresh"])
def test_what_is_about_one_run_is_no_part_of_the_command_on_record(once: str) -> None:
    assert words_on_record(Invocation(["run", "a.yaml", once, "--trials", "5"])) == ("run", "a.yaml", "--trials", "5")
