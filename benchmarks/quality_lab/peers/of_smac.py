"""SMAC3: its facade for hyperparameters (random forest, log expected improvement), asked and told.

One training a configuration, as with everybody else: by its default SMAC would spend trials on running incumbents again. What
could not run is told with the worst cost so far: its model refuses the infinite one that crashes cost by default.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer
from ConfigSpace.conditions import AndConjunction
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialValue
from speaking import Search, serve


def space_of(space: list[dict[str, Any]], seed: int) -> ConfigurationSpace:
    """The space as SMAC's."""
    made = ConfigurationSpace(seed=seed)
    for parameter in space:
        name = parameter["name"]
        if parameter["kind"] == "choice":
            made.add(Categorical(name, parameter["choices"]))
        else:
            kind = Integer if parameter["kind"] == "int" else Float
            made.add(kind(name, (parameter["low"], parameter["high"]), log=parameter["log"]))
    for parameter in space:
        child = made[parameter["name"]]
        conditions = [InCondition(child, made[parent], values) for parent, values in parameter["when"].items()]
        if conditions:
            made.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
    return made


class SmacSearch:
    """A facade, and the folder that it insists on."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="quality-smac-"))
        scenario = Scenario(
            space_of(said["space"], said["seed"]), deterministic=True, n_trials=said["trials"], seed=said["seed"],
            output_directory=self._folder,
        )  # fmt: skip
        self._smac = HyperparameterOptimizationFacade(scenario, _unused, overwrite=True, logging_level=False)
        self._worst: float | None = None
        self._untold: list[Any] = []  # could not run, before anything did

    def ask(self) -> tuple[Any, dict[str, Any]]:
        info = self._smac.ask()
        return info, dict(info.config)

    def tell(self, handle: Any, value: float | None) -> None:
        if value is None:
            self._untold.append(handle)
        else:
            self._worst = value if self._worst is None else max(self._worst, value)
            self._smac.tell(handle, TrialValue(cost=value), save=False)
        if self._worst is not None:
            for failed in self._untold:
                self._smac.tell(failed, TrialValue(cost=self._worst, status=StatusType.CRASHED), save=False)
            self._untold.clear()

    def close(self) -> None:
        """Take its folder away."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _unused(config: Any, seed: int = 0) -> float:
    raise AssertionError("SMAC is asked and told")


_last: list[SmacSearch] = []


def begin(said: dict[str, Any]) -> Search:
    """A new search; the one before is over."""
    while _last:
        _last.pop().close()
    _last.append(SmacSearch(said))
    return _last[-1]


if __name__ == "__main__":
    try:
        serve(begin)
    finally:
        while _last:
            _last.pop().close()
