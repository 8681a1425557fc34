"""Kill -9 right before and right after every kind of file operation, run the same command again, compare."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.survival import Lab, Zygote, again, crash, crash_points, kind_of, part_of, read_operations, verify

pytestmark = pytest.mark.slow
_PARTS = 8
_EPOCH = (
    0.06  # seconds: three of them outlast SETTLES_AFTER on any machine, so that what a runner makes durable is hit too
)


@pytest.fixture(scope="session")
def recorded(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Role → kinds of file operations of an uninterrupted run, in order."""
    lab = Lab.make(tmp_path_factory.mktemp("recorded"), zygote, seconds=_EPOCH)
    command = lab.start(faults={"record": str(lab.place / "operations.jsonl")})
    assert command.wait() == 0
    found: dict[str, list[str]] = {"coordinator": [], "runner": []}
    for operation in read_operations(lab.place / "operations.jsonl"):
        role = "coordinator" if operation["pid"] == command.pid else "runner"
        found[role].append(kind_of(operation))
    assert len(set(found["coordinator"])) > 40
    assert len(set(found["runner"])) > 8
    return found


def _faults_after_death(lab: Lab, reference: dict[int, float], role: str, kind: str, later: int) -> list[str]:
    faults = crash(lab, role, kind, later)
    if faults is None:
        return [] if later else [f"never came to {kind}"]  # nothing follows the last one
    faults += again(lab)
    faults += verify(lab, reference, trials=3, interruptions=1).faults
    return [f"killed {'after' if later else 'before'} {kind}: {fault}" for fault in faults]


@pytest.mark.parametrize("part", range(_PARTS))
@pytest.mark.parametrize("role", ["coordinator", "runner"])
def test_a_process_killed_at_any_operation_costs_nothing_but_an_epoch(
    role: str, part: int, recorded: dict[str, list[str]], make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    faults = []
    for at, (kind, later) in enumerate(part_of(crash_points(recorded[role]), part, _PARTS)):
        faults += _faults_after_death(make_lab(str(at), seconds=_EPOCH), reference, role, kind, later)
    assert not faults, "\n".join(faults)


#: Kind of function's trials → one in how many of the points is hit, the same ones on every machine.
_OTHERS = {"process": 24, "worker": 24, "kept": 6}


@pytest.mark.parametrize("isolation", _OTHERS)
def test_the_same_holds_for_functions(
    isolation: str, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab("recorded", isolation=isolation, seconds=_EPOCH)
    command = lab.start(faults={"record": str(lab.place / "operations.jsonl")})
    assert command.wait() == 0
    seen = read_operations(lab.place / "operations.jsonl")
    points = crash_points([kind_of(operation) for operation in seen if operation["pid"] == command.pid])
    assert len(points) > 20
    faults = []
    for at, (kind, later) in enumerate(part_of(points, 0, _OTHERS[isolation])):
        lab = make_lab(str(at), isolation=isolation, seconds=_EPOCH)
        faults += _faults_after_death(lab, reference, "coordinator", kind, later)
    assert not faults, "\n".join(faults)
