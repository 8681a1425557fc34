"""Kill -9 at the operations of rarer moments: a changed study file, a new index, deleted checkpoints, a long ledger, a repair."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pytest

from lab.crashes import FOLDED_AT_ONCE, Point, again, crash, crash_points, kind_of, operations, part_of
from lab.survival import Lab, verify

pytestmark = pytest.mark.slow


def _finished(lab: Lab) -> None:
    lab.run()


def _space_changed(lab: Lab) -> None:
    lab.run()
    lab.write(parameters={"x": {"min": 0.0, "max": 2.0}})


def _index_truncated(lab: Lab) -> None:
    lab.run()
    with open(lab.paths.index, "r+b") as file:
        file.truncate(5000)


def _ledger_lost(lab: Lab) -> None:
    lab.run()
    shutil.rmtree(lab.paths.ledger)


def _torn_everywhere(lab: Lab) -> None:
    _index_truncated(lab)
    with open(lab.paths.ledger / "00000001.jsonl", "ab") as file:
        file.write(b'{"v":1,"n":99,"events":[{"kind":"trial_cr')
    shutil.rmtree(lab.paths.trial(1).folder)
    os.unlink(lab.folder / "trials.csv")


@dataclass(frozen=True)
class Scenario:
    """A study that is prepared, a command that is hit, and the commands that bring it to its end."""

    command: tuple[str, ...]
    prepare: Callable[[Lab], object] = _finished
    then: tuple[tuple[str, ...], ...] = ()
    trials: int = 4
    settings: dict[str, Any] = field(default_factory=dict)
    only: str = ""  # a part of the kinds that are hit
    checkpoints: int | None = None
    rebuilds: bool = False  # a new index or ledger may replace an old one, which is kept
    patch: str = ""
    alike: bool = True  # the parameters are those of an uninterrupted run


_MORE = ("run", "study.yaml", "--trials", "4")
SCENARIOS = {
    "raised": Scenario(_MORE, only="yaml"),
    "accepted": Scenario((*_MORE, "--accept-changes"), prepare=_space_changed, only="yaml|revisions|ledger", alike=False,
        rebuilds=True,
    ),
    "rebuild": Scenario(_MORE, prepare=_index_truncated, only=r"study\.db", rebuilds=True),
    "retention": Scenario(
        ("run", "study.yaml"), prepare=lambda lab: None, trials=3, settings={"checkpoints": {"keep": 1}},
        only="checkpoint", checkpoints=1,
    ),
    "lost ledger": Scenario(("repair", "studies/lab"), prepare=_ledger_lost, then=(_MORE,), only=r"ledger|study\.db",
        rebuilds=True,
    ),
    "torn": Scenario(
        ("repair", "studies/lab"), prepare=_torn_everywhere, then=(_MORE,), only=r"ledger|study\.db|trial\.json",
        rebuilds=True,
    ),
    "folded": Scenario(
        _MORE, prepare=lambda lab: lab.run(patch=FOLDED_AT_ONCE), only="folded|drawn|glance|behind", patch=FOLDED_AT_ONCE
    ),
}  # fmt: skip


def _prepared(scenario: Scenario, make_lab: Callable[..., Lab], name: str, source: Lab | None = None) -> Lab:
    lab = make_lab(
        name, trials=scenario.trials if scenario.command == ("run", "study.yaml") else 2, **scenario.settings
    )
    if source is None:
        scenario.prepare(lab)
    elif source.folder.exists():
        lab.copy_from(source)
    return lab


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_rare_moment_survives_a_kill_at_any_operation(
    name: str, part: int, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    scenario = SCENARIOS[name]
    prepared = _prepared(scenario, make_lab, "prepared")
    recorded = operations(_prepared(scenario, make_lab, "recorded", prepared), *scenario.command, patch=scenario.patch)
    points = crash_points([kind_of(operation) for operation in recorded])
    points = [point for point in points if any(word in point.kind for word in scenario.only.split("|"))]
    assert len(points) > 3
    struck = []
    for at, point in enumerate(points := part_of(points, part, 2)):
        found = _hit(scenario, _prepared(scenario, make_lab, str(at), prepared), point, reference)
        struck += [] if found is None else [found]
    assert not any(struck), "\n".join(chain(*struck))
    assert len(struck) >= len(points) // 2, f"{len(struck)} of {points}"


def _hit(scenario: Scenario, lab: Lab, point: Point, reference: dict[int, float]) -> list[str] | None:
    """What is wrong afterwards; ``None``: the moment did not come."""
    faults = crash(lab, "coordinator", point, *scenario.command, patch=scenario.patch)
    if faults is None:
        return None
    for command in (scenario.command, *scenario.then):
        faults += again(lab, *command, patch=scenario.patch)
    faults += verify(
        lab,
        reference if scenario.alike else {},
        trials=scenario.trials,
        interruptions=1,
        set_aside=scenario.rebuilds,
        checkpoints=scenario.checkpoints,
    ).faults
    return [f"{point}: {fault}" for fault in faults]


@pytest.mark.parametrize("later", range(4))
def test_a_fresh_start_that_dies_keeps_the_old_study_whole(
    later: int, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=2)
    lab.run()
    os.unlink(lab.place / "audit.jsonl")
    fresh = ("run", "study.yaml", "--fresh")
    assert crash(lab, "coordinator", Point("rename .*/studies/lab.*", later), *fresh) == []
    assert again(lab, *fresh) == []
    assert verify(lab, reference, trials=2, interruptions=1).faults == []
    kept = [name for name in os.listdir(lab.place / "studies") if name != "lab"]
    done = [name for name in kept if len(list((lab.place / "studies" / name).glob("trials/*/trial.json"))) == 2]
    assert done, kept
    assert again(lab, "run", f"studies/{done[0]}") == []
