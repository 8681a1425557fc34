"""What `run --print-unit` prints is understood by systemd and cron, and does there what the command does here."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from lab.waiting import until
from outlast.core.fold import fold
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

_AWKWARD = 'env.A=5% of $HOME is "its" \\n'


def lines_of(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def test_a_unit_gives_trainings_their_grace_and_ends_with_the_search(here):
    unit = here("run", "study.yaml", "--fresh", "--set", "trial.grace=300s", "--print-unit", "systemd").out
    assert lines_of(unit, "WorkingDirectory") == [str(here.folder)]
    assert lines_of(unit, "KillMode") == ["process"]
    assert lines_of(unit, "TimeoutStopSec") == ["360"]
    assert lines_of(unit, "RestartPreventExitStatus") == ["0 2 3 4"]
    assert lines_of(unit, "ExecStart")[0].endswith('"run" "study.yaml" "--set" "trial.grace=300s" "--unless-over"')
    assert "loginctl enable-linger" in unit
    assert here.entries == {"train.py", "study.yaml"}


@pytest.mark.parametrize("kind", ["systemd", "cron"])
def test_begun_by_the_clock_it_meets_the_others_and_keeps_to_its_cards(here, monkeypatch, kind):
    given = {"CUDA_VISIBLE_DEVICES": "", "OUTLAST_GPU_LOCK_DIR": "/g", "OUTLAST_LOCK_DIR": "/l", "XDG_STATE_HOME": "/s"}
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    said = here("run", "study.yaml", "--print-unit", kind).out
    assert all(f"{name}={text}" in said for name, text in given.items())


@pytest.mark.parametrize("kind", ["systemd", "cron"])
@pytest.mark.parametrize("words", [("--index", "{}"), ("--set", "index={}"), ("--index={}",)], ids=str)
def test_no_unit_shows_a_password(here, words, kind):
    address = "postgresql://me:hush-hush@127.0.0.1:1/db"
    said = here("run", "study.yaml", *(word.format(address) for word in words), "--print-unit", kind)
    assert said.code == 2 and not said.out
    assert "hush" not in said.everything and "${NAME}" in said.everything
    named = [word.format("postgresql://me:${STORE_PASSWORD}@127.0.0.1:1/db") for word in words]
    assert "STORE_PASSWORD" in here("run", "study.yaml", *named, "--print-unit", kind).out


def test_what_cannot_be_read_is_no_unit(here):
    here.study(metric="")
    said = here("run", "study.yaml", "--print-unit", "cron")
    assert (said.code, said.out) == (2, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.slow
def test_systemd_understands_it_whatever_the_words_are(here, monkeypatch):
    awkward = here.folder / "a folder % $x"
    awkward.mkdir()
    for name in here.entries - {awkward.name}:
        shutil.copy(here.folder / name, awkward)
    monkeypatch.chdir(awkward)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(here.folder))
    unit = here("run", "study.yaml", "--set", _AWKWARD, "--print-unit", "systemd").out
    assert unit
    for name, text in (("outlast-small", unit), ("outlast-bad", unit.replace("KillMode=process", "KillMode=some"))):
        (awkward / f"{name}.service").write_text(text)
        argv = ["systemd-analyze", "verify", "--user", f"./{name}.service"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert ("outlast-bad.service" in said.stderr) == (name == "outlast-bad"), said
        assert "outlast-small.service" not in said.stderr, said


@pytest.mark.slow
def test_a_line_of_a_crontab_runs_it_in_an_empty_environment_and_is_harmless_afterwards(here):
    said = here("run", "study.yaml", "--set", _AWKWARD, "--print-unit", "cron").out
    line = said.splitlines()[-1]
    assert line.startswith("*/5 * * * * ")
    command = line.removeprefix("*/5 * * * * ").replace(r"\%", "%")  # as cron hands it on
    paths = StudyPaths.at(here.folder / "studies" / "small")
    for _ in range(2):
        argv = ["env", "-i", "/bin/sh", "-c", command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd="/")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        until(lambda: read_state(paths) == "done", "the search is done")
    events = read_ledger(paths.ledger).events
    assert sum(type(event).__name__ == "RunStarted" for event in events) == 1
    assert os.listdir(here.folder / "studies") == ["small"]


def read_state(paths: StudyPaths) -> str:
    ended = fold(read_ledger(paths.ledger).events).ended
    return "" if ended is None else ended.state
