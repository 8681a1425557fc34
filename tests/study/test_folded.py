"""What a ledger was folded into and is kept says what its lines say, and is nothing where anything speaks against it."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import astuple, replace

from outlast._system import observed
from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core import fold as fold_module
from outlast.core.fold import Study
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    AttributeSet,
    EarlierTrial,
    Event,
    ParamDrawn,
    RevisionMade,
    RunStarted,
    StudyCreated,
    StudyEnded,
    TrialCreated,
    TrialFits,
    TrialRetried,
    Warned,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.record import examine as examining
from outlast.engine.record.at_a_glance import keep_what_it_adds_up_to
from outlast.engine.record.examine import examine, read_sound
from outlast.errors import LedgerDamaged
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.study import folded
from outlast.study.folded import ends_at, keep_folded, read_folded
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.ledger_lines import to_line
from outlast.study.opened import opened_briefly
from outlast.study.recovery import fold_known
from outlast.study.segments import Place, read_ledger, segment_path
from outlast.testing.fault_injection import Faults

AT = "2026-01-05T10:00:00.000+00:00"
SETTINGS = Settings(
    name="small", command=("true",), metrics=(MetricSettings(name="x"),), budget=BudgetSettings(trials=90)
)
BEGINNING = [StudyCreated("small", AT, study_seed=3), RevisionMade(1, AT, {"name": "small"}), RunStarted(AT, "box", 1)]


def read_anew(paths: StudyPaths) -> Study:
    study, unfounded = fold_known(read_ledger(paths.ledger).events)
    assert not unfounded
    return study


def plain(value: Any) -> str:
    """Everything that a value holds: NaN equals NaN, and 1 is not 1.0."""
    if isinstance(value, msgspec.Struct):
        return f"{type(value).__name__}({', '.join(map(plain, astuple(value)))})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {plain(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(plain, value))})"
    return repr(value)


def shown(study: Study, *, live: bool) -> str:
    """All that `outlast status` tells of it."""
    now, facts = datetime(2026, 1, 5, 12, tzinfo=timezone.utc), LiveFacts("box", 1, AT, slots=2) if live else None
    return plain(snapshot(study, SETTINGS, now=now, live=facts))


def asked(study: Study) -> list[object]:
    """What is known of all trials together."""
    return [
        study.counts(), study.next_number, study.extreme_values, study.latest_success, [t.number for t in study.misfits],
        [(trial.number, plain(trial)) for trial in study.in_state(TrialState.RUNNING, TrialState.INTERRUPTED)],
        *(shown(study, live=live) for live in (False, True)),
    ]  # fmt: skip


def keep(paths: StudyPaths) -> None:
    assert keep_folded(paths, *read_sound(paths), least=0)


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """Two segments; the fold is kept up to the middle of the second."""
    found = StudyPaths.at(tmp_path / "small")
    with opened_briefly(found) as opened:
        opened.ledger.append(BEGINNING)
        opened.ledger.append(trial(0))
    with opened_briefly(found) as opened:
        opened.ledger.append(trial(1))
        keep(found)
        opened.ledger.append(trial(2))
    return found


def trial(number: int, value: float = 0.5) -> list[Event]:
    return [
        TrialCreated(number, AT, {"x": value, "kind": "a", "layers": 3}, seed=number, system_attrs={"n": [1, {"a": None}]}),
        AttemptOpened(number, 1, AT, "local:0", gpus=("GPU-1",), worker={"pid": 7}),
        AttemptEnded(
            number, 1, AT, TrialState.COMPLETE, Cause.COMPLETED, "", (value,), (((0, value), (1, float("inf"))),),
            {"loss": float("nan")}, 3.0,
        ),
    ]  # fmt: skip


def some(chance: random.Random, number: int) -> list[Event]:
    """Decisions of any kind about a trial that is there, or a new one."""
    old = chance.randrange(max(1, number))
    return chance.choice(
        [
            [TrialCreated(number, AT, {}, seed=number), ParamDrawn(number, "x", chance.random(), "{}")],
            trial(number, chance.random()),
            [AttributeSet(old, "note", '{"a":[1,NaN]}', system=chance.random() < 0.5), Warned(AT, "a disk", "disk")],
            [TrialRetried(old, AT, from_scratch=chance.random() < 0.5), AttemptOpened(old, 2, AT)],
            [AttemptEnded(old, chance.randint(1, 3), AT, TrialState.FAILED, Cause.SPACE_CHANGED, "left out")],
            [AttributeSet(old, "constraints", f"[{chance.choice([1.0, -1.0])}]", system=True)],
            [TrialFits(old, AT, params={"y": 1})],
            [RevisionMade(2, AT, {"name": "small", "trial": {"seeds": [chance.randrange(9)]}}), RunStarted(AT, "box", 2)],
            [EarlierTrial("other:1", {"x": 1.0}, (0.5,)), StudyEnded(AT, "stopped", "by hand", 4.0)],
        ]
    )  # fmt: skip


def put_off(event: Event, minutes: float) -> Event:
    """The same, later; an attempt's outcome a little after its begin."""
    if not hasattr(event, "at"):
        return event
    at = datetime.fromisoformat(AT) + timedelta(minutes=minutes, seconds=2 * isinstance(event, AttemptEnded))
    return replace(event, at=at.isoformat(timespec="milliseconds"))


@pytest.mark.parametrize("seed", range(8))
def test_any_life_of_a_ledger_adds_up_to_the_same_either_way(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance, number, paths, used, minutes = random.Random(seed), 1, StudyPaths.at(tmp_path), 0, 0.0
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append([*BEGINNING, *trial(0)])
    for _ in range(60):
        what = chance.random()
        if what < 0.55:
            minutes += chance.choice([0.0, 0.1, 0.5, 9.0])
            events = [put_off(event, minutes) for event in some(chance, number)]
            number += isinstance(events[0], TrialCreated)
            ledger.append(events)
        elif what < 0.7:
            if chance.random() < 0.3:  # a line that was never finished
                with open(segment_path(ledger.folder, ledger.number), "ab") as file:
                    file.write(b'{"v":1,"n":')
            ledger.close()
            before = read_folded(paths)
            ledger, reading = Ledger.claim(paths.ledger, known=None if before is None else before[0])
            assert before is None or reading is before[0]
        elif what < 0.85:
            keep(paths)
        else:
            found = read_folded(paths)
            used += found is not None
            if found is not None:
                anew = read_anew(paths)
                assert asked(found[1]) == asked(anew)
                assert plain(found[1]) == plain(anew)
            assert examine(paths).lost == []
    ledger.close()
    assert used > 2


def test_it_is_read_on_from_its_place_by_everybody(paths: StudyPaths) -> None:
    reading, study = read_sound(paths)
    assert reading.before is not None
    assert [len(segment.lines) for segment in reading.segments] == [1]
    assert list(study.trials) == [0, 1, 2]
    with opened_briefly(paths) as opened:
        opened.ledger.append(trial(3))
    assert not read_ledger(paths.ledger).flaws
    assert list(read_sound(paths)[1].trials) == [0, 1, 2, 3]


def changed(at: int) -> Callable[[StudyPaths], None]:
    """A byte of the kept file is another one."""

    def change(paths: StudyPaths) -> None:
        data = bytearray(paths.folded.read_bytes())
        data[at] ^= 1
        paths.folded.write_bytes(data)

    return change


def cut(share: float) -> Callable[[StudyPaths], None]:
    def shorten(paths: StudyPaths) -> None:
        os.truncate(paths.folded, int(paths.folded.stat().st_size * share))

    return shorten


def garbled(paths: StudyPaths) -> None:
    paths.folded.write_bytes(bytes(paths.folded.stat().st_size))


def of_other_code(paths: StudyPaths) -> None:
    mine, source = folded._FOLDED_BY, paths.root / "fold.py"
    source.write_text("# another")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_module, "__file__", str(source))
        keep(paths)
        assert read_folded(paths) is not None, "what lies there by now is not what folds"
        patch.setattr(folded, "_FOLDED_BY", folded._this_code())
        assert mine != folded._FOLDED_BY
        reading = read_ledger(paths.ledger)
        assert keep_folded(paths, reading, fold_known(reading.events)[0], least=0)


def of_another_study(paths: StudyPaths) -> None:
    other = StudyPaths.at(paths.root.parent / "other")
    with opened_briefly(other) as opened:
        opened.ledger.append(BEGINNING)
    keep(other)
    shutil.copy(other.folded, paths.folded)


def ledger_rebuilt(paths: StudyPaths) -> None:
    events = read_ledger(paths.ledger).events
    shutil.rmtree(paths.ledger)
    Ledger.write_anew(paths.ledger, 3, events, "for a test")


def sealed_before_the_place(paths: StudyPaths) -> None:
    """What it was folded from is void: a holder slept, and the next one has sealed before."""
    length = len(b"".join(segment_path(paths.ledger, 2).read_bytes().splitlines(keepends=True)[:2]))
    header = {"v": 1, "segment": 3, "at": AT, "holder": {}}
    segment_path(paths.ledger, 3).write_bytes(to_line(header) + to_line({"v": 1, "seals": {"2": length}}))


def first_segment_gone(paths: StudyPaths) -> None:
    segment_path(paths.ledger, 1).unlink()


def ledger_gone(paths: StudyPaths) -> None:
    shutil.rmtree(paths.ledger)


def ledger_emptied(paths: StudyPaths) -> None:
    for segment in paths.ledger.glob("*.jsonl"):
        segment.unlink()


def half_swapped(paths: StudyPaths) -> None:
    paths.ledger.rename(paths.new_ledger)


def an_older_ledger_than_the_rebuilt_one(paths: StudyPaths) -> None:
    """All of its segments are numbered below what was kept."""
    shutil.copytree(paths.ledger, paths.root / "older")
    ledger_rebuilt(paths)
    with opened_briefly(paths):
        keep(paths)
    assert read_folded(paths) is not None
    shutil.rmtree(paths.ledger)
    (paths.root / "older").rename(paths.ledger)


def a_byte_of_the_ledger(number: int, at: int) -> Callable[[StudyPaths], None]:
    def change(paths: StudyPaths) -> None:
        path = segment_path(paths.ledger, number)
        before, data = path.stat(), bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk that forgets would have it

    return change


@pytest.mark.parametrize(
    "harm",
    [
        *(changed(at) for at in (0, 9, 30, -1)),
        *(cut(share) for share in (0, 0.01, 0.5, 0.99)),
        garbled,
        of_other_code,
        of_another_study,
        ledger_rebuilt,
        sealed_before_the_place,
        first_segment_gone,
        ledger_gone,
        ledger_emptied,
        half_swapped,
        an_older_ledger_than_the_rebuilt_one,
        *(a_byte_of_the_ledger(number, at) for number in (1, 2) for at in (5, -200)),
    ],
)
def test_it_is_nothing_where_anything_speaks_against_it(paths: StudyPaths, harm: Callable[[StudyPaths], None]) -> None:
    assert read_folded(paths) is not None
    harm(paths)
    assert read_folded(paths) is None
    found = examine(paths)
    assert found.reading.before is None
    paths.folded.unlink()
    assert [problem.text for problem in examine(paths).problems] == [problem.text for problem in found.problems]


@pytest.mark.parametrize("number", [1, 2])
def test_a_byte_before_its_place_that_is_another_one_is_noticed_as_ever(paths: StudyPaths, number: int) -> None:
    a_byte_of_the_ledger(number, 40)(paths)
    with pytest.raises(LedgerDamaged, match=rf"0000000{number}.jsonl line 1 is unreadable"):
        read_sound(paths)


def test_decisions_that_were_cut_off_behind_its_place_are_not_remembered(paths: StudyPaths) -> None:
    keep(paths)
    path = segment_path(paths.ledger, 2)
    os.truncate(path, path.stat().st_size - 20)
    assert read_folded(paths) is None
    assert list(read_sound(paths)[1].trials) == [0, 1]


def test_a_copy_of_a_study_has_it_as_well(paths: StudyPaths, tmp_path: Path) -> None:
    shutil.copytree(paths.root, tmp_path / "copy")
    paths.root.rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        assert read_folded(StudyPaths.at(tmp_path / name)) is not None


def test_what_it_cannot_say_is_not_kept(paths: StudyPaths) -> None:
    with opened_briefly(paths) as opened:
        opened.ledger.append([Warned(AT, "half a pair \ud800")])
    before = paths.folded.read_bytes()
    assert not keep_folded(paths, *read_sound(paths), least=0)
    assert paths.folded.read_bytes() == before
    assert read_sound(paths)[1].warnings == {"half a pair \ud800": "half a pair \ud800"}


def test_it_is_kept_by_whoever_folded_long_and_not_for_a_line(paths: StudyPaths) -> None:
    assert not keep_folded(paths, *read_sound(paths))
    long = [event for number in range(3, 1200) for event in trial(number)]
    with opened_briefly(paths) as opened:
        opened.ledger.append(long)
    before = paths.folded.read_bytes()
    keep_what_it_adds_up_to(paths)
    assert paths.folded.read_bytes() != before
    assert not keep_folded(paths, *read_sound(paths))


def test_looking_writes_nothing(paths: StudyPaths) -> None:
    os.unlink(paths.folded)
    read_sound(paths)
    assert not paths.folded.exists()


@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_it_is_kept_the_former_one_is_there(paths: StudyPaths, at: int) -> None:
    """Two operations: what is written aside, and the name that it takes."""
    before = paths.folded.read_bytes()
    child = os.fork()
    if child == 0:
        observed.observer = Faults({"kill_at": at})
        keep_folded(paths, *read_sound(paths), least=0)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert paths.folded.read_bytes() == before
    assert read_sound(paths)[0].before is not None
    with opened_briefly(paths):  # whoever comes next clears away
        pass
    assert not list(paths.root.glob(".folded*")) or at == 2


def test_a_trial_that_begins_between_reading_and_listing_costs_no_reading_from_the_beginning(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(3, 99))
    real, read_whole = examining.trial_numbers, []

    def listed(found: StudyPaths) -> list[int]:
        with opened_briefly(paths) as opened:
            opened.ledger.append(trial(number := next(numbers)))
        os.makedirs(paths.trial(number).folder)
        return real(found)

    with opened_briefly(paths):
        keep(paths)
    for number in range(3):
        os.makedirs(paths.trial(number).folder)
    monkeypatch.setattr(examining, "trial_numbers", listed)
    monkeypatch.setattr(examining, "read_ledger", read_whole.append)
    assert examine(paths).problems == []
    assert not read_whole


def test_a_ledger_ends_at_its_place_until_a_line_or_a_segment_is_behind_it(paths: StudyPaths) -> None:
    def place() -> Place:
        found = read_ledger(paths.ledger).place
        assert found is not None
        return found

    before, path = place(), segment_path(paths.ledger, 2)
    assert ends_at(paths.ledger, before)
    with open(path, "ab") as file:
        file.write(to_line({"v": 1, "n": before.due, "at": AT, "events": []}))
    assert not ends_at(paths.ledger, before)
    os.truncate(path, before.segments[-1][0])
    assert ends_at(paths.ledger, before)
    with opened_briefly(paths):
        pass
    assert not ends_at(paths.ledger, before)
    assert ends_at(paths.ledger, place())
    shutil.rmtree(paths.ledger)
    assert not ends_at(paths.ledger, before)
