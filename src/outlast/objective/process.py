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
from outlast.objective.kept_values import CAUGHT
from outlast.objective.pipe_trial import Ask, PipeTrial, asking_over
from outlast.objective.returned import values_of


def main(argv: Sequence[str]) -> int:
    """Load the objective, run it, report what it returns."""
    load(argv)(int(argv[1]) if argv[1:] else None)
    return 0


def load(argv: Sequence[str]) -> Callable[[int | Ask | None], None]:
    """Unpickle the objective. What is returned runs one trial, given its conversation's descriptor or what asks for it."""
    import cloudpickle

    sys.path.insert(0, os.getcwd())
    with open(argv[0], "rb") as file:  # first where modules were found when it was pickled, then the objective
        sys.path += [place for place in cloudpickle.load(file) if place not in sys.path]
        objective, takes_trial, *around = cloudpickle.load(file)
    if not takes_trial:
        return partial(run_with_params, objective)
    return partial(_run, objective, **(around[0] if around else {}))


def _run(
    objective: Callable[..., Any],
    asked: int | Ask | None,
    *,
    catch: tuple[type[Exception], ...] = (),
    constraints: Callable[[Any], Sequence[float]] | None = None,
) -> None:
    trial = PipeTrial(asked if callable(asked) else asking_over(socket.socket(fileno=asked)))
    try:
        result = objective(trial)
    except Exception as error:
        if any(cls.__name__ == "TrialPruned" for cls in type(error).__mro__):
            _constrain(trial, constraints, None)
            current_trial()._append({"v": 1, "pruned": True})
            return
        if isinstance(error, catch):
            trial.set_system_attr(CAUGHT, _caught(type(error).__name__))
        raise
    if isinstance(result, dict):  # of metrics, which Optuna does not know
        report_result(result)
        return
    try:
        values = values_of(result, os.environ.get("OUTLAST_METRICS", "value").split(","))
    except ValueError as error:  # with Optuna, too, it fails its trial only
        trial.set_system_attr(CAUGHT, _caught("what it returned"))
        sys.exit(f"error: {error}")
    _constrain(trial, constraints, values)
    report_result(values)


def _caught(what: str) -> dict[str, Any]:
    return {"attempt": int(os.environ.get("OUTLAST_ATTEMPT", "1")), "exception": what}


def _constrain(
    trial: PipeTrial, constraints: Callable[[Any], Sequence[float]] | None, values: Sequence[float] | None
) -> None:
    """Keep what a sampler's function of constraints says of a trial that ended well, or was pruned."""
    if constraints is None:
        return
    found = [float(value) for value in constraints(trial.frozen(values))]
    if any(value != value for value in found):
        raise ValueError(f"constraints_func: NaN says nothing; it returned {found}")
    trial.set_system_attr("constraints", found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
