from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.descriptors import open_here, opened_since
from outlast._system import observed
from outlast.core.records import Warned
from outlast.errors import LeaseLost, LedgerTooNew, SegmentLost
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.ledger_lines import from_line, to_line
from outlast.study.putting_away import clear_leftovers
from outlast.study.segments import Reading, newest_segment, read_ledger, segment_path


def _said(text: str) -> Warned:
    return Warned("2026-01-05T10:00:00.000+00:00", text)


def _texts(reading: Reading) -> list[str]:
    return [event.text for event in reading.events if isinstance(event, Warned)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study" / "ledger"


@pytest.fixture
def at_operation() -> Iterator[Callable[[str, str, Callable[[], None]], None]]:
    """Does something right before the first operation of a kind on a file that ends in some name."""
    planned: list[tuple[str, str, Callable[[], None]]] = []

    def see(operation: str, path: str, **detail: Any) -> None:
        for plan in list(planned):
            if plan[0] == operation and (path.endswith(plan[1]) or str(detail.get("target", "")).endswith(plan[1])):
                planned.remove(plan)
                plan[2]()

    observed.observer = see
    yield lambda operation, path, act: planned.append((operation, path, act))
    observed.observer = None


@pytest.fixture
def two(folder: Path) -> tuple[Ledger, Ledger]:
    """A holder that was superseded, and the one that took over."""
    folder.parent.mkdir()
    old, _ = Ledger.claim(folder)
    old.append([_said("of the old one")])
    new, before = Ledger.claim(folder)
    assert _texts(before) == ["of the old one"]
    return old, new


def test_decisions_are_read_back_in_order_over_segments(folder: Path, two: tuple[Ledger, Ledger]) -> None:
    two[1].append([_said("a"), _said("b")])
    two[1].append([_said("c")])
    assert _texts(read_ledger(folder)) == ["of the old one", "a", "b", "c"]


def test_a_superseded_holder_learns_it_at_its_next_line_which_is_void(folder: Path, two: tuple[Ledger, Ledger]) -> None:
    with pytest.raises(LeaseLost):
        two[0].append([_said("too late")])
    assert _texts(read_ledger(folder)) == ["of the old one"]
    assert read_ledger(folder).segments[0].void > 0
    assert read_ledger(folder).flaws == []


def test_a_superseded_holder_leaves_the_reserve_to_its_successor(folder: Path, two: tuple[Ledger, Ledger]) -> None:
    old, new = two
    assert new.reserve()
    old.close()
    assert (folder / ".reserve").exists()
    assert new.free_reserve()


def test_who_finds_its_claim_cleared_away_learns_that_somebody_else_was_faster(
    folder: Path, at_operation: Callable[[str, str, Callable[[], None]], None]
) -> None:
    folder.parent.mkdir()

    def other() -> None:
        Ledger.claim(folder)
        clear_leftovers(StudyPaths.at(folder.parent))

    at_operation("link", "00000001.jsonl", other)
    with pytest.raises(LeaseLost):
        Ledger.claim(folder)
    assert newest_segment(folder) == 1
    assert len(list(folder.glob("*.held"))) == 1


def test_an_empty_append_writes_nothing(folder: Path, two: tuple[Ledger, Ledger]) -> None:
    size = segment_path(folder, 2).stat().st_size
    two[1].append([])
    assert segment_path(folder, 2).stat().st_size == size


def test_two_claims_at_the_same_moment_have_one_winner(
    folder: Path, at_operation: Callable[[str, str, Callable[[], None]], None]
) -> None:
    folder.parent.mkdir()
    winners: list[Ledger] = []
    at_operation("link", "00000001.jsonl", lambda: winners.append(Ledger.claim(folder)[0]))
    with pytest.raises(LeaseLost):
        Ledger.claim(folder)
    winners[0].append([_said("won")])
    assert _texts(read_ledger(folder)) == ["won"]


def test_a_line_that_lands_between_reading_and_sealing_is_void(
    folder: Path, at_operation: Callable[[str, str, Callable[[], None]], None]
) -> None:
    folder.parent.mkdir()
    old, _ = Ledger.claim(folder)

    def late() -> None:
        with pytest.raises(LeaseLost):
            old.append([_said("between")])

    at_operation("append", "00000002.jsonl", late)
    new, before = Ledger.claim(folder)
    new.append([_said("after")])
    assert _texts(before) == []
    assert _texts(read_ledger(folder)) == ["after"]


def test_a_line_that_lands_before_the_reading_counts_although_its_writer_steps_down(
    folder: Path, at_operation: Callable[[str, str, Callable[[], None]], None]
) -> None:
    folder.parent.mkdir()
    old, _ = Ledger.claim(folder)

    def late() -> None:
        with pytest.raises(LeaseLost):
            old.append([_said("just in time")])

    at_operation("unlink", ".tmp", late)  # the new segment is there; nothing was read yet
    _, before = Ledger.claim(folder)
    assert _texts(before) == ["just in time"]


def test_what_is_sealed_was_synced_first(
    folder: Path, at_operation: Callable[[str, str, Callable[[], None]], None]
) -> None:
    folder.parent.mkdir()
    Ledger.claim(folder)
    seen: list[str] = []
    at_operation("fsync", "00000001.jsonl", lambda: seen.append("the old segment"))
    at_operation("append", "00000002.jsonl", lambda: seen.append("its seal"))
    Ledger.claim(folder)
    assert seen == ["the old segment", "its seal"]


def test_a_holder_that_died_between_claim_and_seal_is_sealed_by_the_next(
    folder: Path, at_operation: Callable[[str, str, Callable[[], None]], None]
) -> None:
    folder.parent.mkdir()
    first, _ = Ledger.claim(folder)
    first.append([_said("first")])

    def die() -> None:
        raise KeyboardInterrupt

    at_operation("append", "00000002.jsonl", die)
    with pytest.raises(KeyboardInterrupt):
        Ledger.claim(folder)
    third, before = Ledger.claim(folder)
    assert _texts(before) == ["first"]
    with pytest.raises(LeaseLost):
        first.append([_said("late")])
    third.append([_said("third")])
    assert _texts(read_ledger(folder)) == ["first", "third"]


def test_a_torn_last_line_is_nobodys_decision_and_is_sealed_off(folder: Path) -> None:
    folder.parent.mkdir()
    ledger, _ = Ledger.claim(folder)
    ledger.append([_said("whole")])
    with open(segment_path(folder, 1), "ab") as file:
        file.write(b'{"v":1,"events":[{"kind":"warn')
    reading = read_ledger(folder)
    assert _texts(reading) == ["whole"]
    assert reading.segments[0].torn == 30
    assert reading.flaws == []
    Ledger.claim(folder)[0].append([_said("next")])
    assert _texts(read_ledger(folder)) == ["whole", "next"]


def test_a_study_that_left_its_name_to_another_one_is_not_held_any_more(folder: Path) -> None:
    folder.parent.mkdir()
    old, _ = Ledger.claim(folder)
    folder.parent.rename(folder.parent.with_name("aside"))
    folder.parent.mkdir()
    Ledger.claim(folder)[0].append([_said("of the new study")])
    with pytest.raises(LeaseLost):
        old.check()
    with pytest.raises(LeaseLost):
        old.append([_said("of the old one")])
    assert _texts(read_ledger(folder)) == ["of the new study"]


def _make_three_segments(folder: Path) -> None:
    folder.parent.mkdir()
    for number in (1, 2, 3):
        ledger, _ = Ledger.claim(folder)
        ledger.append([_said(f"{number}a")])
        ledger.append([_said(f"{number}b")])
        ledger.close()


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_segment_is_noticed(number: int, folder: Path) -> None:
    _make_three_segments(folder)
    segment_path(folder, number).unlink()
    assert read_ledger(folder).missing == (number,)
    assert f"{number:08d}.jsonl is missing" in "; ".join(read_ledger(folder).flaws)


@pytest.mark.parametrize("kept", [0, 1, 200])
def test_a_sealed_segment_that_lost_its_end_is_noticed(kept: int, folder: Path) -> None:
    _make_three_segments(folder)
    path = segment_path(folder, 2)
    path.write_bytes(path.read_bytes()[:kept])
    assert "00000002.jsonl lacks its last" in "; ".join(read_ledger(folder).flaws)


@pytest.mark.parametrize("garbage", [b"garbage", b"\0" * 80, b"[1,2]", b'{"v":1,'])
def test_an_unreadable_line_is_noticed_and_the_others_are_kept(garbage: bytes, folder: Path) -> None:
    _make_three_segments(folder)
    path = segment_path(folder, 3)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], garbage, *lines[3:]]) + b"\n")
    assert "00000003.jsonl line 3 is unreadable" in "; ".join(read_ledger(folder).flaws)
    assert _texts(read_ledger(folder)) == ["1a", "1b", "2a", "2b", "3b"]


@pytest.mark.parametrize("with_checksum", [True, False])
def test_a_kind_of_a_later_version_is_refused_with_its_place(folder: Path, with_checksum: bool) -> None:
    folder.parent.mkdir()
    ledger, _ = Ledger.claim(folder)
    ledger.append([_said("known")])
    line = {"v": 9, "n": 2, "events": [{"kind": "of_tomorrow", "at": "x"}]}
    with open(segment_path(folder, 1), "ab") as file:
        file.write(to_line(line) if with_checksum else json.dumps(line).encode() + b"\n")
    if with_checksum:
        with pytest.raises(LedgerTooNew, match=r"00000001.jsonl, decision 2: a record of kind 'of_tomorrow'"):
            read_ledger(folder)
    else:  # no later version writes a line without one
        assert _texts(read_ledger(folder)) == ["known"]
        assert "line 4 is unreadable" in "; ".join(read_ledger(folder).flaws)


def test_a_ledger_that_was_written_anew_needs_nothing_before_it(folder: Path) -> None:
    folder.parent.mkdir()
    Ledger.write_anew(folder, 7, [_said(str(i)) for i in range(2500)], "rebuilt")
    ledger, before = Ledger.claim(folder)
    assert ledger.number == 8
    assert len(before.events) == 2500
    assert read_ledger(folder).flaws == []


_ACTIONS = st.lists(
    st.one_of(
        st.just(("claim", 0)),
        st.tuples(st.just("append"), st.integers(0, 5)),
        st.tuples(st.just("torn"), st.integers(0, 5)),
    ),
    max_size=25,
)


@given(actions=_ACTIONS)
def test_what_was_acknowledged_is_read_and_nothing_else_whatever_the_holders_do(
    actions: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("study") / "ledger"
    holders: list[Ledger] = []
    dead: set[int] = set()  # by a torn write
    acknowledged: list[str] = []
    for at, (action, whom) in enumerate(actions):
        if action == "claim":
            ledger, before = Ledger.claim(folder)
            assert _texts(before) == acknowledged
            holders.append(ledger)
        elif holders:
            number = whom % len(holders)
            if number in dead:
                continue
            if action == "torn":
                with open(segment_path(folder, number + 1), "ab") as file:
                    file.write(b'{"v":1,"events":[')
                dead.add(number)
            elif number == len(holders) - 1:
                holders[number].append([_said(str(at))])
                acknowledged.append(str(at))
            else:
                with pytest.raises(LeaseLost):
                    holders[number].append([_said(str(at))])
        reading = read_ledger(folder)
        assert _texts(reading) == acknowledged
        assert reading.flaws == []
        assert newest_segment(folder) == len(holders)
    for ledger in holders:
        ledger.close()


@pytest.mark.parametrize("text", ["f\udcfcr.txt", "für", "\ud83d", "😀"])
def test_a_decision_about_a_path_that_is_no_utf_8_is_taken_and_read_back(folder: Path, text: str) -> None:
    folder.parent.mkdir()
    ledger, _ = Ledger.claim(folder)
    ledger.append([_said(text)])
    assert _texts(read_ledger(folder)) == [text]
    ledger.close()
    assert _texts(Ledger.claim(folder)[1]) == [text]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "was deleted under it"),
        (lambda path: path.write_bytes(b""), "was emptied under it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "was cut under it"),
        (lambda path: os.replace(shutil.copy(path, f"{path}.copy"), path), "was replaced under it"),
        (lambda path: shutil.rmtree(path.parent), "was deleted under it"),
    ],
    ids=["deleted", "emptied", "cut", "replaced", "with its folder"],
)
@pytest.mark.parametrize("act", ["append", "check"])
def test_a_holder_whose_segment_is_not_what_it_wrote_steps_down_with_the_way_out(
    act: str, harm: Callable[[Path], object], said: str, folder: Path
) -> None:
    folder.parent.mkdir()
    ledger, _ = Ledger.claim(folder)
    ledger.append([_said("decided")])
    ledger.check()
    harm(segment_path(folder, 1))
    with pytest.raises(SegmentLost, match="outlast repair") as lost:
        ledger.append([_said("too late")]) if act == "append" else ledger.check()
    assert said in str(lost.value) or (act, said) == ("append", "was emptied under it")  # it holds that line by then
    assert lost.value.exit_code == 1
    assert not lost.value.worth_retrying


def test_a_line_that_is_written_while_another_thread_asks_is_no_harm(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, _ = Ledger.claim(folder)
    looked_at, asked = os.fstat, []

    def then_the_holder_writes(fd: int) -> os.stat_result:
        status = looked_at(fd)
        if not asked:
            asked.append(fd)
            ledger.append([_said("meanwhile")])
        return status

    monkeypatch.setattr(os, "fstat", then_the_holder_writes)
    ledger.check()
    monkeypatch.undo()
    assert asked and _texts(read_ledger(folder)) == ["meanwhile"]
    ledger.close()


@pytest.mark.parametrize("away", [lambda root: root.rename(root.with_name("elsewhere")), shutil.rmtree])
def test_a_holder_whose_study_was_moved_away_says_so(away: Callable[[Path], object], folder: Path) -> None:
    folder.parent.mkdir()
    ledger, _ = Ledger.claim(folder)
    away(folder.parent)
    with pytest.raises(LeaseLost, match="moved away or deleted") as lost:
        ledger.check()
    assert not isinstance(lost.value, SegmentLost)


def test_lines_without_a_checksum_are_read_as_earlier_versions_wrote_them(folder: Path) -> None:
    folder.parent.mkdir()
    Ledger.claim(folder)[0].append([_said("old")])
    path = segment_path(folder, 1)
    path.write_bytes(re.sub(rb',"crc":\d+\}\n', b"}\n", path.read_bytes()))
    assert b"crc" not in path.read_bytes()
    reading = read_ledger(folder)
    assert (_texts(reading), reading.flaws) == (["old"], [])


@given(st.binary(max_size=60))
def test_whatever_stands_in_a_line_is_read_or_reported(garbage: bytes) -> None:
    from_line(garbage)  # raises nothing


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none())), st.data())
def test_a_line_that_was_changed_anywhere_is_not_read_as_another(obj: dict[str, Any], data: st.DataObject) -> None:
    written = {"v": 1, "events": [{"kind": "of_tomorrow", **obj}]}
    line = to_line(written).removesuffix(b"\n")
    assert {**(from_line(line) or {}), "crc": None} == {**written, "crc": None}
    at = data.draw(st.integers(0, len(line) - 1))
    changed = line[:at] + bytes([line[at] ^ data.draw(st.integers(1, 255))]) + line[at + 1 :]
    found = from_line(changed)
    assert found is None or {"v": found.get("v"), "events": found.get("events")} == written


def test_a_claim_that_cannot_read_what_was_before_leaves_no_file_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> Reading:
        raise OSError("stale")

    monkeypatch.setattr("outlast.study.ledger.read_ledger", refused)
    before = open_here()
    with pytest.raises(OSError, match="stale"):
        Ledger.claim(folder)
    assert not opened_since(before)
