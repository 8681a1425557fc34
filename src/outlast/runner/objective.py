"""``python -m outlast.runner.objective FILE``: an Optuna objective, unchanged, in a process of its own.

What the objective asks its trial goes to the coordinator over an inherited socket, one JSON object a line. The end of the socket
means that the coordinator is gone: the attempt ends as interrupted, and its next one finds the parameters that were drawn.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from outlast.client import current_trial
from outlast.runner.function import call, report_result

__all__ = ["PipeTrial", "load", "main"]

_RESUME_ME = 75  # EX_TEMPFAIL


class PipeTrial:
    """What the objective gets as its ``trial``: Optuna's trial interface, answered by the coordinator."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rw", encoding="utf-8", newline="\n")
        start = self._ask({"op": "begin"})
        self.number: int = start["number"]
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self.system_attrs: dict[str, Any] = {}
        self._objective = os.environ.get("OUTLAST_METRICS", "value").split(",")[0]

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            self._stream.write(json.dumps(question) + "\n")
            self._stream.flush()
            answer = self._stream.readline()
        except OSError:
            answer = ""
        if not answer:
            sys.stdout.flush()
            os._exit(_RESUME_ME)
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise ValueError(found["error"])
        return found

    def _suggest(self, name: str, kind: str, **attributes: Any) -> Any:
        answer = self._ask(
            {"op": "suggest", "name": name, "distribution": json.dumps({"name": kind, "attributes": attributes})}
        )
        self.params[name] = answer["value"]
        return answer["value"]

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """As Optuna's."""
        return float(self._suggest(name, "FloatDistribution", low=low, high=high, step=step, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """As Optuna's."""
        return int(self._suggest(name, "IntDistribution", low=low, high=high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As Optuna's."""
        return self._suggest(name, "CategoricalDistribution", choices=list(choices))

    def report(self, value: float, step: int) -> None:
        """As Optuna's."""
        current_trial().report(step=step, **{self._objective: value})

    def should_prune(self) -> bool:
        """As Optuna's."""
        return bool(self._ask({"op": "should_prune"})["value"])

    def set_user_attr(self, key: str, value: Any) -> None:
        """As Optuna's; kept with the attempt's output."""
        self.user_attrs[key] = value

    def set_system_attr(self, key: str, value: Any) -> None:
        """As Optuna's; kept in this process only."""
        self.system_attrs[key] = value

    @property
    def relative_params(self) -> dict[str, Any]:
        """As Optuna's; nothing is drawn ahead."""
        return {}


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
    return partial(_run, objective) if takes_trial else partial(_run_with_params, objective)


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


def _run_with_params(objective: Callable[..., Any], _pipe_fd: int | None) -> None:
    with open(os.environ["OUTLAST_PARAMS"]) as file:
        params = json.load(file)
    report_result(call(objective, params))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
