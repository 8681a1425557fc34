"""What draws for a trial: one of our own samplers, or one of Optuna's (`outlast.optimizer.bridge.optuna_suggester`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from outlast.optimizer.ranges import Range


class Suggester(Protocol):
    """Draws values for one trial, which ranges of parameters and earlier trials it was told of before."""

    @property
    def notes(self) -> Mapping[str, Any]:
        """What it notes about the trial; the ledger keeps it."""

    def begin(self, fixed: Mapping[str, Any]) -> object:
        """The trial counts as running from now on; `fixed` it has as it would be drawn, whatever is drawn beside it."""

    def together(self) -> Mapping[str, Any]:
        """Values of the parameters that are drawn together; the trial has none yet."""

    def alone(self, name: str, range_: Range) -> Any:
        """The value of a parameter by itself."""

    def took(self, name: str, value: Any, range_: Range) -> object:
        """The trial has this one now."""

    def end(self) -> object:
        """The trial is asked for no more."""
