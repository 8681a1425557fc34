"""Kill -9 at the operations of what follows a search: the same command finishes it, and nothing is there twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from lab.crashes import again, crash, crash_points, kind_of, part_of, read_operations
from lab.study import StudyFolder
from lab.survival import Lab

pytestmark = pytest.mark.slow
CONFIRM = ("confirm", "studies/lab", "--top", "2", "--seeds", "2")
REPETITIONS, EPOCHS = 4, 2
PARTS = 24  # a run of the tests strikes one share of the points


class _Child(StudyFolder):
    def __init__(self, lab: Lab) -> None:
        self.place, self.settings, self.dir = lab.place, {}, "studies/lab/confirm"


def _searched(make_lab: Callable[..., Lab], name: str, source: Lab | None = None) -> Lab:
    lab = make_lab(name, trials=3, epochs=EPOCHS, seconds=0.0, parallel=2)
    if source is None:
        lab.run()
    else:
        lab.copy_from(source)
    return lab


def _ledger(lab: Lab) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(lab.paths.ledger.glob("*.jsonl")))


def _wrong(lab: Lab, source: Lab) -> list[str]:
    """What is not as it is after a confirmation that nobody touched."""
    trials = list(_Child(lab).study().trials.values())
    pairs = Counter((trial.of, trial.seed) for trial in trials)
    wrong = [f"{pair} is there {many} times" for pair, many in pairs.items() if many > 1]
    if len(pairs) != REPETITIONS or any(trial.state.value != "complete" for trial in trials):
        wrong.append(f"not all is there: {[(trial.of, trial.state.value) for trial in trials]}")
    attempts = {trial.number: len(trial.attempts) for trial in trials}
    begun = Counter((line["trial"], line["epoch"]) for line in lab.audit[len(source.audit) :])
    wrong += [f"epoch {at} was run {many} times" for at, many in begun.items() if many > attempts.get(at[0], 0)]
    wrong += [] if len(begun) == REPETITIONS * EPOCHS else [f"{len(begun)} epochs instead of {REPETITIONS * EPOCHS}"]
    said = json.loads((lab.folder / "confirm/confirmation.json").read_text())
    if not (said["final"] and said["repetitions"] == {"planned": REPETITIONS, "ended": REPETITIONS, "failed": 0}):
        wrong.append(f"it says {said['repetitions']}")
    config = (lab.folder / "confirmed_config.yaml").read_text()
    wrong += [] if f"trial {said['best']['trial']}" in config else [f"confirmed_config.yaml says {config}"]
    return wrong + ([] if _ledger(lab) == _ledger(source) else ["the search's ledger was written to"])


def test_a_confirmation_that_is_killed_is_finished_by_the_same_command(make_lab: Callable[..., Lab]) -> None:
    source = _searched(make_lab, "source")
    untouched = _searched(make_lab, "untouched", source)
    record = untouched.place / "operations.jsonl"
    pid = untouched.run(*CONFIRM, faults={"record": str(record)}).pid
    recorded = [kind_of(each) for each in read_operations(record) if each["pid"] == pid]
    assert _wrong(untouched, source) == []
    points = [point for point in crash_points(recorded) if "confirm" in point.kind]
    assert len(points) > 30
    struck = 0
    for at, point in enumerate(part_of(points, 0, PARTS)):
        lab = _searched(make_lab, f"at-{at}", source)
        wrong = crash(lab, "coordinator", point, *CONFIRM)
        if wrong is None:
            continue
        struck += 1
        wrong += again(lab, *CONFIRM) + _wrong(lab, source)
        assert wrong == [], point
        lab.end()
    assert struck >= 1
