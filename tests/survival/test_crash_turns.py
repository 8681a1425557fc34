"""Kill -9 a worker right before and right after every kind of file operation of its turns; another worker does the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import chain

import pytest

from lab.crashes import FOLDED_AT_ONCE, Point, again, crash, crash_points, kind_of, operations, part_of
from lab.survival import Lab, Zygote, begin, verify

pytestmark = pytest.mark.slow
_PARTS = 8
_WORK = ("worker", "studies/lab")


#: What a turn keeps of a long ledger; and its mark that something is not drawn yet.
_KEPT = ("folded", "behind")


@pytest.fixture(scope="session")
def points(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> list[Point]:
    """Those of a worker that does the whole study."""
    return _recorded(Lab.make(tmp_path_factory.mktemp("recorded"), zygote))


def _recorded(lab: Lab, patch: str = "") -> list[Point]:
    begin(lab)
    kinds = [kind_of(operation) for operation in operations(lab, *_WORK, patch=patch)]
    assert len(set(kinds)) > 40
    return crash_points(kinds)


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_worker_killed_at_any_operation_of_its_turns_costs_an_epoch_at_most(
    part: int, points: list[Point], make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    faults = [_faults(make_lab(str(at)), point, reference) for at, point in enumerate(part_of(points, part, _PARTS))]
    assert not any(faults), "\n".join(chain(*faults))


def test_the_same_holds_where_turns_keep_what_a_long_ledger_adds_up_to(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    points = _recorded(make_lab("recorded"), FOLDED_AT_ONCE)
    points = [point for point in points if any(name in point.kind for name in _KEPT)]
    assert all(any(name in point.kind for point in points) for name in _KEPT), points
    faults = [_faults(make_lab(str(at)), point, reference, FOLDED_AT_ONCE) for at, point in enumerate(points)]
    assert not any(faults), "\n".join(chain(*faults))


def _faults(lab: Lab, point: Point, reference: dict[int, float], patch: str = "") -> list[str]:
    begin(lab)
    found = crash(lab, "coordinator", point, *_WORK, patch=patch)
    if found is None:
        return [] if point.later else [f"never came to {point.kind}"]
    found += again(lab, *_WORK, patch=patch)
    for name in os.listdir(lab.paths.requests):  # it did not live to write a request, or to read its answer
        os.unlink(lab.paths.requests / name)
    found += verify(lab, reference, trials=3, interruptions=1).faults
    return [f"{point}: {fault}" for fault in found]
