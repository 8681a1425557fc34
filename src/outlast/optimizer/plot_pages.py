"""Plots of a study as pages of their own: history, importances, parallel coordinates. Drawn by Optuna and plotly."""

from __future__ import annotations

import os
import re
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
from outlast.optimizer.index_rows import RowMaker, trial_of
from outlast.optimizer.view import silent

#: The files, in the folder ``plots``.
PLOTS = ("optimization_history.html", "param_importances.html", "parallel_coordinate.html")
_MOST_TRIALS = 2000  # lines in a parallel-coordinate plot; beyond, the latest


def write_plots(folder: str | os.PathLike[str], study: Study, settings: Settings, *, mark: str = "") -> list[str]:
    """Write the plots of a study; those that its trials do not allow yet say so.

    The folder is created if missing; ``plotly.min.js`` lies there once, so that the pages work offline. `mark`, what they are
    drawn from, stays in each page, for `mark_of`. Returns the paths that were written.
    """
    folder = os.fspath(folder)
    make_dir(folder)
    shown = _as_optuna(study, settings)
    name = settings.metrics[0].name
    target = None if len(settings.metrics) == 1 else (lambda trial: trial.values[0])
    complete = len(study.in_state(TrialState.COMPLETE))
    written = []
    draws: list[Callable[..., Any]] = [visualization.plot_optimization_history, _importances]
    for file, draw in zip(PLOTS, [*draws, visualization.plot_parallel_coordinate], strict=True):
        path = os.path.join(folder, file)
        page = _page(draw, shown, target, name, complete, folder)
        write_atomic(path, f"{page}\n<!-- outlast: {mark} -->\n", durable=False)
        written.append(path)
    return written


def mark_of(page: str | os.PathLike[str]) -> str | None:
    """The mark that a page was written with; ``None`` where there is no such page."""
    try:
        with open(page, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 500))
            end = file.read().decode(errors="replace")
    except OSError:
        return None
    found = re.search(r"<!-- outlast: (.*) -->\s*$", end)
    return None if found is None else found[1]


def _as_optuna(study: Study, settings: Settings) -> optuna.Study:
    """The study in memory, as the index shows it."""
    with silent(), quiet():
        shown = optuna.create_study(study_name=settings.name, directions=[metric.goal for metric in settings.metrics])
        maker = RowMaker(settings)
        for _, trial in sorted(study.trials.items())[-_MOST_TRIALS:]:
            if trial.state is TrialState.COMPLETE:
                shown.add_trial(trial_of(maker.row(trial)))
    return shown


def _page(draw: Callable[..., Any], shown: optuna.Study, target: Any, name: str, complete: int, folder: str) -> str:
    if not shown.trials:
        return _empty("No trial has completed.")
    try:
        with quiet():
            figure = draw(shown, target=target, target_name=name)
    except (ValueError, RuntimeError, ZeroDivisionError, ImportError) as error:
        return _empty(f"{complete} completed trial(s): {error}")
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
