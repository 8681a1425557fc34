"""`retry`: finished trials get new attempts, from whoever runs the study or at once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from outlast._system.clock import utc_now
from outlast.core.records import TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.study import requests
from outlast.study.lease import holder_is_live
from outlast.study.opened import opened_briefly


def retry_trials(
    folder: str, numbers: Sequence[int] | None, *, cause: str | None = None, from_scratch: bool = False
) -> tuple[list[int], bool]:
    """Give finished trials new attempts. Returns the trials, and whether a live run takes them in.

    Raises:
        UsageError: A number that does not exist or is not finished.
    """
    settings, study = recorded_settings(folder)
    paths = study_paths(folder, settings)
    for number in numbers or ():
        if number not in study.trials or not study.trials[number].state.finished:
            raise UsageError(f"trial {number} does not exist or is not finished", cure=f"outlast show {folder}")
    # Without numbers: failed trials, and of a cause that is named what could not run as well.
    failed = (TrialState.FAILED,) if cause is None else (TrialState.FAILED, TrialState.INFEASIBLE)
    chosen = [
        trial.number
        for trial in study.trials.values()
        if (trial.number in numbers if numbers is not None else trial.state in failed)
        and (cause is None or trial.cause == cause)
        and trial.cause not in (Cause.IMPORTED, Cause.SPACE_CHANGED)
    ]
    if not chosen:
        return [], False
    if holder_is_live(paths.ledger) is not False:
        request = requests.drop(paths, "retry", trials=chosen, from_scratch=from_scratch)
        deadline = time.monotonic() + 10
        while requests.read_answer(paths, request) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return chosen, True
    with opened_briefly(paths) as opened:
        events = [TrialRetried(number, utc_now(), from_scratch) for number in chosen]
        opened.ledger.append(events)
        for event in events:
            opened.study.apply(event)
        derived = DerivedFiles(paths, settings)
        derived.start(opened.study, doubtful=False, rivalled=False)
        derived.close(opened.study)
    return chosen, False
