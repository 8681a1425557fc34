"""`check --smoke` over real scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from msgspec.structs import replace

from lab.waiting import until
from outlast.engine.check.smoke import smoke
from outlast.errors import UsageError

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, time
args = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
if args.get("model") == "vit":
    raise ImportError("timm is missing")
epochs = 3 if "--short" in sys.argv else 1000
for epoch in range(epochs):
    print(f"epoch {epoch}: val_acc={epoch / 1000}", flush=True)
    time.sleep(0.02)
"""
PARAMETERS = {
    "model": {"values": ["cnn", "vit", "mlp"]},
    "opt": {"values": ["sgd", "adam"]},
    "heads": {"values": [2, 4], "when": {"model": "mlp"}},
    "lr": {"min": 0.1, "max": 0.9},
}


def levels(found) -> list[str]:
    return [f"{finding.level} {finding.about}" for finding in found.findings]


def test_a_value_that_cannot_run_is_named_and_nothing_is_left(make, left_behind) -> None:
    settings = make(SCRIPT, parameters=PARAMETERS)
    told = []
    found = smoke(settings, "studies/s", limit=30, tell=told.append)
    assert not found.passed
    texts = [finding.text for finding in found.findings if finding.about == "parameter"]
    assert len(texts) == 1 and texts[0].startswith("model=vit cannot run") and "timm is missing" in texts[0]
    for name in ("model", "opt", "heads"):
        seen = {trial.params[name] for trial in found.trials if name in trial.params}
        assert seen == set(PARAMETERS[name]["values"])
    passed = [trial for trial in found.trials if trial.outcome == "passed"]
    assert all(trial.reason == "ended at its first report" and trial.seconds < 10 for trial in passed)
    assert all("ImportError: timm is missing" in t.traceback for t in found.trials if t.outcome == "failed")
    assert sorted(trial.number for trial in told) == [trial.number for trial in found.trials]
    assert left_behind() == []


def test_with_check_args_a_trial_runs_to_its_end(make, left_behind) -> None:
    settings = make(SCRIPT, check={"args": ["--short"]})
    found = smoke(settings, "studies/s", limit=30)
    assert found.passed
    (trial,) = found.trials
    assert trial.reason == "ended by itself" and trial.cause == "completed" and trial.scores == {"val_acc": 0.002}
    assert "ok metric" in levels(found) and "ok metrics seen" in levels(found)
    assert left_behind() == []


def test_a_metric_typo_is_found_with_the_nearest_name(make) -> None:
    settings = make(SCRIPT, metric={"name": "val_acuracy", "goal": "maximize"}, check={"args": ["--short"]})
    found = smoke(settings, "studies/s", limit=30)
    assert not found.passed
    error = next(finding for finding in found.findings if finding.about == "metric")
    assert error.level == "error" and "val_acc" in error.text and "val_acc" in (error.cure or "")


def test_a_trial_without_a_report_is_ended_at_the_limit_and_counts_as_passed(make, left_behind) -> None:
    settings = make("import time\ntime.sleep(600)\n")
    began = time.monotonic()
    found = smoke(settings, "studies/s", limit=0.5)
    assert found.passed and time.monotonic() - began < 120
    assert found.trials[0].reason == "ended after 0.5 s"
    assert "note metric" in levels(found)
    assert left_behind() == []


def test_a_combination_that_cannot_run_blames_no_value(make) -> None:
    script = SCRIPT.replace('args.get("model") == "vit"', '(args["model"], args["opt"]) == ("vit", "adam")')
    found = smoke(make(script, parameters=PARAMETERS), "studies/s", limit=30)
    texts = [finding.text for finding in found.findings if finding.about == "parameter"]
    assert len(texts) == 1 and "a combination" in texts[0]


def test_the_studys_own_folder_and_checkpoints_are_not_touched(make, tmp_path) -> None:
    script = """
import os, sys
open(os.path.join(os.environ["OUTLAST_CHECKPOINT_DIR"], "model.bin"), "w").write("x")
print("val_acc=1.0")
"""
    elsewhere = tmp_path / "scratch"
    settings = make(script, checkpoints={"dir": str(elsewhere), "keep": 1})
    os.makedirs("studies/s")
    assert smoke(settings, "studies/s", limit=30).passed
    assert os.listdir("studies/s") == [] and os.listdir("studies") == ["s"]
    assert not elsewhere.exists()


def test_a_script_that_asks_to_be_resumed_is_not_run_again(make) -> None:
    found = smoke(make("import sys\nsys.exit(75)\n"), "studies/s", limit=30)
    assert not found.passed and len(found.trials) == 1


def test_a_trial_in_parts_runs_one_part(make) -> None:
    script = SCRIPT.replace('if args.get("model")', 'open(f"ran-{time.time_ns()}", "w")\nif args.get("model")')
    settings = make(script, trial={"seeds": [1, 2, 3], "grace": 2}, check={"args": ["--short"]})
    assert smoke(settings, "studies/s", limit=30).passed
    assert len([name for name in os.listdir(".") if name.startswith("ran-")]) == 1


def test_a_python_function_is_tried_as_well(make, left_behind) -> None:
    settings = make("def train(lr):\n    return {'val_acc': lr}\n", command=None, function="train:train")
    found = smoke(settings, "studies/s", limit=30)
    assert found.passed and "val_acc" in found.trials[0].scores
    assert set(left_behind()) <= {"__pycache__"}


FUNCTION = """
import sys
def train(lr):
    if lr > 0.8:
        raise ValueError("too large")
    print("other=2.0")
    return {"val_acc": lr}
"""


@pytest.mark.parametrize("isolation", [None, "process", "worker", "kept"])
def test_of_trials_that_end_at_once_all_is_seen(make, isolation) -> None:
    """They leave nothing in their folders, kept ones have none."""
    parameters = {"lr": {"values": [0.5, 0.9]}}
    if isolation is None:
        script = "case $1 in *0.9) echo 'ValueError: too large'; exit 1;; esac; echo other=2.0 val_acc=0.5"
        settings = make(command=["sh", "-c", script, "sh", "${args}"], parameters=parameters)
    else:
        settings = make(FUNCTION, command=None, function="train:train", isolation=isolation, parameters=parameters)
    found = smoke(settings, "studies/s", limit=30)
    good, bad = sorted(found.trials, key=lambda trial: trial.outcome == "failed")
    assert dict(good.scores) == {"val_acc": 0.5} and good.metrics["other"] == 2.0
    assert bad.outcome == "failed" and "too large" in bad.traceback
    assert {"ok metric", "ok metrics seen", "error parameter"} <= set(levels(found))


@pytest.mark.parametrize("reports", [True, False])
def test_a_kept_trial_is_ended_at_its_first_report_and_at_the_limit(make, reports) -> None:
    script = f"""
import time, outlast
def train(lr):
    for step in range(12_000):  # ten minutes
        if {reports}:
            outlast.current_trial().report(step=step, val_acc=lr)
        time.sleep(0.05)
"""
    settings = make(script, command=None, function="train:train", isolation="kept")
    began = time.monotonic()
    found = smoke(settings, "studies/s", limit=30 if reports else 0.5)
    assert found.passed and time.monotonic() - began < 120
    assert found.trials[0].reason == ("ended at its first report" if reports else "ended after 0.5 s")


def test_an_objective_handed_over_from_python_is_refused(make) -> None:
    from outlast.config.settings import OBJECTIVE

    settings = replace(make(), command=None, function=OBJECTIVE)
    with pytest.raises(UsageError, match="handed over from Python"):
        smoke(settings, "studies/s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_termination_leaves_no_process_and_no_folder(make, left_behind, tmp_path, number) -> None:
    make(f"""
import os, subprocess, time
subprocess.Popen(["sleep", "600"], start_new_session=True)
open({str(tmp_path / "up")!r}, "w").close()
time.sleep(600)
""")
    running = subprocess.Popen(
        [sys.executable, "-m", "outlast", "check", "study.yaml", "--smoke"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    until(lambda: (tmp_path / "up").exists() or running.poll() is not None, "a trial has begun", 60)
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 4, output
    assert left_behind() == []
    mine = str(tmp_path)
    until(lambda: not [p for p in psutil.process_iter(["environ"]) if mine in trial_of(p)], "nothing is left", 60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive


def trial_of(process: psutil.Process) -> str:
    return str((process.info["environ"] or {}).get("OUTLAST_TRIAL_DIR", ""))
