"""`stop` from outside: ask the holder of the lease; where there is none, be it for a turn, or ask the runners themselves."""

from __future__ import annotations

import time
from collections.abc import Callable

from outlast.core.fold import Study
from outlast.core.records import HERE
from outlast.core.states import StudyState
from outlast.engine.record.examine import in_force, read_study
from outlast.errors import LeaseLost, UsageError
from outlast.study import requests
from outlast.study.attempts import Life, ask_to_end, inspect
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease, holder_is_live

_ANSWER_WITHIN = 10.0
_TRAINING = (Life.RUNNING, Life.ELSEWHERE)  # elsewhere: perhaps


def stop_study(
    folder: str,
    *,
    drain: bool = False,
    now: bool = False,
    trial: int | None = None,
    say: Callable[[str], object] = print,
) -> str:
    """Ask a study, or one of its trials, to stop. Returns what happened, for the person.

    Raises:
        StudyNotFound: There is no study in this folder.
        UsageError: The trial does not run.
    """
    paths = StudyPaths.at(folder)
    study = read_study(paths)
    in_force(study, folder)
    if trial is not None and (trial not in study.trials or study.trials[trial].open_attempt is None):
        running = ", ".join(str(t.number) for t in study.trials.values() if t.open_attempt) or "none"
        raise UsageError(f"trial {trial} does not run", cure=f"running: {running}")
    shared = _is_shared(study)
    if holder_is_live(paths.ledger) is False and not shared:
        return _stop_runners(paths, study, folder, now=now, trial=trial)
    content = {"drain": drain, "now": now, **({} if trial is None else {"trial": trial})}
    if _is_answered(paths, requests.drop(paths, "stop", **content), shared=shared, say=say):
        what = "the search" if trial is None else f"trial {trial}"
        how = "starts no new trials and ends when the running ones are finished" if drain else "is stopping"
        return f"{what} {how}; outlast status {folder}"
    return f"asked; no answer yet (the coordinator may be on another host). outlast status {folder}"


def _is_shared(study: Study) -> bool:
    """Whether workers or tasks of an array coordinate the study among themselves, or finish what they have at its end."""
    attempts = [trial.open_attempt for trial in study.trials.values()]
    fetched = any(a is not None and a.slot.startswith("worker:") for a in attempts)
    return fetched or (study.ended is None and bool(study.jobs))


def _is_answered(paths: StudyPaths, request: requests.Request, *, shared: bool, say: Callable[[str], object]) -> bool:
    """Wait for an answer; where nobody holds a shared study just now, give it ourselves."""
    deadline = time.monotonic() + _ANSWER_WITHIN
    lease = Lease(paths.lease) if shared else None
    while time.monotonic() < deadline:
        if requests.read_answer(paths, request) is not None:
            return True
        if lease is not None and holder_is_live(paths.ledger) is not True:
            from outlast.engine.hold.turn import Memory, take_turn  # what decides is loaded by whoever may have to

            try:
                if lease.take_if_free():
                    take_turn(paths.root, lease, Memory(), say=say)
            except LeaseLost:  # somebody else has it, and sees the request
                continue
        time.sleep(0.05)
    return False


def _stop_runners(paths: StudyPaths, study: Study, folder: str, *, now: bool, trial: int | None) -> str:
    asked, go_on = 0, "submit" if study.jobs else "run"
    for each in study.trials.values():
        attempt = each.open_attempt
        if attempt is None or trial not in (None, each.number):
            continue
        life = inspect(paths.attempt(each.number, attempt.number)).life
        waits = life is Life.UNCLAIMED and not attempt.slot.startswith(HERE)  # as a job: it will learn of it
        if life in _TRAINING or waits:
            from outlast.engine.record.recorded import recorded_settings  # most who stop a study need no settings

            grace = recorded_settings(folder, study)[0].trial.grace
            ask_to_end(paths.attempt(each.number, attempt.number), "user", grace=grace, now=now)
            asked += 1
    if asked:
        return (
            f"no coordinator runs; asked {asked} {'trial' if asked == 1 else 'trials'} that train or wait to stop. "
            f"outlast {go_on} {folder} goes on later"
        )
    ended = study.ended
    if ended is not None and ended.state == StudyState.DONE.value:
        return f"nothing runs in {folder}: it is done ({ended.reason}); outlast show {folder}"
    if ended is not None and ended.state == StudyState.HALTED.value:
        return f"nothing runs in {folder}: it halted ({ended.reason}); outlast show {folder} failures"
    return f"nothing runs in {folder}; outlast {go_on} {folder} goes on"
