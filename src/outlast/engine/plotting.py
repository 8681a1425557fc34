"""The plots of a search that has come to its end."""

from __future__ import annotations

import os

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.study.layout import StudyPaths

__all__ = ["draw_plots"]


def draw_plots(paths: StudyPaths, study: Study, settings: Settings) -> None:
    """Draw ``plots/`` anew if a trial has ended since they were drawn. A full disk costs the plots, never the search.

    ``OUTLAST_PLOTS=0`` leaves them out: plotly takes about a second, which matters where many small searches are run.
    """
    if os.environ.get("OUTLAST_PLOTS") == "0":
        return
    from outlast.optimizer.plots import PLOTS, write_plots

    began = study.last_run.at if study.last_run is not None else ""
    fresh = any((trial.finished_at or "") >= began for trial in study.trials.values())
    if not fresh and all((paths.plots / name).exists() for name in PLOTS):
        return
    try:
        write_plots(paths.plots, study, settings)
    except OSError:
        return  # they are drawn at the end of the next run, or by hand from study.db
