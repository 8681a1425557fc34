"""Whoever finds that nobody tells of a study any more has it told from its record, once however many find so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab.recorded import record_study
from tests.lab.study import lines_of

from outlast.engine.telling.on_record import told_on_record
from outlast.study.campaign import Campaign, Member, keep_campaign, read_campaign
from outlast.testing.studies import StudyBuilder

TELL = "import sys; open('told.jsonl', 'a').write(sys.stdin.read())"


def recorded(folder: Path, notify: object) -> None:
    build = StudyBuilder()
    build.trial({"lr": 1}, values=0.5)
    file = {
        "name": "digits", "command": ["true"], "metric": {"name": "acc", "goal": "maximize"}, "parameters": {"lr": [1, 2]},
        "budget": {"trials": 1}, "notify": notify,
    }  # fmt: skip
    record_study(folder, file, build)


@pytest.mark.slow
def test_several_that_begin_at_once_tell_once_and_later_ones_nothing(tmp_path: Path) -> None:
    recorded(tmp_path / "digits", {"command": [sys.executable, "-c", TELL]})
    argv = [sys.executable, "-m", "outlast", "tell", "digits", "--once"]
    both = [subprocess.Popen(argv, cwd=tmp_path) for _ in range(2)]
    assert [each.wait(60) for each in both] == [0, 0]
    assert subprocess.run(argv, cwd=tmp_path, timeout=60, check=False).returncode == 0
    (told,) = lines_of(next(tmp_path.rglob("told.jsonl")))
    assert (told["event"], told["best"]["value"]) == ("ended", 0.5)


def test_whom_a_record_says_to_tell_has_no_secrets_and_its_variables(tmp_path: Path) -> None:
    recorded(tmp_path / "digits", {"urls": ["tgram://123:secret/1", "${NTFY}"], "what": ["end"]})
    notify, _, _ = told_on_record(str(tmp_path / "digits"))
    assert (notify.urls, notify.what) == (("tgram://***", "${NTFY}"), ("end",))


def test_a_campaigns_record_has_none_either(tmp_path: Path) -> None:
    folder = tmp_path / "both"
    command = ["tell", "--api-key", "secret1", "X-Auth: Bearer secret-secret"]
    given = {"urls": ["ntfy://secret", "${NTFY}"], "command": command}
    keep_campaign(folder, Campaign("both", (Member("a", "a"),), notify=given))
    found = read_campaign(folder)
    assert found is not None
    assert "secret" not in json.dumps(found.notify)
    notify, _, _ = told_on_record(str(folder))
    assert notify.urls == ("ntfy://***", "${NTFY}")


def test_where_nothing_can_be_read_nobody_is_told(tmp_path: Path) -> None:
    assert not told_on_record(str(tmp_path))[0]
