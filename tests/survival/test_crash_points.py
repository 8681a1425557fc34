"""Kill -9 right before and right after every kind of file operation, run the same command again, compare; whatever trials are.

`make crash-points` strikes every point in every isolation. Else most of those are left out in which it does not matter what a
trial is: what is drawn from the ledger, and what is made before the first trial. Of these a command's points tell everything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from lab.crashes import Point, again, crash, crash_points, decision_points, kind_of, part_of, read_operations
from lab.survival import Lab, Zygote, verify

pytestmark = pytest.mark.slow
_ALL = bool(os.environ.get("OUTLAST_EVERY_CRASH_POINT"))
#: In seconds: three of a runner outlast SETTLES_AFTER on any machine, so that what it makes durable is hit too.
_EPOCH = {"coordinator": 0.02, "runner": 0.06}
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


def _trials(isolation: str) -> int:
    """So few that each slot is filled anew."""
    return 3 if isolation == "command" else 2


Points = Callable[[str, str], list[Point]]


@pytest.fixture(scope="session")
def points_of(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Points:
    """Isolation and role → the points of an uninterrupted run that are hit."""
    known: dict[tuple[str, str], tuple[int, list[dict[str, Any]]]] = {}

    def points(isolation: str, role: str) -> list[Point]:
        if (isolation, role) not in known:
            place, trials = tmp_path_factory.mktemp("recorded"), _trials(isolation)
            lab = Lab.make(place, zygote, seconds=_EPOCH[role], isolation=isolation, trials=trials)
            command = lab.start(faults={"record": str(place / "operations.jsonl")})
            assert command.wait() == 0
            known[isolation, role] = command.pid, list(read_operations(place / "operations.jsonl"))
        pid, operations = known[isolation, role]
        seen = [each for each in operations if (each["pid"] == pid) is (role == "coordinator")]
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
    trials, parts = _trials(isolation), _RUNS[isolation, role][1]
    more = (
        {"trial": {"retries": 1}} if (isolation, role) == ("kept", "runner") else {}
    )  # there, it is the training as well
    faults = []
    for at, point in enumerate(part_of(points_of(isolation, role), part, parts)):
        lab = make_lab(str(at), seconds=_EPOCH[role], isolation=isolation, trials=trials, **more)
        found = crash(lab, role, point)
        if found is None:  # nothing follows the last one
            found = [] if point.later else ["never came to it"]
        else:
            found += again(lab)
            found += verify(lab, reference, trials=trials, interruptions=1).faults
        faults += [f"{point}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)
