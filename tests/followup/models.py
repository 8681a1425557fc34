"""A training for good and a test of its model, as small as can be; and what the small search found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from outlast._system.clock import utc_now
from outlast.core.records import AttemptEnded, AttemptOpened
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.prepare import next_attempt
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.study.opened import opened_briefly

SEARCH = "studies/small"
PYTHON = [sys.executable, "-S", "-E"]
#: Trains for good: says no score, leaves a model.
FOR_GOOD = """\
import os, sys
folder = os.environ["OUTLAST_CHECKPOINT_DIR"]
with open("audit.txt", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if os.path.exists("broken"):
    raise ValueError("broken")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "last.pkl"), "w") as file:
    file.write(sys.argv[1])
"""
#: Scores a model: how long its name is.
TEST = """\
import os, sys
with open("looks.txt", "a") as file:
    file.write(open(sys.argv[1]).read() + "\\n")
if os.path.exists("broken"):
    raise ValueError("broken")
print(f"test_score={float(open(sys.argv[1]).read().split('=')[1]):.4f}")
"""
HOW = {"command": [*PYTHON, "test.py", "${model}"], "metric": "test_score"}


def best() -> tuple[int, str]:
    """The search's best trial, and the word that its training is given."""
    found = json.loads(Path(SEARCH, "best_results.json").read_text())["best"]
    return found["trial"], f"--x={found['params']['x']}"


def came_to(folder: str, state: TrialState, *numbers: int, values: tuple[float, ...] | None = None) -> None:
    """Give trials of a follow-up that was laid out an attempt with this outcome, as a run would have."""
    with opened_briefly(study_paths(folder, recorded_settings(folder)[0])) as opened:
        cause = Cause.COMPLETED if state is TrialState.COMPLETE else Cause.CRASH
        for number in numbers:
            attempt, now = next_attempt(opened.study.trials[number]), utc_now()
            outcome = AttemptEnded(number, attempt, now, state, cause, values=values)
            opened.ledger.append([AttemptOpened(number, attempt, now, "none"), outcome])
