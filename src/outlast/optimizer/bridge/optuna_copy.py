"""A search as an Optuna study of its own, in memory: for people who go on in Python with tools that take one."""

from __future__ import annotations

import optuna
from optuna.study import StudyDirection

from outlast.config.plugins import quiet
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.optimizer.bridge.optuna_rows import trial_of
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.index.index_rows import RowMaker, directions_of


def optuna_copy(study: Study, settings: Settings) -> optuna.Study:
    """Every trial as the index shows it, made of the record alone: whatever has become of ``study.db``, nothing is written.

    Args:
        study: Folded.
        settings: In force.
    """
    with silent(), quiet():
        goals = [StudyDirection[word] for word in directions_of(settings)]
        copy = optuna.create_study(study_name=settings.name, directions=goals)
        copy.set_metric_names([metric.name for metric in settings.metrics])
    for name, value in study.user_attrs.items():
        copy.set_user_attr(name, value)
    maker = RowMaker(settings)
    copy.add_trials([trial_of(maker.row(trial)) for _, trial in sorted(study.trials.items())])
    return copy
