"""NePS's default for a space without priors and fidelities: Bayesian optimisation, by its own asking and telling.

It knows no conditions in such a space: all parameters are drawn.
"""

from __future__ import annotations

import random
from typing import Any

import neps
import numpy as np
import torch
from axes import existing
from neps.optimizers import load_optimizer
from neps.space import SearchSpace
from speaking import Search, serve


def _as_neps(parameter: dict[str, Any]) -> Any:
    if parameter["kind"] == "choice":
        return neps.HPOCategorical(parameter["choices"])
    kind = neps.HPOInteger if parameter["kind"] == "int" else neps.HPOFloat
    return kind(parameter["low"], parameter["high"], log=parameter["log"])


class NepsSearch:
    """NePS's optimiser behind its wrapper; it draws from the global generators."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._space = said["space"]
        random.seed(said["seed"])
        np.random.seed(said["seed"])
        torch.manual_seed(said["seed"])
        torch.set_num_threads(1)
        made = SearchSpace({parameter["name"]: _as_neps(parameter) for parameter in self._space})
        self._neps = neps.AskAndTell(load_optimizer("auto", made)[0])

    def ask(self) -> tuple[Any, dict[str, Any]]:
        trial = self._neps.ask()
        return trial, existing(self._space, trial.config)

    def tell(self, handle: Any, value: float | None) -> None:
        self._neps.tell(handle, RuntimeError("it could not run") if value is None else value)


def begin(said: dict[str, Any]) -> Search:
    """A new search."""
    return NepsSearch(said)


if __name__ == "__main__":
    serve(begin)
