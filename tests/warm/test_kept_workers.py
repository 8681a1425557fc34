"""Trials that run one after the other in a process that stays."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import outlast
from lab.functions import Ran, settings_of, write_study
from lab.waiting import until
from outlast._system.processes import identity_of
from outlast._system.tokens import VARIABLE
from outlast.cli.app import app
from outlast.config.load import load_study_file
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator.listener import Listener
from outlast.engine.hold.run import run_study
from outlast.engine.record.recorded import study_paths
from outlast.errors import StudyFileError
from outlast.runner.spec import token_of_study
from outlast.study.printed import printed_end

pytestmark = pytest.mark.slow
Run = Callable[..., Ran]

#: What it does depends on the trial's number.
SOURCE = """
import os, random, signal, sys, threading, time
import numpy, outlast
print("imported", flush=True)
CALLS = []

def run(x):
    trial = outlast.current_trial()
    CALLS.append(trial.number)
    cwd, os.environ["LEFT"] = os.getcwd(), "behind"
    os.chdir("/")
    print("hello from", trial.number)
    match trial.number:
        case 1:
            os.system("echo from below")
            raise ValueError("no luck")
        case 2:
            trial.report(step=0, loss=0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        case 3:
            trial.report(step=0, loss=0.25)
            sys.exit(0)
        case 4:
            os._exit(7)
        case 5:
            time.sleep(60)
        case 6:
            sys.argv[:] = ["other"]
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            trial.report(step=0, loss=float("nan"))
            time.sleep(60)
    trial.report(step=trial.number, loss=x, pid=os.getpid(), calls=len(CALLS), drawn=random.random() + numpy.random.random(),
                 here=float(cwd == HERE and len(sys.argv) > 1), term=float(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL),
                 timer=signal.getitimer(signal.ITIMER_REAL)[0])
    signal.alarm(1000)
    return x

HERE = os.getcwd()
"""


def test_whatever_ends_a_trial_costs_that_one_only_and_what_it_printed_is_shown(run: Run) -> None:
    ended = run(SOURCE, trials=9, isolation="kept", trial={"hang_after": 1.0, "grace": 0.2})
    causes = [trial.cause for trial in ended.trials if trial.number < 9]
    assert causes[:5] == [Cause.COMPLETED, Cause.CRASH, Cause.CRASH, Cause.COMPLETED, Cause.CRASH]
    hung, diverged, *sound = ended.trials[5:9]
    assert [outcome.cause for outcome in hung.ended] == [Cause.HANG, Cause.HANG] and hung.state is TrialState.FAILED
    assert diverged.cause is Cause.DIVERGED
    assert [trial.state for trial in sound] == [TrialState.COMPLETE] * 2
    last = [trial.last for trial in ended.trials]
    assert [o.exit_code for o in last[:5] if o] == [0, 1, None, 0, 7] and last[2] is not None and last[2].signal == 9
    assert "ValueError: no luck" in ended.trials[1].reason
    assert ended.trials[3].curve() == {0: 0.25} and ended.trials[7].curve() == {7: ended.trials[7].params["x"]}
    told = [trial.metrics for trial in sound]
    assert told[0]["pid"] == told[1]["pid"] and [each["calls"] for each in told] == [1, 2]  # since the last worker died
    assert all(each["here"] and each["term"] for each in told) and told[0]["drawn"] != told[1]["drawn"]
    assert [each["timer"] for each in told] == [0, 0]
    assert not [
        name for name in ("trials", "open") if (ended.folder / name).exists() and os.listdir(ended.folder / name)
    ]

    def said(*words: str) -> str:
        return CliRunner().invoke(app, list(words), catch_exceptions=False).output

    folder = str(ended.folder)
    assert said("logs", folder, "0") == "imported\nhello from 0\n"
    assert said("logs", folder, "1").startswith("hello from 1\nfrom below\nTraceback")
    assert said("logs", folder, "2") == "hello from 2\n"
    assert "hello from 1" in said("show", folder, "1") and "work.py" in said("show", folder, "failures")


def test_a_worker_is_replaced_after_so_many_trials(run: Run) -> None:
    done = run(
        "import os, outlast\ndef run(x):\n    return {'loss': x, 'pid': os.getpid()}\n", trials=5, isolation={"kept": 2}
    )
    pids = done.metric("pid")
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    for pid in pids:
        until(lambda pid=pid: identity_of(int(pid)) is None, "no worker is left")


def test_what_cannot_be_imported_fails_each_trial_with_its_reason(run: Run) -> None:
    done = run("import not_there\n", trials=2, isolation="kept")
    assert {trial.cause for trial in done.trials} == {Cause.CRASH}
    assert all("not_there" in trial.reason for trial in done.trials)


def test_a_disk_that_is_full_of_what_it_prints_is_no_fault_of_a_trial(run: Run) -> None:
    source = """
import os
def run(x):
    for fd in (1, 2):
        os.dup2(os.open("/dev/full", os.O_WRONLY), fd)
    print("x is", x, flush=True)
    return x
"""
    done = run(source, trials=1, isolation="kept")
    assert {outcome.cause for trial in done.trials for outcome in trial.ended} == {Cause.DISK_FULL}


def test_what_a_power_failure_took_of_the_output_is_nobody_elses(tmp_path: Path) -> None:
    place = tmp_path / "here"
    write_study(place, "def run(x):\n    print('x is', x)\n    return x\n", isolation="kept", trials=2)
    settings = settings_of(place)
    paths = study_paths(place / "study", settings)
    run_study(paths, settings, lambda *_: Listener())
    os.truncate(paths.outputs / "0.log", 3)
    more = replace(settings, budget=replace(settings.budget, trials=3))
    _, study = run_study(paths, more, lambda *_: Listener())
    said = [printed_end(paths, study, trial, 1 << 10).decode() for _, trial in sorted(study.trials.items())]
    assert said == ["x i", "", f"x is {study.trials[2].params['x']}\n"]


def closure(offset: float) -> Callable[[Any], float]:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", -5, 5)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        trial.set_user_attr("seen", [x])
        for step in range(3):
            trial.report((x - offset) ** 2 + 3 - step, step)
            if trial.should_prune():
                import optuna

                raise optuna.TrialPruned
        return float((x - offset) ** 2 + (kind == "b"))

    return objective


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_an_objective_draws_reports_and_is_pruned_as_in_a_process_of_its_own(
    pruner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def search(isolation: Any) -> list[Any]:
        done = outlast.optimize(
            closure(0.5), trials=8, name=isolation, isolation=isolation, pruner=pruner, seed=3, quiet=True, parallel=1
        )
        return [(trial.params, trial.state, trial.values, trial.curve(), trial.user_attrs) for trial in done.trials]

    assert search("kept") == search("worker")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"function": None, "command": ["true"]}, "kept is for a function"),
        ({"resources": {"gpus": 1}}, "resources.gpus"),
        ({"metric": {"name": "loss", "goal": "minimize", "file": "a.json"}}, "metric.file"),
        ({"isolation": {"kept": 2, "worker": 2}}, "needs one of worker, kept"),
    ],
)
def test_what_a_kept_worker_cannot_do_is_refused(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    write_study(tmp_path / "study", "", isolation=more.pop("isolation", "kept"), **more)
    with pytest.raises(StudyFileError, match=said):
        settings_of(tmp_path / "study")


def crashes(trial: Any) -> float:
    x = trial.suggest_float("x", 0, 1)
    trial.suggest_int("n", 1, 3)
    for step in range(3):
        trial.report(float(trial.number), step)
        time.sleep(0.06)
    if trial.number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(x)


def test_an_objective_that_crashes_keeps_its_parameters_and_one_that_never_asks_is_not_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pruner = {"name": "median", "n_startup_trials": 1}
    done = outlast.optimize(crashes, trials=5, isolation="kept", pruner=pruner, seed=3, quiet=True, parallel=1)
    assert [trial.state for trial in done.trials if trial.number != 4] == [TrialState.COMPLETE] * 5
    assert done.trials[4].state is TrialState.FAILED
    assert [list(trial.params) for trial in done.trials] == [["x", "n"]] * 6


def test_what_trials_started_ends_with_the_run_and_hinders_no_other(tmp_path: Path) -> None:
    place = tmp_path / "here"
    source = """
        import os, time
        def run(x):
            child = os.fork()
            if not child:
                time.sleep(300)
                os._exit(0)
            return {"loss": x, "child": child}
    """
    write_study(place, source, isolation="kept", trials=1)
    settings = settings_of(place)
    paths = study_paths(place / "study", settings)
    _, study = run_study(paths, settings, lambda *_: Listener())
    child = int(study.trials[0].metrics["child"])
    until(lambda: identity_of(child) is None, "what a trial left ends with the run")
    token = f"{token_of_study(str(paths.root))}kept:0;"
    with open(paths.outputs / "0.log", "a") as held, subprocess.Popen(["sleep", "300"], env={VARIABLE: token}) as left:
        assert held  # what a coordinator that was killed left behind
        try:
            more = replace(settings, budget=replace(settings.budget, trials=2))
            _, study = run_study(paths, more, lambda *_: Listener())
            assert left.wait(timeout=60) == -signal.SIGKILL
        finally:
            left.kill()
    assert [trial.state for trial in study.trials.values()] == [TrialState.COMPLETE] * 2


def test_where_there_is_no_linux_a_search_is_refused_and_a_record_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path / "study", "", isolation="kept")
    monkeypatch.delattr(select, "epoll")
    with pytest.raises(StudyFileError, match="kept workers need Linux"):
        load_study_file(str(tmp_path / "study" / "study.json"))
    assert settings_of(tmp_path / "study").isolation.mode == "kept"
