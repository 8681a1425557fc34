"""``python -m outlast.objective.process FILE``: an Optuna objective, unchanged, in a process of its own.

What the objective asks its trial goes to the coordinator over an inherited socket, one JSON object a line. The end of the socket
means that the coordinator is gone: the attempt ends as interrupted, and its next one finds the parameters that were drawn.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from outlast.client import current_trial
from outlast.objective.function import report_result, run_with_params
from outlast.objective.pipe_trial import PipeTrial


def main(argv: Sequence[str]) -> int:
    """Load the objective, run it, report what it returns."""
    load(argv)(int(argv[1]) if argv[1:] else None)
    return 0


def load(argv: Sequence[str]) -> Callable[[int | None], None]:
    """Unpickle the objective. What is returned runs one trial, given the number of its conversation's descriptor."""
    import cloudpickle

    sys.path.insert(0, os.getcwd())
    with open(argv[0], "rb") as file:  # first where modules were found when it was pickled, then the objective
        sys.path += [place for place in cloudpickle.load(file) if place not in sys.path]
        objective, takes_trial = cloudpickle.load(file)
    return partial(_run, objective) if takes_trial else partial(run_with_params, objective)


def _run(objective: Callable[..., Any], pipe_fd: int | None) -> None:
    trial = PipeTrial(socket.socket(fileno=pipe_fd))
    try:
        result = objective(trial)
    except Exception as error:
        if type(error).__name__ != "TrialPruned":
            raise
        current_trial()._append({"v": 1, "pruned": True})
        return
    report_result(result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
