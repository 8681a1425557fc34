"""`stop` from outside: ask the holder of the lease; where there is none, ask the runners themselves."""

from __future__ import annotations

import time

from outlast.engine.run import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.study import requests
from outlast.study.attempts import Life, inspect, request_stop
from outlast.study.lease import holder_is_live

__all__ = ["stop_study"]

_ANSWER_WITHIN = 10.0


def stop_study(folder: str, *, drain: bool = False, now: bool = False, trial: int | None = None) -> str:
    """Ask a study, or one of its trials, to stop.

    Returns:
        What happened, for the person.

    Raises:
        StudyNotFound: There is no study in this folder.
        UsageError: The trial does not run.
    """
    settings, study = recorded_settings(folder)
    paths = study_paths(folder, settings)
    if trial is not None and (trial not in study.trials or study.trials[trial].open_attempt is None):
        running = ", ".join(str(t.number) for t in study.trials.values() if t.open_attempt) or "none"
        raise UsageError(f"trial {trial} does not run", cure=f"running: {running}")
    if holder_is_live(paths.ledger) is False:
        asked = 0
        for each in study.trials.values():
            attempt = each.open_attempt
            if attempt is not None and inspect(paths.attempt(each.number, attempt.number)).life is Life.RUNNING:
                request_stop(paths.attempt(each.number, attempt.number), "user", grace=settings.trial.grace, now=now)
                asked += 1
        if asked:
            return f"no coordinator runs; asked {asked} trial(s) that still train to stop. outlast run {folder} goes on later"
        return f"nothing runs in {folder}; outlast run {folder} goes on"
    content = {"drain": drain, "now": now, **({} if trial is None else {"trial": trial})}
    request = requests.drop(paths, "stop", **content)
    deadline = time.monotonic() + _ANSWER_WITHIN
    while time.monotonic() < deadline:
        if requests.read_answer(paths, request) is not None:
            what = "the search" if trial is None else f"trial {trial}"
            how = "starts no new trials and ends when the running ones are finished" if drain else "is stopping"
            return f"{what} {how}; outlast status {folder}"
        time.sleep(0.05)
    return f"asked; no answer yet (the coordinator may be on another host). outlast status {folder}"
