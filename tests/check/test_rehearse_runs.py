"""`check --rehearse` over real scripts."""

from __future__ import annotations

import pytest

from outlast.engine.check.rehearse import rehearse

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, sys, time
place = os.path.join(os.environ["OUTLAST_CHECKPOINT_DIR"], "last.json")
start = 0
if {resumes} and os.path.exists(place):
    start = json.load(open(place))["epoch"] + 1
if {breaks} and os.path.exists(place):
    raise RuntimeError("size mismatch")
for epoch in range(start, {epochs}):
    time.sleep(0.05)
    if {reports}:
        print(f"epoch {{epoch}}: val_acc={{epoch / 1000}}", flush=True)
    if {saves}:
        with open(place + ".tmp", "w") as file:
            json.dump({{"epoch": epoch}}, file)
        os.replace(place + ".tmp", place)
print("val_acc=1.0")
"""


def script(resumes=True, breaks=False, epochs=1000, reports=True, saves=True) -> str:
    return SCRIPT.format(resumes=resumes, breaks=breaks, epochs=epochs, reports=reports, saves=saves)


def test_a_script_that_resumes_goes_on_above_the_last_step(make, left_behind) -> None:
    found = rehearse(make(script()), "studies/s", limit=30)
    assert found.verdict == "resumes" and found.passed
    assert found.first.killed and found.second is not None
    assert found.second.first_step > found.first.first_step
    assert found.second.first_step >= found.first.last_step
    assert left_behind() == []


def test_a_script_that_silently_starts_over_is_caught(make, left_behind) -> None:
    found = rehearse(make(script(resumes=False)), "studies/s", limit=30)
    assert found.verdict == "starts over" and not found.passed
    assert found.second.first_step == 0 and "OUTLAST_CHECKPOINT_DIR" in (found.cure or "")
    assert left_behind() == []


def test_a_script_without_checkpoints_is_told_so_at_the_limit(make, left_behind) -> None:
    found = rehearse(make(script(saves=False)), "studies/s", limit=1)
    assert found.verdict == "no checkpoint" and "within 1 s" in found.text
    assert left_behind() == []


def test_a_short_script_without_checkpoints_is_told_so_when_it_ends(make) -> None:
    found = rehearse(make(script(saves=False, epochs=3)), "studies/s", limit=30)
    assert found.verdict == "no checkpoint" and "before the script ended" in found.text


def test_a_checkpoint_that_cannot_be_loaded_is_a_failure(make) -> None:
    found = rehearse(make(script(breaks=True)), "studies/s", limit=30)
    assert found.verdict == "failed" and "last.json" in found.text and "size mismatch" in found.text


def test_without_steps_nobody_can_tell(make) -> None:
    ends_by_itself = script(reports=False).replace("range(start, 1000)", "range(start, start + 3 if start else 1000)")
    found = rehearse(make(ends_by_itself), "studies/s", limit=30)
    assert found.verdict == "cannot tell" and found.passed


def test_a_script_that_ends_before_the_kill_is_too_short(make) -> None:
    found = rehearse(make(script(epochs=1)), "studies/s", limit=30)
    assert found.verdict == "cannot tell" and "too short" in found.text


def test_a_script_that_fails_by_itself_is_no_rehearsal(make) -> None:
    found = rehearse(make("raise ValueError('no data')\n"), "studies/s", limit=30)
    assert found.verdict == "failed" and "no data" in found.text


def test_check_args_that_end_it_too_early_are_left_out_in_a_second_try(make) -> None:
    quick = "import sys\nif '--short' in sys.argv:\n    print('val_acc=0.1')\n    sys.exit()\n" + script()
    found = rehearse(make(quick, check={"args": ["--short"]}), "studies/s", limit=30)
    assert found.verdict == "resumes"


def test_the_client_resumes(make) -> None:
    client = """
import time, outlast
trial = outlast.current_trial()
state = trial.load_checkpoint()
for epoch in range(state["epoch"] + 1 if state else 0, 1000):
    time.sleep(0.03)
    trial.save_checkpoint({"epoch": epoch})
    trial.report(step=epoch, val_acc=epoch / 1000)
    if trial.should_stop:
        break
"""
    found = rehearse(make(client), "studies/s", limit=30)
    assert found.verdict == "resumes" and found.first.checkpoint_name.startswith("checkpoint-")


FUNCTION = """
import time, outlast
def train(lr):
    trial = outlast.current_trial()
    state = trial.load_checkpoint()
    for epoch in range(state["epoch"] + 1 if state else 0, 1000):
        time.sleep(0.03)
        trial.report(step=epoch, val_acc=epoch / 1000)
        trial.save_checkpoint({"epoch": epoch})
        if trial.should_stop:
            break
"""


@pytest.mark.parametrize("isolation", ["worker", "kept"])
def test_a_function_is_killed_wherever_it_runs(make, left_behind, isolation) -> None:
    found = rehearse(make(FUNCTION, command=None, function="train:train", isolation=isolation), "studies/s", limit=30)
    assert found.verdict == "resumes" and found.first.killed, found
    assert set(left_behind()) <= {"__pycache__"}


@pytest.mark.parametrize("isolation", [None, "worker", "kept"])
def test_what_ends_at_once_says_why(make, isolation) -> None:
    """Its folder has no evidence, and a kept one has no folder."""
    if isolation is None:
        settings = make(command=["sh", "-c", "echo 'ValueError: no data'; exit 1"])
    else:
        script = "def train(lr):\n    raise ValueError('no data')\n"
        settings = make(script, command=None, function="train:train", isolation=isolation)
    found = rehearse(settings, "studies/s", limit=30)
    assert found.verdict == "failed" and "no data" in found.text


def test_the_steps_of_a_script_that_ends_at_once_are_known(make) -> None:
    found = rehearse(make(command=["sh", "-c", "echo epoch 3: val_acc=0.5"]), "studies/s", limit=30)
    assert (found.first.first_step, found.first.last_step) == (3, 3)
