"""Transformers' own answer to SIGTERM: it saves, leaves in order, and has a score to show; the trial is not finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outlast.core.fold import fold
from outlast.core.states import Cause, TrialState
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

pytestmark = [pytest.mark.slow, pytest.mark.foreign]
SCRIPT = Path(__file__).with_name("jit_training.py")
SECONDS_ALLOWED = 120


def test_a_trainer_that_saves_on_a_signal_and_ends_with_0_is_interrupted_and_goes_on_from_there(tmp_path: Path) -> None:
    study = {
        "name": "jit",
        "command": [sys.executable, str(SCRIPT), "${args}", "--output_dir", "${checkpoint_dir}"],
        "metric": {"name": "eval_loss", "goal": "minimize"},
        "parameters": {"lr": {"min": 1e-4, "max": 1e-2}},
        "budget": {"trials": 1},
        "parallel": 1,
        "trial": {"grace": "60s", "resume_args": ["--resume_from_checkpoint", "${last_checkpoint}"]},
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    paths = StudyPaths.at(tmp_path / "studies" / "jit")
    log = paths.attempt(0, 1).log

    def run() -> subprocess.Popen[bytes]:
        with open(tmp_path / "said.log", "ab") as out:
            argv = [sys.executable, "-m", "outlast", "run", "study.yaml"]
            return subprocess.Popen(
                argv, cwd=tmp_path, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"}
            )

    running = run()
    deadline = time.monotonic() + SECONDS_ALLOWED
    while not (log.exists() and log.read_bytes().count(b"'loss'") >= 3):
        assert running.poll() is None and time.monotonic() < deadline, (tmp_path / "said.log").read_text()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert running.wait(SECONDS_ALLOWED) == 4, (tmp_path / "said.log").read_text()
    trial = fold(read_ledger(paths.ledger).events).trials[0]
    (first,) = trial.ended
    assert (trial.state, first.cause, first.exit_code) == (TrialState.INTERRUPTED, Cause.STOPPED, 0)
    assert b"eval_loss" in log.read_bytes(), "it had a score, and that one does not count"
    (checkpoint,) = paths.trial(0).checkpoints.iterdir()
    saved = json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]
    assert 3 <= saved < 40

    assert run().wait(SECONDS_ALLOWED) == 0, (tmp_path / "said.log").read_text()
    trial = fold(read_ledger(paths.ledger).events).trials[0]
    assert [outcome.cause for outcome in trial.ended] == [Cause.STOPPED, Cause.COMPLETED]
    second = paths.trial(0).log.read_text().partition("=== attempt 2 ===")[2]
    assert "steps=40" in second
    assert second.count("'loss'") == 40 - saved, "only the steps after the checkpoint"
