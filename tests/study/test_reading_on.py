"""A ledger that is read on from where its reader stopped says what one says that is read from its beginning."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from outlast.core.records import Event, RunStarted, TrialCreated
from outlast.study.ledger import Ledger
from outlast.study.ledger_lines import to_line
from outlast.study.reading_on import ReadingOn
from outlast.study.segments import read_ledger, segment_path

AT = "2026-01-05T10:00:00+00:00"


def events(*numbers: int) -> list[Event]:
    return [TrialCreated(number, AT, {"x": number}) for number in numbers]


class Follower:
    """Reads on, and from the beginning where that is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.anew = folder, -1
        self._from_the_beginning()

    def _from_the_beginning(self) -> None:
        self.anew += 1
        reading = read_ledger(self.folder)
        self.seen, self.on = reading.events, ReadingOn(self.folder, reading)

    def look(self) -> list[Event]:
        more = self.on.more()
        if more is None:
            self._from_the_beginning()
        else:
            self.seen += more
        return self.seen


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger, _ = Ledger.claim(tmp_path / "ledger")
    ledger.append([RunStarted(AT, "box", 1)])
    return ledger


def test_what_is_appended_is_read_and_nothing_else(ledger: Ledger) -> None:
    follower = Follower(ledger.folder)
    assert follower.on.more() == []
    ledger.append(events(0, 1))
    ledger.append(events(2))
    assert follower.on.more() == events(0, 1, 2)
    assert follower.on.more() == []


@pytest.mark.parametrize("seed", range(6))
def test_any_life_of_a_ledger_reads_the_same_either_way(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    ledger, _ = Ledger.claim(tmp_path / "ledger")
    ledger.append([RunStarted(AT, "box", 1)])
    follower, number = Follower(ledger.folder), 0
    for _ in range(40):
        what = chance.random()
        if what < 0.6:
            ledger.append(events(number, number + 1))
            number += 2
        elif what < 0.75:
            ledger.close()
            ledger, _ = Ledger.claim(tmp_path / "ledger")
        elif what < 0.8:  # a line that is being written, or was never finished
            with open(segment_path(ledger.folder, ledger.number), "ab") as file:
                file.write(b'{"v":1,"n":')
            ledger.close()
            ledger, _ = Ledger.claim(tmp_path / "ledger")
        elif what < 0.95:
            assert follower.look() == read_ledger(ledger.folder).events
    assert follower.look() == read_ledger(ledger.folder).events
    assert follower.anew == 0
    ledger.close()


def test_half_a_line_is_not_there_yet(ledger: Ledger) -> None:
    follower = Follower(ledger.folder)
    line = to_line({"v": 1, "n": 2, "at": AT, "events": []})
    with open(segment_path(ledger.folder, 1), "ab", buffering=0) as file:
        file.write(line[:10])
        assert follower.on.more() == []
        file.write(line[10:])
        assert follower.on.more() == []
    assert follower.on._due == 3


def test_what_a_holder_wrote_after_it_was_superseded_is_read_anew(ledger: Ledger) -> None:
    follower = Follower(ledger.folder)
    newer, _ = Ledger.claim(ledger.folder)
    late = segment_path(ledger.folder, 1)
    with open(late, "ab") as file:
        file.write(to_line({"v": 1, "n": 2, "at": AT, "events": []}))
    newer.append(events(7))
    assert follower.look() == read_ledger(ledger.folder).events == [RunStarted(AT, "box", 1), *events(7)]
    newer.close()


def harm(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut":
        os.truncate(path, len(data) - 40)
    elif how == "another file":
        path.unlink()
        path.write_bytes(data + to_line({"v": 1, "n": 2, "at": AT, "events": []}))
    elif how == "another folder":
        shutil.copytree(path.parent, path.parent.with_name("copy"))
        shutil.rmtree(path.parent)
        path.parent.with_name("copy").rename(path.parent)
    elif how == "unreadable line":
        path.write_bytes(data + b'{"v":1,"n":2,"crc":1}\n')
    elif how == "missing line":
        path.write_bytes(data + to_line({"v": 1, "n": 3, "at": AT, "events": []}))
    else:
        path.write_bytes(bytes(reversed(data)))


@pytest.mark.parametrize(
    "how", ["cut", "another file", "another folder", "unreadable line", "missing line", "other bytes"]
)
def test_what_is_no_plain_continuation_is_for_a_whole_reading_to_judge(ledger: Ledger, how: str) -> None:
    follower = Follower(ledger.folder)
    harm(segment_path(ledger.folder, 1), how)
    assert follower.on.more() is None
