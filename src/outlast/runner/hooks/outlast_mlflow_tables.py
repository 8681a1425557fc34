"""Trainings that begin together make a new MLflow database's tables one after the other.

MLflow itself has all of them do it at once, of which all but one fail.
"""

from __future__ import annotations

import functools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_one_by_one(utils: Any) -> None:
    """Called once ``mlflow.store.db.utils`` is imported. Where we cannot, MLflow does what it does by itself."""
    original = utils._initialize_tables
    exist: Any = getattr(utils, "_all_tables_exist", lambda _engine: False)

    @functools.wraps(original)
    def initialize(engine: Any) -> None:
        lock = _locked(engine)
        try:
            if lock is None or not exist(engine):
                original(engine)
        finally:
            if lock is not None:
                lock.close()

    utils._initialize_tables = initialize


def _locked(engine: Any) -> Any:
    """A file that is locked until it is closed; ``None`` where there is no room for it."""
    import fcntl
    import hashlib
    import tempfile

    try:
        path = os.path.realpath(engine.url.database or "")
        digest = hashlib.sha256(path.encode()).hexdigest()[:16]
        name = "outlast-mlflow-{}-{}.lock".format(os.getuid(), digest)  # as in outlast.tracking.mlflow_local
        lock = open(os.path.join(tempfile.gettempdir(), name), "w")  # noqa: SIM115
    except (OSError, AttributeError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        lock.close()
        return None
    return lock
