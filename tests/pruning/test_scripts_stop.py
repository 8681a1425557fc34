"""Scripts of every kind are stopped soon after the decision, and a trial that was given up is not a failed one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.pruning import Lab, pruned_at
from lab.waiting import until
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow
#: One good trial, then one that is given up at its first report.
FIRST = (0.9, 0.2)
HOPELESS = {"name": "asha", "min_resource": 1, "reduction_factor": 2}
PACE = 0.1
EPOCHS = 40


def given_up(lab: Lab) -> Trial:
    """Run a study of two trials; the second, which was given up at its first step and long before its last."""
    study = lab.run(HOPELESS, first=FIRST)
    trial = study.trials[1]
    assert study.trials[0].state is TrialState.COMPLETE
    assert (trial.state, trial.cause, pruned_at(trial)) == (TrialState.PRUNED, Cause.PRUNED, 1)
    assert lab.epochs_of(1) == list(range(1, len(lab.epochs_of(1)) + 1))
    assert study.failures_since_run == []
    return trial


@pytest.mark.parametrize("style", ["listens", "reports", "prints"])
def test_a_script_stops_within_about_a_second_of_the_report_that_decided(
    style: str, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(style=style, epochs=EPOCHS, seconds=PACE)
    trial = given_up(lab)
    after = len(lab.epochs_of(1)) - 1
    assert after <= 1.0 / PACE + 2, f"{after} epochs of {PACE} s after the decision"
    assert set(trial.curve()) >= {1}, "its curve is kept"
    counts = lab.status()["counts"]
    assert (counts["complete"], counts["pruned"], counts["failed"], counts["interrupted"]) == (1, 1, 0, 0)


def test_a_script_that_listens_is_told_at_its_next_report_and_gets_no_signal(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(style="listens", on_term="saves", epochs=EPOCHS, seconds=PACE)
    given_up(lab)
    (stopping,) = [line for line in lab.audit_of(1) if "stopping" in line]
    late = [line for line in lab.audit_of(1) if line.get("asked")]  # when the epoch ended, before it was reported
    assert stopping["stopping"] == "pruned"
    assert len(late) <= 1, "it went on after it could know"
    assert not any("saved" in line for line in lab.audit_of(1))


def test_a_script_that_saves_on_a_signal_and_leaves_in_order_counts_as_pruned(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(style="prints", on_term="saves", epochs=EPOCHS, seconds=PACE)
    trial = given_up(lab)
    assert any("saved" in line for line in lab.audit_of(1))
    assert trial.last is not None and trial.last.exit_code == 0


def test_a_script_that_ignores_the_signal_is_ended_after_its_grace(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(style="prints", on_term="ignores", epochs=EPOCHS + 20, seconds=PACE)
    trial = given_up(lab)
    after = len(lab.epochs_of(1)) - 1
    assert 0.5 / PACE <= after <= 2.5 / PACE, "a grace of one second"
    assert trial.last is not None and trial.last.signal == 9


def test_what_came_after_the_decision_is_in_the_curve_and_the_decision_on_record(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(style="prints", on_term="ignores", epochs=EPOCHS + 20, seconds=PACE)
    trial = given_up(lab)
    assert list(trial.judged_curve()) == [1]
    assert sorted(trial.curve()) == lab.epochs_of(1)[: len(trial.curve())]
    assert len(trial.curve()) > 3


def test_a_trial_that_was_given_up_stays_so_when_its_runner_dies(make_lab: Callable[..., Lab]) -> None:
    """The request is there, the script ignores it, and the runner is killed within the grace: no further attempt."""
    import json
    import os
    import signal

    lab = make_lab(style="prints", on_term="ignores", epochs=100, seconds=PACE)
    lab.write(HOPELESS, first=FIRST, trial={"grace": "20s"})
    run = lab.start()
    lab.wait_for(1, 1)
    attempt = lab.paths.attempt(1, 1)
    until(attempt.stop.exists, "it is asked to stop", 60)
    os.kill(json.loads(attempt.started.read_text())["pid"], signal.SIGKILL)
    trial = lab.finish(run).trials[1]
    assert (trial.state, pruned_at(trial), len(trial.attempts)) == (TrialState.PRUNED, 1, 1)


def test_a_pruner_that_never_gets_a_value_is_a_warning(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(style="last", epochs=2, seconds=0.01)
    lab.run("median", first=(0.9, 0.8, 0.7))
    (warning,) = [w for w in lab.status()["warnings"] if w["key"] == "pruner_without_values"]
    assert "median" in warning["text"] and "score" in warning["text"]
    assert "at every epoch" in warning["cure"]


@pytest.mark.foreign
def test_a_script_that_only_logs_to_wandb_is_pruned_by_what_it_logs(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(style="wandb", site=True, epochs=30, seconds=PACE)
    study = lab.run(HOPELESS, first=FIRST)
    assert study.trials[1].state is TrialState.PRUNED
    assert len(lab.epochs_of(1)) < 30
