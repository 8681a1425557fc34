"""Kill -9 a worker right before and right after every kind of file operation of its turns; another worker does the rest."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from lab.survival import Lab, Zygote, again, begin, crash, crash_points, kind_of, part_of, read_operations, verify

pytestmark = pytest.mark.slow
_PARTS = 8
_WORK = ("worker", "studies/lab")


@pytest.fixture(scope="session")
def recorded(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Kinds of file operations of a worker that does the whole study, in order."""
    lab = Lab.make(tmp_path_factory.mktemp("recorded"), zygote)
    begin(lab)
    command = lab.start(*_WORK, faults={"record": str(lab.place / "operations.jsonl")})
    assert command.wait() == 0
    kinds = [kind_of(o) for o in read_operations(lab.place / "operations.jsonl") if o["pid"] == command.pid]
    assert len(set(kinds)) > 40
    return kinds


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_worker_killed_at_any_operation_of_its_turns_costs_an_epoch_at_most(
    part: int, recorded: list[str], make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    faults = []
    for at, (kind, later) in enumerate(part_of(crash_points(recorded), part, _PARTS)):
        lab = make_lab(str(at))
        begin(lab)
        found = crash(lab, "coordinator", kind, later, *_WORK)
        if found is None:
            found = [] if later else ["never came to it"]
        else:
            found += again(lab, *_WORK)
            for name in os.listdir(lab.paths.requests):  # it did not live to write a request, or to read its answer
                os.unlink(lab.paths.requests / name)
            found += verify(lab, reference, trials=3, interruptions=1).faults
        faults += [f"killed {'after' if later else 'before'} {kind}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)
