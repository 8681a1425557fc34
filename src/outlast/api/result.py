"""What a search has come to: every trial, the best, a data frame, an Optuna study."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from outlast.config.settings import Settings
from outlast.core.best import best_trials
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import StudyState
from outlast.engine.record.look import look
from outlast.engine.record.recorded import recorded_settings
from outlast.errors import UsageError
from outlast.results.trial_table import TrialTable
from outlast.study.home import live_of

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Result:
    """What `optimize` gives back.

    Attributes:
        dir: The study folder; ``outlast status``, ``show`` and every other command take it.
        state: ``done``, or ``stopped`` / ``halted`` with work left: the same call goes on.
        trials: Every trial, by number.
        best_trials: The best complete one; with several objectives, the Pareto front.
    """

    dir: str
    state: StudyState
    trials: tuple[Trial, ...]
    best_trials: tuple[Trial, ...]

    def __repr__(self) -> str:
        best = ", ".join(
            f"trial {trial.number}: {' '.join(f'{value:.6g}' for value in trial.values or ())}"
            for trial in self.best_trials[:5]
        )
        return (
            f"<outlast.Result {self.dir}: {self.state}, {counted_trials(len(self.trials))}, best {best or 'none yet'}>"
        )

    def _repr_html_(self) -> str:
        from outlast.api.cell_page import html_of_result

        return html_of_result(self.dir, self.state, counted_trials(len(self.trials)), self.best_trials)

    @property
    def best_params(self) -> dict[str, Any]:
        """Parameters of the best complete trial. Raises `outlast.errors.UsageError` if there is no such one."""
        return dict(self._the_best().params)

    @property
    def best_value(self) -> float:
        """The best value. Raises `outlast.errors.UsageError` if there is no such one."""
        value = self._the_best().value
        assert value is not None
        return value

    def _the_best(self) -> Trial:
        if not self.best_trials:
            raise UsageError("no trial has completed", cure=f"outlast show {self.dir} failures")
        values = self.best_trials[0].values or ()
        if len(values) > 1:
            raise UsageError("several objectives have no single best", cure="best_trials is the Pareto front")
        return self.best_trials[0]

    @classmethod
    def of(cls, dir: str | os.PathLike[str]) -> Result:
        """What a study folder holds, whoever ran it: ``outlast run``, a cluster, or `optimize`.

        Raises:
            StudyNotFound: There is no study in this folder.
        """
        folder = live_of(dir)
        snapshot, study, settings = look(folder)
        best = best_trials(study, settings.metrics)
        return cls(os.fspath(dir), snapshot.state, tuple(study.trials.values()), tuple(best))

    def trials_dataframe(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """Every trial as a row of a data frame: the columns of ``trials.csv``, typed; unfinished trials as well.

        Args:
            library: Whose data frame; by default whichever is installed, pandas first.

        Raises:
            outlast.errors.MissingExtra: Neither is installed; the message says how to.
        """
        from outlast.results.trial_frame import frame_of

        columns = self.__dict__.get("_columns")
        if columns is None:
            settings, study = recorded_settings(live_of(self.dir))
            columns = TrialTable(settings).columns(study)
        return frame_of(columns, library)

    @cached_property
    def study(self) -> optuna.Study:
        """The search as an Optuna study, for every tool that takes one; changes to it are not the search's."""
        from outlast.optimizer.bridge.optuna_copy import optuna_copy

        settings, study = recorded_settings(live_of(self.dir))
        return optuna_copy(study, settings)

    def _keep(self, settings: Settings, study: Study) -> None:
        """Have everything in memory from now on: the folder is about to go."""
        from outlast.optimizer.bridge.optuna_copy import optuna_copy

        self.__dict__["study"] = optuna_copy(study, settings)
        self.__dict__["_columns"] = TrialTable(settings).columns(study)


def counted_trials(count: int) -> str:
    """Such as ``1 trial``, ``2 trials``."""
    return "1 trial" if count == 1 else f"{count} trials"
