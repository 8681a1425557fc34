"""The index as an Optuna study, for people who go on in Python."""

from __future__ import annotations

import os

import optuna


def load_index(path: str | os.PathLike[str]) -> optuna.Study:
    """Open ``study.db`` with Optuna.

    Args:
        path: The index of a study folder, which holds exactly one Optuna study.
    """
    storage = optuna.storages.get_storage(f"sqlite:///{os.path.abspath(path)}")
    (only,) = storage.get_all_studies()
    return optuna.load_study(study_name=only.study_name, storage=storage)
