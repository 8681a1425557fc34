"""What the installed Optuna itself makes: the tables of an empty index, and a whole one where its schema is not known here."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from outlast.config.settings import Settings
from outlast.optimizer.bridge.optuna_rows import trial_of
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.index.index_rows import ForeignRow, IndexRow, directions_of


def made_by_optuna() -> tuple[str, bytes]:
    """As `empty_schema`, made by the installed Optuna itself."""
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "empty.db")
        with _storage(file) as storage:
            head = storage.get_current_version()
        with open(file, "rb") as whole:
            return head, whole.read()


def fill_through_optuna(
    file: str, settings: Settings, rows: list[IndexRow], waiting: list[ForeignRow], noted: Mapping[str, str]
) -> None:
    """Put a whole study into an empty file by Optuna's own interface."""
    with _storage(file) as storage:
        goals = [StudyDirection[word] for word in directions_of(settings)]
        study = optuna.create_study(study_name=settings.name, directions=goals, storage=storage)
        for row in rows:
            study.add_trial(trial_of(row))
        for name, text in noted.items():
            study.set_user_attr(name, json.loads(text))
        for enqueued in waiting:
            study.enqueue_trial(enqueued.params, user_attrs=enqueued.user_attrs)


@contextlib.contextmanager
def _storage(file: str) -> Iterator[RDBStorage]:
    with silent():
        storage = RDBStorage(f"sqlite:///{file}")
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
