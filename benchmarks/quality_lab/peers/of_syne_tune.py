"""Syne Tune's conformalised quantile regression (Salinas et al., ICML 2023), by its scheduler's calls.

Its spaces know no conditions: all parameters are drawn.
"""

from __future__ import annotations

import random
from datetime import datetime, timezone
from typing import Any

import numpy as np
from axes import existing
from speaking import Search, serve
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import CQR


def _domain(parameter: dict[str, Any]) -> Any:
    if parameter["kind"] == "choice":
        return config_space.choice(parameter["choices"])
    low, high, log = parameter["low"], parameter["high"], parameter["log"]
    if parameter["kind"] == "int":
        return (config_space.lograndint if log else config_space.randint)(low, high)
    return (config_space.loguniform if log else config_space.uniform)(low, high)


class SyneTuneSearch:
    """A scheduler without a backend."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._space = said["space"]
        random.seed(said["seed"])
        np.random.seed(said["seed"])
        domains = {parameter["name"]: _domain(parameter) for parameter in self._space}
        self._scheduler = CQR(domains, metric="loss", do_minimize=True, random_seed=said["seed"])
        self._count = 0

    def ask(self) -> tuple[Any, dict[str, Any]]:
        suggested = self._scheduler.suggest()
        trial = Trial(self._count, suggested.config, datetime.now(timezone.utc))
        self._count += 1
        self._scheduler.on_trial_add(trial)
        return trial, existing(self._space, suggested.config)

    def tell(self, handle: Any, value: float | None) -> None:
        if value is None:
            self._scheduler.on_trial_error(handle)
        else:
            self._scheduler.on_trial_result(handle, {"loss": value})
            self._scheduler.on_trial_complete(handle, {"loss": value})


def begin(said: dict[str, Any]) -> Search:
    """A new search."""
    return SyneTuneSearch(said)


if __name__ == "__main__":
    serve(begin)
