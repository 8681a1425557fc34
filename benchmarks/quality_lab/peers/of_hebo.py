"""HEBO: one suggestion at a time. It knows no conditions (all parameters are drawn) and nothing of what runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from axes import existing
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO
from speaking import Search, plain, serve


def _as_hebo(parameter: dict[str, Any]) -> dict[str, Any]:
    name, kind = parameter["name"], parameter["kind"]
    if kind == "choice":
        return {"name": name, "type": "cat", "categories": parameter["choices"]}
    word = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
    return {"name": name, "type": word[kind, parameter["log"]], "lb": parameter["low"], "ub": parameter["high"]}


class HeboSearch:
    """HEBO's optimiser."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._space = said["space"]
        np.random.seed(said["seed"])
        torch.manual_seed(said["seed"])
        torch.set_num_threads(1)
        made = DesignSpace().parse([_as_hebo(parameter) for parameter in self._space])
        self._hebo = HEBO(made, scramble_seed=said["seed"])

    def ask(self) -> tuple[Any, dict[str, Any]]:
        suggested = self._hebo.suggest(n_suggestions=1)
        params = {name: plain(value) for name, value in suggested.iloc[0].to_dict().items()}
        for parameter in self._space:
            if parameter["kind"] != "choice":
                low, high, name = parameter["low"], parameter["high"], parameter["name"]
                params[name] = min(max(params[name], low), high)
                params[name] = int(params[name]) if parameter["kind"] == "int" else float(params[name])
        return suggested, existing(self._space, params)

    def tell(self, handle: Any, value: float | None) -> None:
        self._hebo.observe(handle, np.array([[np.nan if value is None else value]]))


def begin(said: dict[str, Any]) -> Search:
    """A new search."""
    return HeboSearch(said)


if __name__ == "__main__":
    serve(begin)
