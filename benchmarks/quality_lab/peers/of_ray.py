"""Ray Tune's default: its generator of variants, which draws every trial at random, whatever came before."""

from __future__ import annotations

from typing import Any

import numpy as np
from axes import existing
from ray import tune
from ray.tune.search.variant_generator import generate_variants
from speaking import Search, serve


def _domain(parameter: dict[str, Any]) -> Any:
    if parameter["kind"] == "choice":
        return tune.choice(parameter["choices"])
    low, high = parameter["low"], parameter["high"]
    if parameter["kind"] == "int":
        return (tune.lograndint if parameter["log"] else tune.randint)(low, high + 1)
    return (tune.loguniform if parameter["log"] else tune.uniform)(low, high)


class RaySearch:
    """Variants of one experiment."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._space = said["space"]
        self._domains = {parameter["name"]: _domain(parameter) for parameter in self._space}
        self._chance = np.random.RandomState(said["seed"])

    def ask(self) -> tuple[Any, dict[str, Any]]:
        _, spec = next(generate_variants({"config": self._domains}, random_state=self._chance))
        return None, existing(self._space, spec["config"])

    def tell(self, handle: Any, value: float | None) -> None:
        """Nothing of it is used."""


def begin(said: dict[str, Any]) -> Search:
    """A new search."""
    return RaySearch(said)


if __name__ == "__main__":
    serve(begin)
