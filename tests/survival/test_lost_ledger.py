"""A ledger that is lost in the middle of a run: nothing goes on before it is mended, and then everything does."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable

import pytest

from lab.survival import Lab, verify
from lab.waiting import until, wait_gone

pytestmark = pytest.mark.slow


def _killed_in_the_middle(lab: Lab, *, runner_too: bool = True) -> int:
    """A run that died while trial 1 trained. Returns the pid of the training."""
    lab.hold(1, 1)
    run = lab.start()
    training = int(lab.wait_for_epoch(1, 1)["pid"])
    runner = lab.runner_of(1, 1)
    run.kill()
    if runner_too:
        os.kill(runner, signal.SIGKILL)
        wait_gone(runner)
        lab.let_go(1)
    return training


@pytest.mark.parametrize("lost", [("ledger",), ("ledger", "study.db"), ("ledger", "study.db", "open")])
def test_it_is_rebuilt_from_the_copies_the_open_attempts_and_the_index(
    lost: tuple[str, ...], make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1)
    _killed_in_the_middle(lab)
    for name in lost:
        path = lab.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    refused = lab.run(code=1)
    assert "outlast repair" in refused.said
    assert "the ledger is lost" in " ".join(refused.said.split())
    lab.run("repair", "studies/lab")
    lab.run()
    assert verify(lab, reference, trials=3, interruptions=1, set_aside=True).faults == []
    assert len(lab.study().trials[1].attempts) == 2


def test_what_still_trains_is_adopted_after_a_repair(make_lab: Callable[..., Lab], reference: dict[int, float]) -> None:
    lab = make_lab(seconds=0.1, trials=2)
    training = _killed_in_the_middle(lab, runner_too=False)
    shutil.rmtree(lab.folder / "ledger")
    lab.run("repair", "studies/lab")
    again = lab.start()
    until(lambda: "trial 1 is still running: taken over" in again.said, lambda: again.said)
    lab.let_go(1)
    assert again.wait() == 0, again.said
    assert verify(lab, reference, trials=2, interruptions=0, set_aside=True).faults == []
    assert {line["pid"] for line in lab.audit if line["trial"] == 1} == {training}


def test_a_lost_last_segment_is_not_overwritten_by_the_next_run(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=1)
    lab.run()
    lab.run("run", "study.yaml", "--trials", "3")
    (lab.paths.ledger / "00000002.jsonl").unlink()
    refused = lab.run("run", "study.yaml", "--trials", "3", code=1)
    assert "the ledger does not know trial 1" in " ".join(refused.said.split())
    lab.run("repair", "studies/lab")
    lab.run("run", "study.yaml", "--trials", "4")
    assert verify(lab, reference, trials=4, interruptions=0, set_aside=True).faults == []


def test_a_retry_from_scratch_that_dies_before_it_begins_is_still_from_scratch(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(trials=1)
    lab.run()
    lab.run("retry", "studies/lab", "0", "--from-scratch", code=None)
    first = lab.start(faults={"role": "coordinator", "kill_on": {"match": r"rename .*/open/0000\.2"}})
    assert first.wait() == -signal.SIGKILL
    lab.run()
    lab.epochs = 3
    again = [line["epoch"] for line in lab.audit if line["attempt"] > 1]
    assert again == [0, 1, 2]


def test_a_retry_that_was_answered_is_durable(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(seconds=0.1, fail_below=0.2, trials=3, parallel=1)  # trial 1 fails
    lab.hold(2, 0)
    run = lab.start()
    lab.wait_for_epoch(2, 0)
    lab.run("retry", "studies/lab", "1")
    run.kill()
    lab.let_go(2)
    assert lab.study().trials[1].retried_at_attempt == 1
    lab.run()
    assert len(lab.study().trials[1].attempts) == 2


@pytest.mark.parametrize(("harm", "said"), [("unlink", "deleted"), ("empty", "emptied")])
def test_a_run_whose_ledger_is_harmed_under_it_stops_with_the_way_out_and_what_trains_goes_on(
    harm: str, said: str, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, trials=2, parallel=2)
    lab.hold(0, 1), lab.hold(1, 1)
    run = lab.start()
    training = int(lab.wait_for_epoch(1, 1)["pid"])
    segment = lab.paths.ledger / "00000001.jsonl"
    if harm == "unlink":
        segment.unlink()
    else:
        segment.write_bytes(b"")
    assert run.wait() == 1
    words = " ".join(run.said.split())
    assert f"was {said} under it" in words
    assert "outlast repair" in words
    refused = lab.run(code=1)
    assert "the ledger is lost" in " ".join(refused.said.split())
    lab.run("repair", "studies/lab")
    again = lab.start()
    until(lambda: "trial 1 is still running: taken over" in again.said, lambda: again.said)
    lab.let_go(0), lab.let_go(1)
    assert again.wait() == 0, again.said
    assert verify(lab, reference, trials=2, interruptions=0, set_aside=True).faults == []
    assert {line["pid"] for line in lab.audit if line["trial"] == 1} == {training}
    assert [len(trial.attempts) for trial in lab.study().trials.values()] == [1, 1]
