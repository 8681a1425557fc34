"""Plots of a study as pages of their own: history, importances, parallel coordinates. Drawn by Optuna and plotly."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import optuna
from optuna import visualization

from outlast._system.files import write_atomic
from outlast._system.syncing import make_dir
from outlast.config.plugins import quiet
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.errors import UsageError
from outlast.optimizer.bridge.optuna_rows import trial_of
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.index.index_rows import RowMaker
from outlast.optimizer.plot_names import PLOTS

_NOT_YET = (ValueError, RuntimeError, ZeroDivisionError, ImportError)  # what a drawing says that cannot be made
_MOST_TRIALS = 2000  # lines in a parallel-coordinate plot; beyond, the latest


def write_plots(folder: str | os.PathLike[str], study: Study, settings: Settings, *, mark: str = "") -> list[str]:
    """Write the plots of a study; those that its trials do not allow yet say so.

    The folder is created if missing; ``plotly.min.js`` lies there once, so that the pages work offline. `mark`, what they are
    drawn from, stays in each page, for `outlast.optimizer.plot_names.mark_of`. Returns the paths that were written.
    """
    folder = os.fspath(folder)
    make_dir(folder)
    shown = _as_optuna(study, settings)
    written = []
    for file, kind in PLOTS.items():
        path = os.path.join(folder, file)
        page = _page(kind, shown, settings, folder)
        write_atomic(path, f"{page}\n<!-- outlast: {mark} -->\n", durable=False)
        written.append(path)
    return written


def figure_of(kind: str, study: Study, settings: Settings) -> Any:
    """A plot of a study as a plotly figure.

    Args:
        kind: ``history``, ``importances``, ``parallel``, ``slices``, ``curves`` or ``pareto``.
        study: Folded.
        settings: In force.

    Raises:
        UsageError: Its trials do not allow it yet.
    """
    more = (TrialState.PRUNED,) if kind == "curves" else ()
    shown = _as_optuna(study, settings, *more)
    try:
        return _figure(kind, shown, settings)
    except _NOT_YET as error:
        raise UsageError(f"no plot yet: {error}", cure=f"{len(shown.trials)} trials could be drawn so far") from None


def _as_optuna(study: Study, settings: Settings, *more: TrialState) -> optuna.Study:
    """The complete trials, and those of more states, in memory as the index shows them."""
    with silent(), quiet():
        shown = optuna.create_study(study_name=settings.name, directions=[metric.goal for metric in settings.metrics])
        maker = RowMaker(settings)
        for _, trial in sorted(study.trials.items())[-_MOST_TRIALS:]:
            if trial.state in (TrialState.COMPLETE, *more):
                shown.add_trial(trial_of(maker.row(trial)))
    return shown


def _figure(kind: str, shown: optuna.Study, settings: Settings) -> Any:
    if not shown.trials:
        raise ValueError("no trial has completed")
    names = [metric.name for metric in settings.metrics]
    target = None if len(names) == 1 else (lambda trial: trial.values[0])
    with quiet():
        if kind == "curves":
            if not any(trial.intermediate_values for trial in shown.trials):
                raise ValueError("no trial has reported steps")
            return visualization.plot_intermediate_values(shown)
        if kind == "pareto":
            return visualization.plot_pareto_front(shown, target_names=names)
        return _DRAW[kind](shown, target=target, target_name=names[0])


def _page(kind: str, shown: optuna.Study, settings: Settings, folder: str) -> str:
    try:
        figure = _figure(kind, shown, settings)
    except _NOT_YET as error:
        return _empty(f"{len(shown.trials)} completed trial(s): {error}" if shown.trials else "No trial has completed.")
    library = os.path.join(folder, "plotly.min.js")
    if not os.path.exists(library):
        from plotly.offline import get_plotlyjs

        write_atomic(library, get_plotlyjs(), durable=False)
    return str(figure.to_html(include_plotlyjs="plotly.min.js"))


def _empty(reason: str) -> str:
    from html import escape

    return f"<!doctype html><meta charset='utf-8'><title>no plot yet</title><p>No plot yet. {escape(reason)}</p>"


def _importances(shown: optuna.Study, *, target: Any, target_name: str) -> Any:
    if len(shown.trials) < 2:
        raise ValueError("importances need two")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return visualization.plot_param_importances(shown, evaluator=evaluator, target=target, target_name=target_name)


_DRAW: dict[str, Callable[..., Any]] = {
    "history": visualization.plot_optimization_history,
    "importances": _importances,
    "parallel": visualization.plot_parallel_coordinate,
    "slices": visualization.plot_slice,
}
