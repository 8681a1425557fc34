"""Workers without anybody who runs the study: each holds it for a moment, and together they do what one run would."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from lab.survival import Lab, begin, verify
from lab.waiting import until
from outlast.core.states import Cause

pytestmark = pytest.mark.slow


def test_workers_alone_do_what_a_run_would(make_lab: Callable[..., Lab], reference: dict[int, float]) -> None:
    lab = make_lab(trials=8)
    begin(lab)
    workers = [lab.start("worker", "studies/lab") for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0], [worker.said for worker in workers]
    assert verify(lab, reference, trials=8, interruptions=0).faults == []
    ended = lab.study().ended
    assert ended is not None and ended.state == "done"


def test_a_worker_that_dies_leaves_its_trial_to_the_others(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=6, seconds=0.1)
    begin(lab)
    lab.hold(0, 1), lab.hold(1, 1)
    workers = [lab.start("worker", "studies/lab") for _ in range(2)]
    lab.wait_for_epoch(0, 1), lab.wait_for_epoch(1, 1)
    dead = workers.pop()
    dead.kill()
    lab.let_go(0), lab.let_go(1)
    assert workers[0].wait() == 0, workers[0].said
    assert verify(lab, reference, trials=6, interruptions=1).faults == []


def test_runners_killed_under_workers_are_started_again(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=5, seconds=0.1)
    begin(lab)
    lab.hold(1, 1), lab.hold(3, 1)
    worker = lab.start("worker", "studies/lab", "--parallel", "2")
    for trial in (1, 3):
        lab.wait_for_epoch(trial, 1)
        os.kill(lab.runner_of(trial, 1), 9)
        lab.let_go(trial)
    assert worker.wait() == 0, worker.said
    assert verify(lab, reference, trials=5, interruptions=2).faults == []


def test_a_runner_that_dies_before_its_claim_is_a_loss_and_its_worker_leaves(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(trials=1)
    begin(lab)
    broken = {"role": "runner", "fail_on": {"op": "link", "path": "*/started.json", "errno": 13}}
    for attempt in (1, 2, 3):
        worker = lab.start("worker", "studies/lab", faults=broken)
        assert worker.wait() == 4, worker.said
        first = lab.study().trials[0]
        assert [o.cause.value for o in first.ended] == ["lost"] * attempt
        assert os.strerror(13) in first.ended[-1].reason, "what it said last, too"
        assert "no place for another one" in worker.said
    assert first.state.value == "failed", "three losses in a row, as with any other runner"


def test_a_machine_with_no_room_for_a_runner_loses_an_attempt_and_its_worker_leaves(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=2)
    begin(lab)
    full = (
        "import errno, outlast.runner.fork_server as fork_server\n"
        "def fork_runner(*args, **more): raise OSError(errno.EAGAIN, 'Resource temporarily unavailable')\n"
        "fork_server.fork_runner = fork_runner\n"
    )
    worker = lab.start("worker", "studies/lab", patch=full)
    assert worker.wait() == 4 and "no place for another one" in worker.said, worker.said
    assert "could not be started: Resource temporarily unavailable" in lab.study().trials[0].ended[0].reason
    worker = lab.start("worker", "studies/lab")
    assert worker.wait() == 0, worker.said
    assert verify(lab, reference, trials=2, interruptions=0).faults == []


def test_a_study_that_is_stopped_while_workers_work_goes_on_where_it_was(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=6, seconds=0.1)
    begin(lab)
    lab.hold(0, 1), lab.hold(1, 1)
    workers = [lab.start("worker", "studies/lab") for _ in range(2)]
    lab.wait_for_epoch(0, 1), lab.wait_for_epoch(1, 1)
    lab.run("stop", "studies/lab")
    assert {worker.wait() for worker in workers} == {4}, [worker.said for worker in workers]
    assert lab.study().ended is not None
    until(lambda: not lab.processes(), "everything has ended")
    lab.let_go(0), lab.let_go(1)
    worker = lab.start("worker", "studies/lab")
    assert worker.wait() == 0, worker.said
    assert verify(lab, reference, trials=6, interruptions=2).faults == []


def test_workers_prune_for_each_other(make_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = make_lab(
        trials=8, epochs=30, seconds=0.1, pruner={"name": "median", "n_startup_trials": 1, "n_warmup_steps": 2}
    )
    begin(lab)
    workers = [lab.start("worker", "studies/lab", judge="0.2") for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0], [worker.said for worker in workers]
    states = [trial.state.value for trial in lab.study().trials.values()]
    assert states.count("pruned") >= 2, states
    assert len(states) == 8
    longest = {n: max(line["epoch"] for line in lab.audit if line["trial"] == n) for n in range(8)}
    pruned = {t.number: t.ended[-1].pruned_at for t in lab.study().trials.values() if t.state.value == "pruned"}
    assert all(at is not None and at < 30 for at in pruned.values()), pruned
    late = [number for number, at in pruned.items() if longest[number] == 29 and at is not None and at < 15]
    assert not late, (longest, pruned)  # only one that falls behind near its end may end before it is told
    assert any(longest[number] < 29 for number in pruned), longest


def test_a_disk_that_refuses_for_a_while_costs_no_trial_of_a_worker(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=6, seconds=0.1)
    begin(lab)
    full = {"role": "coordinator", "fail_on": {"path": "*/requests/*", "nth": 7, "errno": 28, "times": 4}}
    worker = lab.start("worker", "studies/lab", "--parallel", "2", faults=full)
    assert worker.wait() == 0, worker.said
    assert "No space left on device" in worker.said
    assert verify(lab, reference, trials=6, interruptions=0).faults == []


def test_with_one_slot_and_a_worker_no_trial_is_given_the_score_of_the_other(make_lab: Callable[..., Lab]) -> None:
    training = (
        "import json, os, time\n"
        "mine = int(os.environ['OUTLAST_TRIAL'])\n"
        "json.dump({'score': mine}, open('results.json', 'w'))\n"
        "open(f'began.{mine}', 'w')\n"
        "while not os.path.exists('began.1'): time.sleep(0.02)\n"  # the second overwrites what the first wrote
    )
    lab = make_lab(
        trials=2,
        command=[sys.executable, "-S", "-c", training],
        metric={"file": "results.json"},
        parameters={"x": {"values": [1, 2, 3]}},
    )
    run = lab.start()
    until(lambda: (lab.place / "began.0").exists(), "the first trial writes its score")
    worker = lab.start("worker", "studies/lab")
    worker.wait()
    run.wait()
    trials = lab.study().trials
    for trial in (trials[0], trials[1]):
        assert trial.cause is Cause.NO_SCORE and "${trial_dir}" in trial.reason, trial.reason
    assert all(trial.value in (None, trial.number) for trial in trials.values())  # a third had the folder to itself


def test_a_machine_that_lacks_the_base_configuration_ends_its_own_worker_only(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(trials=3, config="base.yaml")
    (lab.place / "base.yaml").write_text("lr: 0.1\n")
    begin(lab)
    (lab.place / "base.yaml").rename(lab.place / "elsewhere.yaml")  # on this machine the disk is not mounted
    lacking = lab.start("worker", "studies/lab")
    assert lacking.wait() == 2 and "does not exist" in lacking.said, lacking.said
    assert lab.study().ended is None
    (lab.place / "elsewhere.yaml").rename(lab.place / "base.yaml")
    worker = lab.start("worker", "studies/lab")
    assert worker.wait() == 0, worker.said
    assert verify(lab, reference, trials=3, interruptions=0).faults == []
