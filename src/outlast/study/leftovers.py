"""What interrupted writers leave behind. Removed by whoever has just claimed the ledger, before anything else is written.

That order is part of the fencing: a coordinator that was paused between writing a temporary file and renaming it finds it gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import time

from outlast._system.files import remove_temporaries
from outlast._system.processes import identity_of
from outlast.core.file_names import TrialPaths
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import is_whole

_INDEX_IN_THE_MAKING = re.compile(r"^\.study\.db\.\d+\.[0-9a-f]+\.new")
_LEASE_IN_TRANSIT = re.compile(r"^lease\.(?:break|restore)\.(\d+)\.[0-9a-f]+$")
_REQUEST_FORGOTTEN_S = 3600.0


def clear_leftovers(paths: StudyPaths) -> None:
    """Remove temporary files from the study folder; those of single trials go when the trial is put away."""
    for folder in (paths.root, paths.ledger, paths.open, paths.revisions):
        remove_temporaries(folder)
    for name in os.listdir(paths.root):
        transit = _LEASE_IN_TRANSIT.match(name)
        if _INDEX_IN_THE_MAKING.match(name) or (transit and identity_of(int(transit[1])) is None):
            _unlink(os.path.join(paths.root, name))
    _clear_requests(paths)


def _clear_requests(paths: StudyPaths) -> None:
    """Half-written requests, and answers whose askers never came back for them."""
    try:
        names = os.listdir(paths.requests)
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(paths.requests, name)
        if not name.startswith(".") and not name.endswith(".answer.json"):
            continue
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(path).st_mtime > _REQUEST_FORGOTTEN_S:
                _unlink(path)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def is_untidy(trial: TrialPaths) -> bool:
    """Whether a finished trial's folder is not in its final form.

    Its files were being put away, or deleted, when that ended, or the power failed soon after.
    """
    try:
        names = os.listdir(trial.folder)
    except FileNotFoundError:
        return False
    return any(name.startswith(".") or name == TrialPaths.attempts.name for name in names) or not is_whole(trial.record)
