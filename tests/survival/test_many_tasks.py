"""Five hundred tasks of an array that start at the same moment on a study of a thousand trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.waiting import until
from outlast._system.clock import utc_now
from outlast.config.load import load_study_file
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.hold.opening import open_study
from outlast.engine.record.recorded import study_paths
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]
TASKS, BEFORE = 500, 1000
MOST_TURNS = (
    TASKS // 20
)  # each costs a process that decides, a fold and its syncs: their number is what the machine's load is not


def a_study_of_a_thousand(place: Path) -> StudyPaths:
    """Its trials are complete; as many more are wanted as there will be tasks."""
    study_file = {
        "name": "many",
        "command": ["/bin/sh", "-c", "echo score=0.5; exec sleep 600", "x", "${args}"],
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 1e-5, "max": 1.0, "distribution": "log_uniform_values"}},
        "budget": {"trials": BEFORE + TASKS},
        "sampler": {"name": "tpe", "seed": 3},
    }  # fmt: skip
    (place / "study.yaml").write_text(json.dumps(study_file))
    settings = load_study_file(str(place / "study.yaml"))
    paths = study_paths(place / "studies" / "many", settings)
    events, at = [], utc_now()
    for number in range(BEFORE):
        x, y = (number * 0.618034) % 1, 10 ** (-5 * ((number * 0.414214) % 1))
        events += [
            TrialCreated(number, at, {"x": x, "y": y}, seed=number),
            AttemptOpened(number, 1, at, "worker:gone"),
            AttemptEnded(number, 1, at, TrialState.COMPLETE, Cause.COMPLETED, values=(x - y,)),
        ]
    with open_study(paths, settings) as opened:
        opened.ledger.append(events)
    return paths


def test_five_hundred_tasks_at_once_get_a_trial_each(tmp_path: Path) -> None:
    paths = a_study_of_a_thousand(tmp_path)
    began, tasks = time.monotonic(), []
    for number in range(TASKS):
        job = {"SLURM_JOB_ID": str(7000 + number), "SLURM_ARRAY_JOB_ID": "7000", "SLURM_ARRAY_TASK_ID": str(number)}
        tasks.append(
            subprocess.Popen(
                [sys.executable, "-m", "outlast.engine.cluster.task", str(paths.root), "1", "1"],
                env={**os.environ, **job, "SLURMD_NODENAME": "n1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    try:
        until(lambda: _opened(paths) == TASKS, "every task has its trial", seconds=400)
        print(f"the last of {TASKS} tasks had its trial after {time.monotonic() - began:.0f} s")
    finally:
        for task in tasks:
            task.kill()  # its runner and training die with it: a job leaves nothing behind
        for task in tasks:
            task.wait()
    events = read_ledger(paths.ledger).events
    created = [event.trial for event in events if isinstance(event, TrialCreated)]
    assert created == list(range(BEFORE + TASKS))
    opened = [event for event in events if isinstance(event, AttemptOpened) and event.trial >= BEFORE]
    assert len({event.job for event in opened}) == len(opened) == TASKS
    segments = [segment for segment in read_ledger(paths.ledger).segments if segment.number > 1]
    turns, decided = len(segments), sum("n" in line for segment in segments for line in segment.lines)
    print(f"{turns} turns, {decided} appends")
    assert turns <= MOST_TURNS, "many are answered in one turn"
    assert decided <= 2 * turns, "all that a turn decides for them is one append, or two"


def _opened(paths: StudyPaths) -> int:
    events = read_ledger(paths.ledger).events
    return sum(isinstance(event, AttemptOpened) and event.trial >= BEFORE for event in events)
