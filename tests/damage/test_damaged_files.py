"""Any file of a study folder is damaged in any way: every command has an answer, and after a repair the search goes on right."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path

import pytest

from lab import damages
from lab.damage import FOLDER, TARGET, Here
from outlast._system.mounts import lacking
from outlast.engine.care.repair import repair_study

_TRUTH = ("ledger/00000001.jsonl", "ledger/00000003.jsonl")
_READ = (
    "study.yaml",
    "study.db",
    "lease",
    "trials/0001/trial.json",
    "trials/0000/output.log",
)
_SIGNS = ("open/0000.1", "requests/1.stop.json", "lease.break.1.0a", "ledger/.reserve", "revisions/0001.yaml")
_DERIVED = ("trials.csv", "best_config.yaml")
_KNOWN = ("drawn", "folded", "glance", "behind")
_CASES = [
    *((name, damage) for name in (*_TRUTH, *_READ) for damage in damages.FILE_DAMAGES),
    *((name, damage) for name in _SIGNS for damage in (damages.turned_into_noise, damages.made_a_folder)),
    *((name, damage) for name in _DERIVED for damage in (damages.cut_in_half, damages.made_a_folder)),
    *((name, damages.made_a_folder) for name in _KNOWN),
]
_AND_RUN = (damages.turned_into_noise, damages.made_a_folder)


@pytest.mark.parametrize(("name", "damage"), _CASES, ids=lambda case: getattr(case, "__name__", case))
def test_it_is_answered_and_mended(name: str, damage: damages.Damage, here: Here) -> None:
    before = here.trials()
    damage(here.study / name)
    for words in (["status"], ["logs"], ["repair", "--check"]):
        here.clear(words[0], str(FOLDER), *words[1:])
    here.clear("repair", str(FOLDER))
    if damage in _AND_RUN:
        said = here.clear("run", "study.yaml", "--trials", str(TARGET))
        assert said.code == 0, said.text
    after = here.trials()
    assert {number: facts for number, facts in after.items() if number in before} == before
    assert damage not in _AND_RUN or sum(facts[0] == "complete" for facts in after.values()) == TARGET


@pytest.mark.parametrize("name", _READ)
def test_what_was_mended_stays_mended(name: str, here: Here) -> None:
    damages.made_a_folder(here.study / name)
    here.clear("repair", str(FOLDER))
    said = here.clear("repair", str(FOLDER), "--check")
    assert said.code == 0, said.text


def _other_digit(text: str) -> str:
    at = text.index('"seconds": ') + len('"seconds": ')
    return text[:at] + "9" + text[at:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("complete", "failed", 1),
        lambda text: text.replace('"x": 0.', '"x": 1.', 1),
        _other_digit,
        lambda text: text.replace('"events"', '"evants"'),
        lambda text: "[]",
    ],
    ids=["state", "parameter", "cost", "events", "no record"],
)
def test_a_record_that_says_something_else_than_the_ledger_is_noticed_and_written_anew(
    damage: object, here: Here
) -> None:
    record = here.study / "trials" / "0002" / "trial.json"
    whole = record.read_text()
    assert callable(damage)
    record.write_text(damage(whole))
    said = here.clear("repair", str(FOLDER), "--check")
    assert said.code == 1
    assert "trial.json of trial 2 does not say what the ledger says" in " ".join(said.text.split())
    repair_study(str(FOLDER), check_only=False)
    assert json.loads(record.read_text()) == json.loads(whole)
    assert [path.name for path in record.parent.glob("trial.json.damaged.*")]
    assert repair_study(str(FOLDER), check_only=True) == []


def test_nothing_is_wrong_with_a_whole_study(here: Here) -> None:
    assert here.clear("repair", str(FOLDER), "--check").code == 0


def test_a_folder_of_trials_alone_is_a_study_that_lost_its_ledger(here: Here) -> None:
    """Not "no study here, run starts one": run would refuse."""
    (here.study / "study.yaml").unlink()
    for segment in (here.study / "ledger").iterdir():
        segment.unlink()
    for words in (["status"], ["show"], ["run"]):
        said = here.clear(words[0], "study.yaml" if words == ["run"] else str(FOLDER))
        assert said.code == 1
        assert "the ledger is lost" in " ".join(said.text.split())


def test_a_study_file_of_ones_own_that_is_no_text_is_refused_with_its_name(here: Here) -> None:
    Path("study.yaml").write_bytes(b"name: \xff\xfe\n")
    for command in ("run", "check"):
        said = here.clear(command, "study.yaml")
        assert said.code == 2
        assert "study.yaml" in said.text


def test_probes_that_a_killed_process_left_are_removed_at_once_and_no_others(here: Here) -> None:
    left, in_use = here.study / ".outlast-probe.0a0b0c0d", here.study / ".outlast-probe.01020304"
    left.touch()
    os.link(left, f"{left}.2")
    with in_use.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert lacking(here.study) == ()
        assert [path.name for path in here.study.glob(".outlast-probe.*")] == [in_use.name]
    assert lacking(here.study) == ()
    assert not list(here.study.glob(".outlast-probe.*"))


def test_probes_that_are_old_are_removed_where_nothing_can_be_locked(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    old, fresh = here.study / ".outlast-probe.0a0b0c0d", here.study / ".outlast-probe.01020304"
    for path in (old, fresh):
        path.touch()
    os.utime(old, (1, 1))
    monkeypatch.setattr(fcntl, "flock", refused)
    assert lacking(here.study) == ("locks",)
    assert not old.exists()
    assert fresh.exists()  # somebody may be trying it just now


@pytest.mark.parametrize("written", [b"name: \xff\xfe\n", b"", b"name: small\ncommand: other\n"])
def test_a_studys_own_copy_that_is_not_what_the_ledger_says_is_told_and_restored(written: bytes, here: Here) -> None:
    copy = here.study / "study.yaml"
    whole = copy.read_bytes()
    copy.write_bytes(written)
    assert "study.yaml is not what the ledger says" in here.clear("repair", str(FOLDER), "--check").text
    here.clear("repair", str(FOLDER))
    assert copy.read_bytes() == whole
    assert "nothing is wrong" in here.clear("repair", str(FOLDER), "--check").text
