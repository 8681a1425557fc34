"""What is kept of a study at rest says what a look says, and is nothing once anything has changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    RevisionMade,
    RunStarted,
    StudyCreated,
    StudyEnded,
    TrialCreated,
    TrialRetried,
)  # fmt: skip
from outlast.core.states import Cause, TrialState
from outlast.engine.record.at_a_glance import glance_at, keep_what_it_looks_like, seen_at_once
from outlast.engine.record.look import look
from outlast.engine.record.look_many import ManyLooker
from outlast.errors import LedgerDamaged
from outlast.monitor.snapshot import SupervisorFacts
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger

AT = "2026-01-05T10:00:0%d.000+00:00"
FILE = """\
name: small
command: ["true", "${args}"]
metric: {name: score, goal: maximize}
parameters: {x: {min: 0.0, max: 1.0}}
budget: {trials: 4}
"""


def events(
    *, value: float = 0.5, end: bool = True, running: bool = False, at: str = AT % 4, reason: str = "stopped by hand"
):
    Path("small.yaml").write_text(FILE)
    settings = load_study_file("small.yaml").resolved
    yield from (StudyCreated("small", AT % 0, 1), RevisionMade(1, AT % 0, settings), RunStarted(AT % 0, "box", 1))
    for number in range(4):
        failed = number == 3
        yield TrialCreated(number, AT % 1, {"x": number / 4})
        yield AttemptOpened(number, 1, AT % 1)
        yield AttemptEnded(
            number, 1, AT % 2, TrialState.FAILED if failed else TrialState.COMPLETE,
            Cause.CRASH if failed else Cause.COMPLETED, "ValueError: a shape" if failed else "",
            None if failed else (value,), seconds=1.0, signature="x" if failed else "",
        )  # fmt: skip
    if running:
        yield from (TrialCreated(4, AT % 3, {"x": 0.9}), AttemptOpened(4, 1, AT % 3))
    if end:
        yield StudyEnded(at, "stopped", reason, 4.0)


@pytest.fixture
def lay(tmp_path, monkeypatch):
    """Lay a study out and keep a glance of it. Returns its files."""
    monkeypatch.chdir(tmp_path)

    def lay_out(**how) -> StudyPaths:
        paths = StudyPaths.at("studies/small")
        Ledger.write_anew(paths.ledger, 1, list(events(**how)), "for a test")
        for number in range(4):
            os.makedirs(paths.trials / f"{number:04d}")
        keep_what_it_looks_like(paths)
        return paths

    return lay_out


def seen(*, only_numbers: bool):
    found = ManyLooker("studies", only_numbers=only_numbers).look().to_json()
    del found["at"]
    for study in found["studies"]:
        study.pop("at", None)  # one that cannot be read says none
    return found


def test_it_says_what_a_look_says(lay):
    lay()
    assert glance_at("studies/small") is not None
    assert seen(only_numbers=True) == seen(only_numbers=False)
    assert seen(only_numbers=True)["counts"]["complete"] == 3


def test_it_names_the_folder_as_a_person_types_it(lay):
    lay()
    os.chdir("studies")
    found = glance_at("./small")
    assert found is not None
    assert found.next_command == "outlast run ./small"
    assert "\x01" not in json.dumps(found.to_json())


@pytest.mark.parametrize("how", [{"end": False}, {"running": True}, {"at": AT.replace("2026", "2999") % 4}])
def test_what_may_look_different_at_the_next_look_is_not_kept(how, lay):
    assert not lay(**how).glance.exists()


def test_what_json_lacks_keeps_nobody_from_ending_a_run(lay):
    assert not lay(reason="half a pair: \ud800").glance.exists()
    assert "half a pair" in seen(only_numbers=True)["studies"][0]["reason"]


def test_a_study_that_cannot_be_read_is_a_line_that_says_why(lay):
    trials = lay().trials
    shutil.rmtree(trials)
    trials.symlink_to(trials)  # the superuser may read everything else
    (sight,) = ManyLooker("studies").look().sights
    assert sight.state == "unreadable" and "Too many levels of symbolic links" in sight.error


def append(paths):
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append([TrialRetried(3, AT % 5)])
    ledger.close()


def same_length(paths):
    file = next(paths.ledger.glob("*.jsonl"))
    data = file.read_bytes()
    file.write_bytes(data.replace(b"0.5", b"0.7"))
    os.utime(file, ns=(1, 1))


def flip(at):
    def harm(paths):
        data = bytearray(paths.glance.read_bytes())
        data[at % len(data)] ^= 1
        paths.glance.write_bytes(data)

    return harm


HARMS = {
    "a decision": append,
    "a change of the same length": same_length,
    "a trial's folder came": lambda paths: os.mkdir(paths.trials / "0004"),
    "a trial's folder went": lambda paths: os.rmdir(paths.trials / "0003"),
    "a repair was interrupted": lambda paths: paths.new_ledger.mkdir(),
    "emptied": lambda paths: paths.glance.write_bytes(b""),
    "cut": lambda paths: paths.glance.write_bytes(paths.glance.read_bytes()[:-20]),
    "its head": flip(0),
    "its middle": flip(300),
    "its end": flip(-2),
    "a folder": lambda paths: (paths.glance.unlink(), paths.glance.mkdir()),
    "gone": lambda paths: paths.glance.unlink(),
    "the ledger is gone": lambda paths: next(paths.ledger.glob("*.jsonl")).unlink(),
}


@pytest.mark.parametrize("harm", HARMS)
def test_it_is_nothing_once_anything_has_changed(harm, lay):
    paths = lay()
    os.utime(paths.trials, ns=(1, 1))
    keep_what_it_looks_like(paths)
    assert glance_at("studies/small") is not None
    HARMS[harm](paths)
    assert glance_at("studies/small") is None
    assert seen(only_numbers=True) == seen(only_numbers=False)


def test_who_looks_at_one_study_has_every_byte_of_its_ledger_read(lay):
    file = next(lay().ledger.glob("*.jsonl"))
    assert seen_at_once("studies/small").to_json().keys() == look("studies/small")[0].to_json().keys()
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"0.5", b"0.7"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk has it that forgets
    assert glance_at("studies/small") is not None
    with pytest.raises(LedgerDamaged, match="line 2 is unreadable"):
        seen_at_once("studies/small")


def test_a_glance_names_who_supervises(lay, monkeypatch):
    lay()
    facts = SupervisorFacts("box", 7, AT % 0)
    for room in ("at_a_glance", "look"):
        monkeypatch.setattr(f"outlast.engine.record.{room}.supervisor_facts", lambda record: facts)
    assert seen_at_once("studies/small").supervisor == look("studies/small")[0].supervisor == facts


def test_another_version_of_outlast_looks_for_itself(lay, monkeypatch):
    lay()
    monkeypatch.setattr("outlast.monitor.at_rest.__version__", "0.0.0")
    assert glance_at("studies/small") is None


def test_a_folder_that_cannot_be_written_has_none(lay, monkeypatch):
    paths = lay()
    paths.glance.unlink()

    def refuse(*_, **__):
        raise OSError(30, "read-only")

    monkeypatch.setattr("outlast.study.glance.write_atomic", refuse)
    keep_what_it_looks_like(paths)
    assert not paths.glance.exists()
