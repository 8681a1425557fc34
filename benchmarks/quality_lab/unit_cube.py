"""Configurations as rows of numbers, which models are fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quality_lab.axes import exists

Array = Any


class Unit:
    """Configurations as rows in [0, 1], and back; what does not exist lies in the middle."""

    def __init__(self, space: Sequence[Mapping[str, Any]]) -> None:
        self.space = [dict(parameter) for parameter in space]
        self.choices = np.array([parameter["kind"] == "choice" for parameter in self.space])
        self.counts = [len(parameter.get("choices", ())) for parameter in self.space]

    def row(self, params: Mapping[str, Any]) -> Array:
        """A configuration's row."""
        return np.array([self._to(parameter, params) for parameter in self.space])

    def _to(self, parameter: Mapping[str, Any], params: Mapping[str, Any]) -> float:
        name = parameter["name"]
        if name not in params:
            return -1.0 if parameter["kind"] == "choice" else 0.5
        if parameter["kind"] == "choice":
            return float(parameter["choices"].index(params[name]))
        low, high = self._ends(parameter)
        value = np.log(params[name]) if parameter["log"] else params[name]
        return float((value - low) / (high - low))

    @staticmethod
    def _ends(parameter: Mapping[str, Any]) -> tuple[float, float]:
        low, high = float(parameter["low"]), float(parameter["high"])
        if parameter["kind"] == "int":
            low, high = low - 0.5, high + 0.5
        return (float(np.log(low)), float(np.log(high))) if parameter["log"] else (low, high)

    def params(self, row: Array) -> dict[str, Any]:
        """The configuration nearest to a row: whole numbers are whole, and only what exists is in it."""
        params: dict[str, Any] = {}
        for parameter, at in zip(self.space, row, strict=True):
            if not exists(parameter, params):
                continue
            if parameter["kind"] == "choice":
                params[parameter["name"]] = parameter["choices"][int(at)]
                continue
            low, high = self._ends(parameter)
            value = low + (high - low) * float(at)
            value = float(np.exp(value)) if parameter["log"] else value
            value = min(max(value, parameter["low"]), parameter["high"])
            whole = parameter["kind"] == "int"
            params[parameter["name"]] = min(max(round(value), parameter["low"]), parameter["high"]) if whole else value
        return params

    def rows(self, uniform: Array) -> Array:
        """Rows for uniform numbers: choices by their share."""
        rows = uniform.copy()
        for at, count in enumerate(self.counts):
            if count:
                rows[:, at] = np.minimum((uniform[:, at] * count).astype(int), count - 1)
        return rows

    def snapped(self, rows: Array) -> tuple[Array, list[dict[str, Any]]]:
        """Rows of configurations that can be, with these."""
        params = [self.params(row) for row in rows]
        return np.array([self.row(each) for each in params]), params
