"""What running objectives are told about their study: rows as `study.db` shows them, of finished trials once only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.optimizer.index_rows import IndexRow, RowMaker, directions_of


class Teller:
    """The coordinator's side of `trial.study`."""

    def __init__(self, settings: Settings, study: Study) -> None:
        self._settings, self._study, self._maker = settings, study, RowMaker(settings)
        self._finished: list[dict[str, Any]] = []  # rows in the order in which they were first told
        self._told: dict[int, str | None] = {}  # trial → when it finished, as it was told

    def about(self) -> dict[str, Any]:
        """What does not change while a trial runs."""
        names = [metric.name for metric in self._settings.metrics]
        return {"name": self._settings.name, "directions": directions_of(self._settings), "metrics": names}

    def rows(self, seen: int, curves: Mapping[int, Mapping[int, float]]) -> dict[str, Any]:
        """The rows that are new for somebody.

        Args:
            seen: What the answer before said; 0 at first.
            curves: Trial → step → value of the attempts that run now.
        """
        running = []
        for number, trial in self._study.trials.items():
            if not trial.state.finished:
                running.append(_plain(self._maker.row(trial, curves.get(number))))
            elif self._told.get(number) != trial.finished_at:
                self._told[number] = trial.finished_at
                self._finished.append(_plain(self._maker.row(trial)))
        return {"seen": len(self._finished), "rows": [*self._finished[seen:], *running]}


def _plain(row: IndexRow) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}
