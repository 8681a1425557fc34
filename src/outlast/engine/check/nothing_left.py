"""Whether a run would find nothing to do: a study that is done, under the study file that it was done with, as it lies there.

Nothing is written, and nothing that decides is loaded. In any doubt the answer is no: then it is run, and whatever is amiss is
mended or refused on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from outlast._system.platforms import is_on_drive
from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.core.plan import verdict
from outlast.core.states import UNFINISHED, StudyState
from outlast.engine.check.quick import deadline_check, place_check
from outlast.engine.coordinator.coming_to_rest import limits_of
from outlast.engine.derived.checkpoints import leftovers_of, owner_of, superfluous
from outlast.engine.derived.drawn import is_drawn, may_be_done
from outlast.engine.hold.new_version import difference_from_recorded
from outlast.engine.record.examine import examine
from outlast.engine.record.recorded import study_paths
from outlast.errors import OutlastError
from outlast.study import requests
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, holder_is_live, rebooted_since


def done_before(settings: Settings, folder: str) -> Study | None:
    """The study in a folder, if a run of it with these settings would only say that it is done; ``None``: run it.

    Args:
        settings: In full, as a run would take them.
        folder: The study's own; one that has a home elsewhere, or is one, is always run.
    """
    paths = study_paths(folder, settings)
    try:
        if not _is_plain(settings, paths) or any(f.level == "error" for f in _findings(settings, folder)):
            return None
        study = _sound(paths)
        if study is None or not _is_done(study, settings) or not _ran_so(study, settings, paths):
            return None
        return None if any(_left(study, settings, paths)) or not is_drawn(paths, study) else study
    except (OutlastError, OSError):  # whoever runs it says so in the right words
        return None


def _is_plain(settings: Settings, paths: StudyPaths) -> bool:
    """Whether it lies and runs here, alone, and tells nobody: the rest is looked after by a run."""
    elsewhere = (
        settings.index.url or settings.tracking or settings.notify or settings.slurm or settings.executor.plugged
    )
    own = settings.index.auto_resume and not settings.index.in_memory
    tied = live_of(paths.root) != str(paths.root) or paths.home.exists() or is_on_drive(paths.root)
    return own and not elsewhere and not tied and may_be_done(paths, settings)


def _findings(settings: Settings, folder: str) -> Iterator[Finding]:
    yield from place_check(settings, folder)
    yield from deadline_check(settings)


def _sound(paths: StudyPaths) -> Study | None:
    """The study, where nobody holds it and nothing of its records is amiss."""
    if holder_is_live(paths.ledger) is not False or rebooted_since(current_holder(paths.ledger)):
        return None
    found = examine(paths)
    return None if found.problems else found.study


def _is_done(study: Study, settings: Settings) -> bool:
    """Whether it came to rest as done, and a round would find so again."""
    if study.ended is None or study.ended.state != StudyState.DONE.value:
        return False
    end = verdict(study, limits_of(settings), elapsed=study.elapsed_before)
    return end is not None and end.state is StudyState.DONE and end.reason == study.ended.reason


def _ran_so(study: Study, settings: Settings, paths: StudyPaths) -> bool:
    """Whether the last run was under this very study file, from the same working directory."""
    if study.last_run is None or study.revision is None:
        return False
    where = os.path.relpath(settings.working_directory, paths.root)
    changed = difference_from_recorded(study, settings)
    return where == study.last_run.working_directory and not (changed.needs_acceptance or changed.run_settings)


def _left(study: Study, settings: Settings, paths: StudyPaths) -> Iterator[object]:
    """What somebody would have to look after."""
    yield from paths.open_attempts()
    yield from requests.pending(paths)
    yield from study.in_state(*UNFINISHED)
    if settings.trial.folds is not None and not paths.splits.exists():
        yield paths.splits
    if (root := paths.checkpoints_root) is not None and owner_of(root) != str(paths.root):
        yield root
    for number in superfluous(study, settings, settings.checkpoints.keep):
        checkpoints = paths.trial(number).checkpoints
        yield from leftovers_of(checkpoints)
        yield from filter(os.path.lexists, [checkpoints])
