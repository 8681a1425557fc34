"""Searches that were, to be sent."""

from __future__ import annotations

from pathlib import Path

from tests.lab.recorded import record_study

from outlast.core.states import TrialState
from outlast.testing.studies import StudyBuilder


def searched(folder: Path, trials: int, tracking: object = None) -> str:
    build = StudyBuilder()
    for number in range(trials):
        state = TrialState.FAILED if number % 7 == 3 else TrialState.COMPLETE
        curve = ((0, 0.1), (1, number / 100))
        build.trial({"lr": 1 + number % 2}, state, values=None if number % 7 == 3 else number / 100, curves=(curve,))
    file = {
        "name": "digits", "command": ["true"], "metric": {"name": "acc", "goal": "maximize"},
        "parameters": {"lr": [1, 2], "a": 7}, "budget": {"trials": trials}, "tracking": tracking,
    }  # fmt: skip
    record_study(folder, file, build)
    return str(folder)
