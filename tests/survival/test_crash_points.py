"""Kill -9 right before and right after every kind of file operation, run the same command again, compare; whatever trials are.

`make crash-points` strikes every point in every isolation. Else most of those are left out in which it does not matter what a
trial is: what is drawn from the ledger, and what is made before the first trial. Of these a command's points tell everything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest

from lab.crashes import Point, again, crash, crash_points, decision_points, kind_of, part_of, read_operations
from lab.survival import Lab, Zygote, verify

pytestmark = pytest.mark.slow
_ALL = bool(os.environ.get("OUTLAST_EVERY_CRASH_POINT"))
#: In seconds: three of a runner outlast SETTLES_AFTER on any machine, so that what it makes durable is hit too, as it is of
#: any real training. A coordinator's are as long where what they hit is a decision.
_EPOCH = {"coordinator": 0.02, "runner": 0.06}
_SETTLED = _EPOCH["runner"]
#: Isolation and role → how many kinds of operations there are at least, and in how many tests the points are.
_RUNS = {
    ("command", "coordinator"): (40, 8), ("command", "runner"): (8, 3),
    ("process", "coordinator"): (40, 4), ("process", "runner"): (8, 3),
    ("worker", "coordinator"): (40, 4), ("worker", "runner"): (8, 3),
    ("kept", "coordinator"): (30, 4), ("kept", "runner"): (0, 1),
}  # fmt: skip
#: Where it matters what a trial is.
_OF_TRIALS = re.compile(r"trial|/open|(append|fsync) \S*/ledger/\\d\+\\\.jsonl$")
_OTHERS = 12  # one in so many of the others all the same
_SOME = 4  # one in so many decisions on what outlasts SETTLES_AFTER


def _trials(isolation: str) -> int:
    """So few that each slot is filled anew."""
    return 3 if isolation == "command" else 2


Operations = list[dict[str, Any]]
Points = Callable[[str, str], list[Point]]


@pytest.fixture(scope="session")
def operations_of(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, float], Operations]:
    """Isolation, role and seconds of an epoch → what such processes of an uninterrupted run do."""

    @cache
    def operations(isolation: str, role: str, seconds: float) -> Operations:
        place, trials = tmp_path_factory.mktemp("recorded"), _trials(isolation)
        lab = Lab.make(place, zygote, seconds=seconds, isolation=isolation, trials=trials)
        command = lab.start(faults={"record": str(place / "operations.jsonl")})
        assert command.wait() == 0
        recorded = read_operations(place / "operations.jsonl")
        return [each for each in recorded if (each["pid"] == command.pid) is (role == "coordinator")]

    return operations


@pytest.fixture(scope="session")
def points_of(operations_of: Callable[[str, str, float], Operations]) -> Points:
    """Isolation and role → the points of an uninterrupted run that are hit."""

    def points(isolation: str, role: str) -> list[Point]:
        seen = operations_of(isolation, role, _EPOCH[role])
        kinds = [kind_of(operation) for operation in seen]
        assert len(set(kinds)) > _RUNS[isolation, role][0]
        found = crash_points(kinds)
        if isolation != "command" and not _ALL:
            found = [each for each in found if _OF_TRIALS.search(each.kind) or part_of([each], 0, _OTHERS)]
        return found + decision_points(seen)

    return points


@pytest.mark.parametrize(
    ("isolation", "role", "part"), [(*whose, part) for whose, (_, parts) in _RUNS.items() for part in range(parts)]
)
def test_a_process_killed_at_any_operation_costs_nothing_but_an_epoch(
    isolation: str, role: str, part: int, points_of: Points, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    points = part_of(points_of(isolation, role), part, _RUNS[isolation, role][1])
    more = (
        {"trial": {"retries": 1}} if (isolation, role) == ("kept", "runner") else {}
    )  # there, it is the training as well
    trials = _trials(isolation)

    def lab_at(name: str) -> Lab:
        return make_lab(name, seconds=_EPOCH[role], isolation=isolation, trials=trials, **more)

    _strike(points, role, lab_at, reference, trials)


def test_a_coordinator_killed_where_it_decides_on_evidence_that_is_durable_costs_nothing_but_an_epoch(
    operations_of: Callable[[str, str, float], Operations], make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    points = decision_points(operations_of("command", "coordinator", _SETTLED))
    points = part_of(points, 0, 1 if _ALL else _SOME)
    assert points
    _strike(points, "coordinator", lambda name: make_lab(name, seconds=_SETTLED), reference, _trials("command"))


def _strike(
    points: Sequence[Point], role: str, lab_at: Callable[[str], Lab], reference: dict[int, float], trials: int
) -> None:
    faults, struck = [], 0
    for at, point in enumerate(points):
        lab = lab_at(str(at))
        found = crash(lab, role, point)
        if found is None:  # nothing follows the last one; and two decisions may go into one line
            found = [] if point.later or point.nth > 1 else ["never came to it"]
        else:
            struck += 1
            found += again(lab)
            found += verify(lab, reference, trials=trials, interruptions=1).faults
        faults += [f"{point}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)
    assert struck >= len(points) // 2, f"{struck} of {points}"
