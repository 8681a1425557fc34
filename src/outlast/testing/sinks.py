"""The contract of `outlast.tracking.sink` as tests, for any sink. Runs under pytest.

Subclass `SinkContract` in a test module, say how a sink is made and what its tracker has, and every sentence of the contract is a
test::

    class TestMySink(SinkContract):
        def sink(self, place):
            return MySink(path=str(place / "rows.jsonl"))

        def arrived(self, place):
            return (place / "rows.jsonl").read_text().splitlines()
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.core.file_names import StudyNames
from outlast.core.states import StudyState, TrialState
from outlast.tracking.sink import Sink, TrackedMetric, TrackedPoint, TrackedStudy, TrackedTrial

__all__ = ["KeptMemory", "SinkContract"]

_BEGAN = 1_767_607_200.0


class KeptMemory:
    """A memory as it is after a crash: what was kept, and nothing since.

    Args:
        dies_at: The how-manieth `keep` is the last thing that happens to its process; 0: none.
    """

    def __init__(self, dies_at: int = 0) -> None:
        self.data: dict[str, Any] = {}
        self.kept, self._left = "{}", dies_at

    def keep(self) -> None:
        """Keep it, which may be the last thing that happens."""
        self.kept = json.dumps(self.data)
        self._left -= 1
        if self._left == 0:
            raise _Died

    def after_a_crash(self) -> KeptMemory:
        """What the next process finds."""
        found = KeptMemory()
        found.data, found.kept = json.loads(self.kept), self.kept
        return found


class _Died(BaseException):
    """No sink catches that, as none catches ``kill -9``."""


class SinkContract:
    """What a sink promises. `sink` and `arrived` are yours."""

    def sink(self, place: Path) -> Sink:
        """A new sink, as each process makes one; its tracker is what lies in `place`, which is the test's own."""
        raise NotImplementedError

    def arrived(self, place: Path) -> Sequence[Hashable]:
        """Everything that the tracker has, one thing in one form: a parameter, the value of a metric at a step, an end."""
        raise NotImplementedError

    @pytest.fixture
    def once(self, tmp_path: Path) -> list[Hashable]:
        """What arrives where nothing goes wrong."""
        place = tmp_path / "undisturbed"
        place.mkdir()
        self._told(place, KeptMemory())
        return sorted(self.arrived(place), key=repr)

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the tracker lies."""
        place = tmp_path / "place"
        place.mkdir()
        return place

    def _told(self, place: Path, memory: KeptMemory, sink: Sink | None = None) -> None:
        """A sink is told a whole study, as it becomes."""
        sink = sink or self.sink(place)
        sink.open(_study(place), memory)
        sink.send(_study(place), [_trial(0, points=1), _trial(1, points=0)])
        sink.send(_study(place), [_trial(0, points=2, over=True)])
        sink.send(_study(place, over=True), [_trial(1, points=3, over=True)])
        sink.close(_study(place, over=True))

    def test_something_arrives_and_nothing_of_it_twice(self, once: list[Hashable]) -> None:
        """A tracker has what it was sent."""
        assert once and len(set(once)) == len(once)

    def test_what_is_sent_again_is_there_once(self, place: Path, once: list[Hashable]) -> None:
        """The same trials come again where whoever sends was ended before it knew that they had arrived."""
        memory = KeptMemory()
        for _ in range(2):
            self._told(place, memory)
        assert sorted(self.arrived(place), key=repr) == once

    def test_another_process_goes_on_with_the_memory(self, place: Path, once: list[Hashable]) -> None:
        """Between any two calls the process may be another one."""
        memory, sink = KeptMemory(), self.sink(place)
        sink.open(_study(place), memory)
        sink.send(_study(place), [_trial(0, points=1), _trial(1, points=0)])
        self._told(place, memory.after_a_crash())
        assert sorted(self.arrived(place), key=repr) == once

    @pytest.mark.parametrize("at", range(1, 6))
    def test_it_may_be_killed_whenever_it_keeps_something(self, place: Path, once: list[Hashable], at: int) -> None:
        """A sink that has died once goes on from what it kept."""
        memory = KeptMemory(dies_at=at)
        try:
            self._told(place, memory)
        except _Died:
            self._told(place, memory.after_a_crash())
        assert sorted(self.arrived(place), key=repr) == once

    def test_a_memory_that_was_lost_duplicates_nothing(self, place: Path, once: list[Hashable]) -> None:
        """A tracker that can be asked is asked what it has."""
        self._told(place, KeptMemory())
        self._told(place, KeptMemory())
        assert sorted(self.arrived(place), key=repr) == once

    def test_what_it_remembers_can_be_written_as_json(self, place: Path) -> None:
        """Else it would not last."""
        memory = KeptMemory()
        self._told(place, memory)
        assert json.loads(json.dumps(memory.data)) == memory.data

    def test_after_its_end_it_is_opened_again(self, place: Path, once: list[Hashable]) -> None:
        """A study that came to rest may go on, and the page that is drawn at its end comes after it."""
        memory, sink = KeptMemory(), self.sink(place)
        self._told(place, memory, sink)
        self._told(place, memory, sink)
        assert sorted(self.arrived(place), key=repr) == once

    def test_two_studies_are_two(self, place: Path, once: list[Hashable]) -> None:
        """One tracker takes many studies; here two of one name."""
        self._told(place, KeptMemory())
        other = self.sink(place)
        other.open(replace(_study(place), identity="another"), KeptMemory())
        other.close(replace(_study(place), identity="another"))
        assert set(once) <= set(self.arrived(place))


def _study(place: Path, *, over: bool = False) -> TrackedStudy:
    return TrackedStudy(
        identity="0123456789abcdef",
        name="digits",
        folder=str(place / "digits"),
        cwd=str(place),
        state=StudyState.DONE if over else StudyState.RUNNING,
        created=_BEGAN,
        metrics=(TrackedMetric("acc", maximize=True),),
        max_trials=2,
        runs=1,
        index=str(place / "digits" / StudyNames.index.name),
        counts={TrialState.COMPLETE: 2} if over else {TrialState.RUNNING: 2},
        best=1 if over else None,
        best_value=0.3 if over else None,
        ended=_BEGAN + 60 if over else None,
        upcoming=() if over else (2, 3),
    )


def _trial(number: int, *, points: int, over: bool = False) -> TrackedTrial:
    return TrackedTrial(
        number=number,
        state=TrialState.COMPLETE if over else TrialState.RUNNING,
        params={"lr": 0.5 + number, "model": "cnn"},
        began=_BEGAN + number,
        ended=_BEGAN + 30 + number if over else None,
        values=(0.1 * points,) if over else None,
        points=tuple(TrackedPoint(step, _BEGAN + step, {"acc": 0.1 * (step + 1)}) for step in range(points)),
        attempts=1,
        host="box",
    )
