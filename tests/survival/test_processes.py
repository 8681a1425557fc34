"""Runner, training and coordinator killed one at a time; orphans, adoption, many at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from lab.survival import Lab, verify
from lab.waiting import state_of, until, wait_gone
from outlast._system.processes import identity_of
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow


def test_a_runner_killed_alone_takes_its_training_along_and_the_trial_goes_on(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, epochs=4)
    lab.hold(0, 2)
    run = lab.start()
    training = lab.wait_for_epoch(0, 2)["pid"]
    os.kill(lab.runner_of(0, 1), signal.SIGKILL)
    wait_gone(training)
    lab.let_go(0)
    assert run.wait() == 0
    assert verify(lab, reference, trials=3, interruptions=1).faults == []
    first, second = lab.study().trials[0].ended
    assert (first.cause, first.state) == (Cause.LOST, TrialState.INTERRUPTED)
    assert second.state is TrialState.COMPLETE
    assert next(line["epoch"] for line in lab.audit if line["trial"] == 0 and line["attempt"] == 2) == 2


def test_a_training_killed_alone_is_a_crash_and_is_tried_again_as_often_as_retries_say(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, trial={"retries": 1})
    lab.hold(0, 1)
    run = lab.start()
    os.kill(lab.wait_for_epoch(0, 1)["pid"], signal.SIGKILL)
    lab.let_go(0)
    assert run.wait() == 0
    assert verify(lab, reference, trials=3, interruptions=1).faults == []
    assert [outcome.cause for outcome in lab.study().trials[0].ended] == [Cause.CRASH, Cause.COMPLETED]


@pytest.mark.parametrize("who", ["training", "runner", "coordinator"])
def test_a_process_killed_in_the_middle_of_a_report_leaves_no_half_point(
    who: str, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, epochs=4, trial={"retries": 1})
    lab.hold(0, 1)
    run = lab.start()
    reports = lab.paths.attempt(0, 1).reports
    until(lambda: reports.exists() and reports.read_bytes().endswith(b"\n"), "a report is written down")
    training = lab.wait_for_epoch(0, 1)["pid"]
    with open(reports, "ab") as file:
        file.write(b'{"v": 1, "step": 1, "metrics": {"score": 0.')
    pid = {"training": training, "runner": lab.runner_of(0, 1), "coordinator": run.pid}[who]
    os.kill(pid, signal.SIGKILL)
    lab.let_go(0)
    assert run.wait() == (-9 if who == "coordinator" else 0)
    if who == "coordinator":
        lab.run()
    assert verify(lab, reference, trials=3, interruptions=who != "coordinator").faults == []
    trial = lab.study().trials[0]
    x, curve = trial.params["x"], trial.curve(0)
    assert all(value == pytest.approx(1 - (x - 0.3) ** 2 + 0.001 * step) for step, value in curve.items())
    assert max(curve) == 3


def test_without_retries_it_has_failed_and_another_trial_takes_its_place(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1)
    lab.hold(0, 1)
    run = lab.start()
    os.kill(lab.wait_for_epoch(0, 1)["pid"], signal.SIGKILL)
    assert run.wait() == 0
    assert verify(lab, reference, trials=3, interruptions=0, failed=1).faults == []
    assert "ended by SIGKILL" in (lab.paths.trial(0).error_log).read_text()


def test_a_killed_coordinator_leaves_its_trial_training_and_the_next_adopts_it(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1)
    lab.hold(0, 1)
    first = lab.start()
    training = lab.wait_for_epoch(0, 1)["pid"]
    first.kill()
    assert identity_of(training) is not None
    second = lab.start()
    until(lambda: "taken over" in second.said, lambda: second.said)
    lab.let_go(0)
    assert second.wait() == 0, second.said
    assert "trial 0 is still running: taken over, not restarted" in second.said
    assert len(lab.study().trials[0].attempts) == 1
    assert {line["pid"] for line in lab.audit if line["trial"] == 0} == {training}
    assert verify(lab, reference, trials=3, interruptions=0).faults == []


def test_what_ended_while_nobody_watched_is_taken_in_and_not_repeated(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1)
    lab.hold(0, 1)
    first = lab.start()
    lab.wait_for_epoch(0, 1)
    first.kill()
    lab.let_go(0)
    until(lambda: lab.paths.attempt(0, 1).exit.exists(), "the runner leaves its evidence")
    lab.run()
    assert len(lab.study().trials[0].attempts) == 1
    assert verify(lab, reference, trials=3, interruptions=0).faults == []


def test_a_grandchild_in_its_own_session_never_trains_beside_the_next_attempt(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, shadow=True, trials=2)
    lab.hold(0, 1)
    run = lab.start()
    lab.wait_for_epoch(0, 1)
    shadow = lab.wait_for_epoch(0, -1)["pid"]
    os.kill(lab.runner_of(0, 1), signal.SIGKILL)
    lab.wait_for_epoch(0, 1, attempt=2)
    assert identity_of(shadow) is None
    lab.let_go(0)
    assert run.wait() == 0
    assert verify(lab, reference, trials=2, interruptions=1).faults == []


def test_a_grandchild_does_not_outlive_a_training_whose_coordinator_died_as_well(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, shadow=True, trials=2)
    lab.hold(0, 1)
    run = lab.start()
    lab.wait_for_epoch(0, 1)
    lab.wait_for_epoch(0, -1)
    runner = lab.runner_of(0, 1)
    run.kill()
    os.kill(runner, signal.SIGKILL)
    lab.let_go(0)
    lab.run()
    assert verify(lab, reference, trials=2, interruptions=1).faults == []


def test_a_runner_that_was_stopped_before_its_claim_finds_its_attempt_given_away(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab()
    once = str(lab.place / "struck")
    stop = {"role": "runner", "stop_on": {"match": "link .*/attempts/1/started.json"}, "once": once}
    first = lab.start(faults=stop)
    until(lambda: os.path.exists(once), "the runner stops")
    first.kill()
    stopped = until(lambda: [pid for pid in lab.processes() if state_of(pid) == "T"], "it has stopped")
    assert len(stopped) == 1
    lab.run()
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert verify(lab, reference, trials=3, interruptions=0).faults == []
    assert [outcome.cause for outcome in lab.study().trials[0].ended] == [Cause.NEVER_STARTED, Cause.COMPLETED]


def test_a_runner_that_cannot_begin_is_a_loss_and_not_tried_for_ever(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(trials=1, budget={"max_failures": 1})
    run = lab.run(faults={"role": "runner", "kill_at": 1}, code=3)
    assert "runner died before" in run.said or "never started" in run.said
    assert [o.cause for o in lab.study().trials[0].ended] == [Cause.LOST] * 3


def test_a_trial_that_a_new_revision_rules_out_does_not_go_on_training(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(seconds=0.1, epochs=40, trials=1)
    lab.hold(0, 1)
    first = lab.start()
    training = lab.wait_for_epoch(0, 1)["pid"]
    first.kill()
    lab.write(parameters={"x": {"min": 0.0, "max": 0.01}}, trial={"resume_args": []})
    lab.settings["command"][lab.settings["command"].index("40")] = "3"
    lab.write()
    lab.epochs = 3
    lab.run("run", "study.yaml", "--accept-changes")
    assert identity_of(training) is None
    study = lab.study()
    assert [(t.state, t.cause) for t in study.trials.values()] == [
        (TrialState.FAILED, Cause.SPACE_CHANGED),
        (TrialState.COMPLETE, Cause.COMPLETED),
    ]
    assert lab.processes() == []
    assert os.listdir(lab.paths.open) == []


def test_a_fresh_start_ends_what_a_dead_coordinator_left_training(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.2, epochs=4)
    lab.hold(0, 1)
    first = lab.start()
    training = lab.wait_for_epoch(0, 1)["pid"]
    first.kill()
    fresh = lab.start("run", "study.yaml", "--fresh")
    wait_gone(training)
    lab.let_go(0)
    assert fresh.wait() == 0, fresh.said
    assert identity_of(training) is None
    of_the_new = [json.dumps(line) + "\n" for line in lab.audit if line["pid"] != training]
    (lab.place / "audit.jsonl").write_text("".join(of_the_new))
    verdict = verify(lab, reference, trials=3, interruptions=0)
    assert verdict.faults == []


def test_three_contenders_for_one_dead_holder(make_lab: Callable[..., Lab], reference: dict[int, float]) -> None:
    lab = make_lab(seconds=0.5)
    lab.hold(1, 0)
    first = lab.start()
    lab.wait_for_epoch(1, 0)
    first.kill()
    contenders = [lab.start() for _ in range(3)]
    until(lambda: sum(each.poll() is not None for each in contenders) == 2, "two of them leave")
    lab.let_go(1)
    codes = Counter(contender.wait() for contender in contenders)
    assert codes == {0: 1, 4: 2}, [contender.said for contender in contenders]
    assert verify(lab, reference, trials=3, interruptions=0).faults == []


@pytest.mark.parametrize("many", [2, 16])
def test_many_runs_at_once_on_a_new_folder(
    many: int, make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.4)
    command = [sys.executable, "-m", "outlast", "run", "study.yaml"]
    runs = [
        subprocess.Popen(command, cwd=lab.place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(many)
    ]
    said = [run.communicate(timeout=100)[0] for run in runs]
    codes = Counter(run.returncode for run in runs)
    finished_late = sum("nothing to do" in text or "0 remaining" in text for text in said)
    assert codes[0] >= 1, said
    assert codes[0] + codes[4] == many, said
    for run, text in zip(runs, said, strict=True):
        if run.returncode == 4:
            assert "this study is being run already" in text or "took this study" in text
            assert "Traceback" not in text
            assert "locked" not in text
    assert codes[0] == 1 or finished_late
    assert verify(lab, reference, trials=3, interruptions=0).faults == []


def test_workers_beside_a_run_share_its_trials(make_lab: Callable[..., Lab], reference: dict[int, float]) -> None:
    lab = make_lab(seconds=0.1, trials=6)
    lab.hold(0, 0)
    run = lab.start()
    lab.wait_for_epoch(0, 0)
    workers = [lab.start("worker", "studies/lab") for _ in range(2)]
    until(lambda: {"local", "worker"} <= _slots(lab), "they share its trials")
    lab.let_go(0)
    assert run.wait() == 0
    assert [worker.wait() for worker in workers] == [0, 0]
    assert verify(lab, reference, trials=6, interruptions=0).faults == []
    assert _slots(lab) == {"local", "worker"}


def _slots(lab: Lab) -> set[str]:
    """Whose slots the attempts had."""
    return {attempt.slot.split(":")[0] for trial in lab.study().trials.values() for attempt in trial.attempts}


def test_a_worker_killed_alone_leaves_its_trial_to_the_run(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.1, trials=6)
    lab.hold(0, 0), lab.hold(1, 0)
    run = lab.start()
    lab.wait_for_epoch(0, 0)
    worker = lab.start("worker", "studies/lab")
    lab.wait_for_epoch(1, 0)
    assert "worker" in _slots(lab)
    worker.kill()
    lab.let_go(0), lab.let_go(1)
    assert run.wait() == 0
    for answer in lab.paths.requests.glob("*.answer.json"):  # it did not live to read it
        answer.unlink()
    assert verify(lab, reference, trials=6, interruptions=1).faults == []
