"""A line of the ledger is lost, changed or moved: whoever looks says so, and repair brings back what was decided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import damages
from lab.damage import FOLDER, TARGET, Here
from outlast.engine.care.repair import repair_study
from outlast.engine.record.examine import examine, read_sound, read_study
from outlast.errors import LedgerDamaged
from outlast.study.folded import keep_folded
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

_LOOKS = (["status"], ["show"], ["logs"], ["repair", "--check"])


def _segments(study: Path) -> list[Path]:
    return sorted((study / "ledger").glob("*.jsonl"))


def _facts(paths: StudyPaths) -> dict[int, object]:
    return {t.number: (t.state, t.cause, t.values, t.params, t.curve()) for t in read_study(paths).trials.values()}


@pytest.mark.parametrize("damage", damages.LINE_DAMAGES, ids=lambda damage: damage.__name__)
def test_any_line_that_is_not_what_was_written_is_noticed_and_its_decisions_come_back(
    damage: Callable[[list[bytes], int], list[bytes]], here: Here
) -> None:
    """Of what the newest segment lost at its end, only the trials' folders can tell; a line behind a seal is void anyway.

    What the ledger adds up to was kept before."""
    paths = StudyPaths.at(here.study)
    assert keep_folded(paths, *read_sound(paths), least=0)
    facts, kept = _facts(paths), {path: path.read_bytes() for path in _segments(here.study)}
    cases = [(path, at) for path, data in kept.items() for at in range(len(data.splitlines()))]
    newest = max(kept)
    for path, at in cases:
        for name, data in kept.items():
            name.write_bytes(data)
        damages.harm_line(path, at, damage)
        lost = examine(paths).lost
        last = at == len(kept[path].splitlines()) - 1
        harmless = last and damage is (damages.removed if path == newest else damages.doubled)
        assert lost or harmless, (path.name, at)
        if lost:
            with pytest.raises(LedgerDamaged, match="outlast repair"):
                read_study(paths)
        if at % 3 == 0:  # the others take as long again
            repair_study(str(FOLDER), check_only=False)
            assert not examine(paths).lost, (path.name, at)
            assert _facts(paths) == facts, (path.name, at)
            for rebuilt in set(_segments(here.study)) - set(kept):
                rebuilt.unlink()


@pytest.mark.parametrize("kind", ["study_created", "revision_made", "run_started", "trial_created", "attempt_ended"])
def test_every_command_has_an_answer_to_a_record_that_is_missing(kind: str, here: Here) -> None:
    before = here.trials()
    segment = _segments(here.study)[0]
    at = next(i for i, line in enumerate(segment.read_bytes().splitlines()) if f'"kind":"{kind}"'.encode() in line)
    damages.harm_line(segment, at, damages.removed)
    for words in _LOOKS:
        said = here.clear(words[0], str(FOLDER), *words[1:])
        assert said.code == 1
        assert "repair" in said.text
    assert here.clear("run", "study.yaml").code == 1
    assert here.clear("repair", str(FOLDER)).code == 0
    assert here.clear("run", "study.yaml", "--trials", str(TARGET)).code == 0
    after = here.trials()
    assert {n: facts for n, facts in after.items() if n in before} == before
    assert sum(facts[0] == "complete" for facts in after.values()) == TARGET


def test_an_outcome_without_a_beginning_is_found_in_a_ledger_that_numbers_no_lines_and_mended_from_the_copy(
    here: Here,
) -> None:
    """Ledgers that earlier versions rebuilt are so: what does not add up is all that tells."""
    before = here.trials()
    path = _rebuilt_by_an_earlier_version(here.study)
    lines = [line for line in path.read_bytes().splitlines() if b'"trial_created","trial":0' not in line]
    path.write_bytes(b"\n".join(lines) + b"\n")
    said = here.clear("status", str(FOLDER))
    assert said.code == 1
    assert "trial 0" in " ".join(said.text.split())
    assert here.clear("repair", str(FOLDER)).code == 0
    assert here.trials() == before


def _rebuilt_by_an_earlier_version(study: Path) -> Path:
    import json

    from outlast.core.records import to_json

    events = [to_json(event) for event in read_ledger(study / "ledger").events]
    for path in (study / "ledger").iterdir():
        path.unlink()
    path = study / "ledger" / "00000009.jsonl"
    header = {"v": 1, "segment": 9, "base": 9, "at": "2026-01-05T10:00:00.000+00:00", "holder": {}}
    lines = [header, *({"v": 1, "at": header["at"], "events": [event]} for event in events)]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return path


def test_a_trial_that_goes_on_keeps_what_the_ledger_tells_of_it_although_its_beginning_is_lost(here: Here) -> None:
    """Its folder, or the index, knows its parameters; what earlier attempts cost and reported stands in the ledger."""
    assert here("retry", str(FOLDER), "0").code == 0
    paths = StudyPaths.at(here.study)
    before = read_study(paths).trials[0]
    segment = _segments(here.study)[0]
    at = next(i for i, line in enumerate(segment.read_bytes().splitlines()) if b'"trial_created","trial":0' in line)
    damages.harm_line(segment, at, damages.removed)
    repair_study(str(FOLDER), check_only=False)
    after = read_study(paths).trials[0]
    assert (after.params, after.seed, after.seconds) == (before.params, before.seed, before.seconds)


def test_a_ledger_whose_segments_are_all_empty_is_no_new_study_to_anybody(here: Here) -> None:
    before = here.trials()
    for segment in _segments(here.study):
        segment.write_bytes(b"")
    for words in (*_LOOKS, ["run"]):
        said = here.clear(words[0], "study.yaml" if words == ["run"] else str(FOLDER), *words[1:])
        assert said.code == 1
        assert "the ledger is lost" in " ".join(said.text.split())
    assert here.clear("repair", str(FOLDER)).code == 0
    assert here.trials() == before


def test_looking_knows_as_much_as_opening_of_a_newest_segment_that_was_emptied(here: Here) -> None:
    """What it decided is gone; only the trials' folders tell."""
    before = here.trials()
    _segments(here.study)[-1].write_bytes(b"")
    said = {words[0]: here.clear(words[0], str(FOLDER), *words[1:]) for words in _LOOKS}
    said["run"] = here.clear("run", "study.yaml")
    assert {name: each.code for name, each in said.items()} == dict.fromkeys(said, 1)
    assert all("the ledger does not know trial" in " ".join(each.text.split()) for each in said.values())
    here.clear("repair", str(FOLDER))
    assert here.trials() == before
