"""A finished study is damaged in every way there is, and mended."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.core.fold import Study, fold
from outlast.core.records import AttemptEnded, AttemptOpened, AttributeSet, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.care.repair import repair_study
from outlast.engine.record.examine import read_study
from outlast.errors import LedgerDamaged, LedgerTooNew, StudyNotFound
from outlast.study.layout import StudyPaths
from outlast.study.recovery import lacks_its_copy, merged
from outlast.testing.studies import StudyBuilder

ARCHIVED = Path(__file__).parent.parent / "archive" / "0.1.0-first"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of seven trials (complete, pruned, failed, one interrupted on the way) over two segments."""
    for name in ("study.yaml", "train.py"):
        shutil.copy(ARCHIVED / name, tmp_path / name)
    folder = tmp_path / "studies" / "first"
    shutil.copytree(ARCHIVED / "study", folder, symlinks=True)
    return folder


def _facts(study: Study) -> dict[int, object]:
    return {t.number: (t.state, t.cause, t.values, t.params, t.curve()) for t in study.trials.values()}


@pytest.fixture
def facts(folder: Path) -> dict[int, object]:
    return _facts(read_study(StudyPaths.at(folder)))


def _segment(folder: Path, number: int) -> Path:
    return folder / "ledger" / f"{number:08d}.jsonl"


def _lose_ledger(folder: Path) -> None:
    shutil.rmtree(folder / "ledger")


def _lose_first_segment(folder: Path) -> None:
    _segment(folder, 1).unlink()


def _lose_last_segment(folder: Path) -> None:
    _segment(folder, 2).unlink()


def _cut_sealed_segment(folder: Path) -> None:
    path = _segment(folder, 1)
    path.write_bytes(path.read_bytes()[:-400])


def _garble_a_line(folder: Path) -> None:
    path = _segment(folder, 2)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = b"#" * (len(lines[4]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))


def _tear_last_line(folder: Path) -> None:
    with open(_segment(folder, 2), "ab") as file:
        file.write(b'{"v":1,"events":[{"kind"')


def _empty_index(folder: Path) -> None:
    (folder / "study.db").write_bytes(b"")


def _truncate_index(folder: Path) -> None:
    with open(folder / "study.db", "r+b") as file:
        file.truncate(9000)


def _garbage_index(folder: Path) -> None:
    (folder / "study.db").write_bytes(b"no database" * 999)


def _lose_index(folder: Path) -> None:
    (folder / "study.db").unlink()


def _lose_trial(folder: Path) -> None:
    shutil.rmtree(folder / "trials" / "0002")


def _lose_tables(folder: Path) -> None:
    (folder / "trials.csv").unlink()
    (folder / "best_checkpoint").unlink()
    (folder / "best_results.json").write_text("{}")


def _lose_study_file(folder: Path) -> None:
    (folder / "study.yaml").unlink()


#: What is done to the study, and what the problem is about.
DAMAGES: dict[Callable[[Path], None], str] = {
    _lose_ledger: "ledger",
    _lose_first_segment: "ledger",
    _lose_last_segment: "ledger",
    _cut_sealed_segment: "ledger",
    _garble_a_line: "ledger",
    _tear_last_line: "ledger",
    _empty_index: "index",
    _truncate_index: "index",
    _garbage_index: "index",
    _lose_index: "index",
    _lose_trial: "trial",
    _lose_tables: "files",
}
_DECISIONS_LOST = (_lose_ledger, _lose_first_segment, _lose_last_segment, _cut_sealed_segment, _garble_a_line)


def _hash(folder: Path) -> str:
    """Of every name, link and content below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
        digest.update(f"{path.lstat().st_mtime_ns}".encode() if not path.is_dir() else b"")
    return digest.hexdigest()


def _name(damage: Callable[[Path], None]) -> str:
    return damage.__name__.strip("_")


@pytest.mark.parametrize("needed", [False, True])
def test_a_copy_of_a_kind_that_nobody_knows_is_damaged_and_refused_where_it_is_all_there_is(
    folder: Path, facts: dict[int, object], needed: bool
) -> None:
    copy = folder / "trials" / "0002" / "trial.json"
    copy.write_text(copy.read_text().replace("attempt_ended", "attempt_endeb"))
    if needed:
        _lose_ledger(folder)
        with pytest.raises(LedgerTooNew, match=rf"{copy}: a record of kind 'attempt_endeb'"):
            repair_study(str(folder), check_only=False)
    else:
        problem, *_ = repair_study(str(folder), check_only=False)
        assert problem.text == "trial.json of trial 2 does not say what the ledger says"
        assert "attempt_ended" in copy.read_text() and _facts(read_study(StudyPaths.at(folder))) == facts


def test_nothing_is_wrong_with_a_whole_study(folder: Path) -> None:
    repair_study(str(folder), check_only=False)  # its tables are an earlier version's
    assert repair_study(str(folder), check_only=True) == []


@pytest.mark.parametrize("damage", DAMAGES, ids=_name)
def test_check_says_what_is_wrong_and_changes_nothing(damage: Callable[[Path], None], folder: Path) -> None:
    damage(folder)
    before = _hash(folder)
    problems = repair_study(str(folder), check_only=True)
    assert DAMAGES[damage] in {problem.about for problem in problems}
    assert _hash(folder) == before


@pytest.mark.parametrize("damage", DAMAGES, ids=_name)
def test_repair_brings_every_trial_back(damage: Callable[[Path], None], folder: Path, facts: dict[int, object]) -> None:
    damage(folder)
    assert repair_study(str(folder), check_only=False)
    assert repair_study(str(folder), check_only=True) == []
    assert _facts(read_study(StudyPaths.at(folder))) == facts


@pytest.mark.parametrize("damage", _DECISIONS_LOST, ids=_name)
def test_lost_decisions_stop_everything_until_they_are_mended(damage: Callable[[Path], None], folder: Path) -> None:
    damage(folder)
    if damage is not _lose_last_segment:  # only a run, which takes the lease, compares with the trials' folders
        with pytest.raises(LedgerDamaged, match=r"outlast repair|damaged|lost"):
            read_study(StudyPaths.at(folder))


def test_a_ledger_and_an_index_that_are_both_lost_come_back_from_the_trials(
    folder: Path, facts: dict[int, object]
) -> None:
    _lose_ledger(folder)
    _garbage_index(folder)
    _lose_study_file(folder)
    repair_study(str(folder), check_only=False)
    assert dict(_facts(read_study(StudyPaths.at(folder)))) == facts


def test_a_trial_whose_folder_and_ledger_are_lost_comes_back_from_the_index(
    folder: Path, facts: dict[int, object]
) -> None:
    _lose_ledger(folder)
    _lose_trial(folder)
    repair_study(str(folder), check_only=False)
    mended = _facts(read_study(StudyPaths.at(folder)))
    assert sorted(mended) == sorted(facts)
    trial = read_study(StudyPaths.at(folder)).trials[2]
    assert trial.state.finished


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFound):
        repair_study(str(tmp_path), check_only=True)


@pytest.mark.parametrize("noted", [[], [AttributeSet(0, "note", "1")]])
def test_how_a_trial_began_is_taken_from_a_row_of_one_that_ran_elsewhere_whatever_was_noted_there(
    noted: list[AttributeSet],
) -> None:
    at = "2026-01-05T10:00:00.000+00:00"
    was_running = AttemptEnded(0, 1, at, TrialState.INTERRUPTED, Cause.LOST, "was running there", source="imported")
    row = [TrialCreated(0, at, {"x": 0.5}, source="imported"), *noted, was_running]
    ended = AttemptEnded(0, 1, at, TrialState.COMPLETE, Cause.COMPLETED, values=(0.5,))
    events = merged([AttemptOpened(0, 1, at), ended], {}, {0: row}, {}, name="s", settings={}, now=at)
    assert fold(events).trials[0].values == (0.5,)


@pytest.mark.parametrize(
    ("source", "outcome", "agrees", "imported", "lacks"),
    [
        ("imported", {}, None, {0}, False),  # the import's copy tells of it
        ("imported", {}, None, set(), True),
        ("imported", {}, True, set(), False),
        ("imported", {}, False, {0}, True),
        ("imported", {"cause": Cause.SPACE_CHANGED, "state": TrialState.FAILED}, None, set(), False),
        ("sampler", {}, None, {0}, True),  # it had a folder
    ],
)
def test_which_trial_lacks_its_copy(
    source: str, outcome: dict[str, Any], agrees: bool | None, imported: set[int], lacks: bool
) -> None:
    build = StudyBuilder()
    if source == "imported":
        told = {"state": TrialState.COMPLETE, "cause": Cause.COMPLETED, **outcome}
        build.study.apply(TrialCreated(0, build.at(0), {}, source=source))
        build.study.apply(AttemptEnded(0, 1, build.at(1), **told))
    else:
        build.trial(values=0.5)
    assert lacks_its_copy(build.study.trials[0], agrees, imported) is lacks
