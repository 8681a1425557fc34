"""What a study folder has on record about how it is run: its settings, its files, the working directory of its trainings."""

from __future__ import annotations

import os

from outlast.config.resolved import settings_on_record
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import RunStarted
from outlast.engine.record.examine import in_force, read_study
from outlast.study.home import ran_from
from outlast.study.layout import StudyPaths


def study_paths(folder: str | os.PathLike[str], settings: Settings) -> StudyPaths:
    """The study's files; `checkpoints.dir` is relative to the working directory of the training, with a folder per study."""
    root = settings.checkpoints.dir
    if root is not None:
        root = os.path.abspath(os.path.join(settings.working_directory, root, settings.name))
    return StudyPaths.at(folder, root)


def recorded_settings(folder: str | os.PathLike[str], study: Study | None = None) -> tuple[Settings, Study]:
    """The settings in force and the study, as a study folder has them on record.

    Raises:
        StudyNotFound: There is no study in this folder.
        LedgerDamaged: Its ledger cannot be read.
    """
    paths = StudyPaths.at(folder)
    study = study if study is not None else read_study(paths)
    recorded = in_force(study, folder).settings
    # One that was imported and never run runs where a person types the first command.
    return settings_on_record(recorded, _ran_in(paths, study.last_run) if study.last_run else os.getcwd()), study


def recorded_working_directory(folder: str | os.PathLike[str]) -> str | None:
    """Where the study's trainings were run last, as seen from its folder now; ``None`` if it was never run.

    Raises:
        LedgerDamaged: The ledger cannot be read.
    """
    paths = StudyPaths.at(folder)
    study = read_study(paths)
    return None if study.last_run is None else _ran_in(paths, study.last_run)


def _ran_in(paths: StudyPaths, run: RunStarted) -> str:
    return os.path.normpath(os.path.join(ran_from(paths), run.working_directory))
