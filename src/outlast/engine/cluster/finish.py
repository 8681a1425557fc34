"""The finisher: a small job that runs when no task of the array is left.

It takes in what the tasks left, watches what may still live somewhere until it is over or certainly dead, and then submits
what the budget lacks, or brings the study to its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from outlast._system.job_environment import JobFacts
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.cluster.requeue import requeue
from outlast.engine.cluster.submit import submit_missing
from outlast.engine.coordinator.rounds import Coordinator
from outlast.engine.hold.turn import Memory, Turn, take_turn
from outlast.engine.record.queue import StudyQueue
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import OutlastError, SlurmMissing, SlurmRefused, SlurmUnavailable, StorageError, UsageError
from outlast.executors.slurm.parse import Job
from outlast.executors.slurm.planning import how_to_go_on
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

__all__ = ["finish", "in_vain"]

_LOOK_EVERY = 5.0  # seconds between two turns while something may still live
_AGAIN_AFTER = 60.0  # seconds after a limit of SLURM's
_ASK_AGAIN = 15.0  # seconds after no answer, at most
_ENOUGH = 300.0  # seconds of walltime that are left when this job begins anew
_LEASE_POLL = 0.2
_HELD_FOR = 120.0  # seconds that nobody needs who has the study for a turn only


class _Waiting(Exception):
    """Nothing could be submitted for now.

    Args:
        pause: Seconds until it is worth another try.
    """

    def __init__(self, pause: float = _AGAIN_AFTER) -> None:
        super().__init__()
        self.pause = pause


def finish(
    folder: str,
    *,
    job: JobFacts | None = None,
    once: bool = False,
    after: str | None = None,
    say: Callable[[str], object] = print,
) -> Turn | None:
    """Do a finisher's work.

    Args:
        folder: The study's.
        job: That we are.
        once: Take one turn only, and wait for nothing.
        after: The array that this is the finisher of, where it is one array's.
        say: Takes a line for the log.

    Returns:
        The last turn: the study is at rest, or its next tasks are in the queue, or it was the only one. ``None``: this job
        begins anew, or somebody else holds the study all along.

    Raises:
        SlurmRefused: The next tasks were refused, and not for a limit that passes.
        SlurmMissing: There is no ``sbatch`` here.
    """
    if once and not _is_wanted(folder):
        return None
    lease, memory = Lease(StudyPaths.at(folder).lease), Memory()
    submitted: list[str] = []
    lacking: list[str] = []  # what the disk has lacked since it was said
    held_since: float | None = None  # by somebody else

    def last(coordinator: Coordinator, verdict: Verdict | None) -> None:
        study = coordinator.study
        newest = next((each.job for each in reversed(study.jobs) if each.role == "array"), None)
        superseded = (
            after is not None and newest != after
        )  # somebody submitted since: they have a finisher of their own
        if verdict is not None or study.ended is not None or (coordinator.running and not once and not superseded):
            return
        if coordinator.coming_to_rest.paused:  # tasks that nothing can be given to would only hold their cards
            if not lacking:
                say(f"{coordinator.coming_to_rest.paused}: nothing is submitted before there is room")
            lacking.append(coordinator.coming_to_rest.paused)
            raise _Waiting(_ASK_AGAIN)
        lacking.clear()
        queue = StudyQueue(coordinator.paths, coordinator.settings)
        active = _others(queue, job, say, known=after is not None and not superseded)
        in_queue = {each.comment.removeprefix(queue.mark) for each in active}
        if "finisher" in in_queue and (superseded or "array" in in_queue):
            say("this study's next tasks are in the queue, with a finisher of their own")
            submitted.extend(each.id for each in active)
            return
        if coordinator.running and not once:
            return
        began = newest is None or any(coordinator.paths.jobs.glob(f"{newest}_*.out"))
        end = None if coordinator.running or superseded or "array" in in_queue else in_vain(study, began=began)
        if end is None:
            submitted.extend(_submit(queue, coordinator, active, say))
        else:
            say(end.reason)
            coordinator.close_with(end)

    while True:
        left = None if job is None else job.seconds_left()
        if left is not None and job is not None and left < min(_ENOUGH, (job.seconds or 0.0) / 5):
            if not requeue(job):
                say("this job could not go back into the queue")
                for line in how_to_go_on(folder):
                    say(line)
            return None
        pause = _LOOK_EVERY
        try:
            if not lease.take_if_free():
                now = time.monotonic()
                held_since = now if held_since is None else held_since
                if once and now - held_since > _LEASE_POLL:
                    return None  # there is a next time
                if now - held_since > _HELD_FOR:
                    say("somebody else runs this study now: it is theirs to finish")
                    return None
                time.sleep(_LEASE_POLL)
                continue
            held_since = None
            turn = take_turn(folder, lease, memory, say=say, last=last, derive=True)
        except _Waiting as waiting:
            pause = waiting.pause
        except (OutlastError, OSError) as error:
            trouble = StorageError.of(error) if isinstance(error, OSError) else error
            if not trouble.worth_retrying or isinstance(trouble, SlurmRefused):
                raise
            say(f"{trouble.fact}; trying again")
        else:
            if once or turn.verdict is not None or submitted or turn.study.ended is not None:
                return turn
        if once:
            return None
        time.sleep(pause)


def _is_wanted(folder: str) -> bool:
    """Whether a study that goes on has nobody in the queue who sees to it."""
    settings, study = recorded_settings(folder)
    secrets = [name for name in settings.masked_env if name not in os.environ]
    if study.ended is None and secrets:
        raise UsageError(
            f"{', '.join(secrets)}: a secret of env: that stands in no record, and not in this environment either",
            cure="give it to the crontab as NAME=value, or type outlast submit STUDY.yaml now and then",
        )
    there = StudyQueue(study_paths(folder, settings), settings).active("array", "finisher", "controller")
    return study.ended is None and not there


def in_vain(study: Study, *, began: bool = True) -> Verdict | None:
    """Why another array would fare no better than the last one, or is not wanted; ``None`` if neither is so.

    A task that ends before it takes a trial (a ``setup`` line that fails, say) would do so again and again. Tasks that were
    cancelled while they waited, those that ran along with them, are somebody's wish.

    Only an array of which nothing is in the queue any more can be judged.

    Args:
        study: The folded ledger.
        began: Whether any task of the array wrote a log; otherwise all of them were cancelled while they waited.
    """
    array = next((job for job in reversed(study.jobs) if job.role == "array"), None)
    if array is None:
        return None
    found = [(t, a) for t in study.trials.values() for a in t.attempts if a.job.startswith(f"{array.job}_")]
    said_since = study.last_run is not None and study.last_run.at > array.at
    if not found and not began:
        stopped = Verdict(
            StudyState.STOPPED, f"array {array.job} was cancelled before it began; outlast submit goes on"
        )
        return None if said_since else stopped
    if any(a.opened_at > array.at for t in study.trials.values() for a in t.attempts) and not found:
        return None  # others did: there was nothing left for it
    if not found:
        reason = f"no task of array {array.job} took a trial: jobs/{array.job}_*.out in the study folder say why"
        return Verdict(StudyState.HALTED, reason)
    cut = [t for t, a in found if t.state is TrialState.INTERRUPTED and t.attempts[-1] is a]
    never_began = len({a.job for _, a in found}) < array.tasks
    if said_since:  # that it goes on
        return None
    if never_began and cut and all(trial.cause is Cause.STOPPED for trial in cut):
        return Verdict(StudyState.STOPPED, f"array {array.job} was cancelled; outlast submit goes on")
    return None


def _others(queue: StudyQueue, job: JobFacts | None, say: Callable[[str], object], *, known: bool) -> list[Job]:
    """What the queue holds of the study, ourselves and what is only leaving apart.

    Args:
        known: The ledger says as much: nothing was submitted after our own array, which is over.

    Raises:
        _Waiting: No answer: the next turn tries again.
        SlurmMissing: This node has no ``squeue``, and nothing is known without.
    """
    ours = None if job is None else job.requeue_id
    try:
        found = queue.active("array", "finisher")
    except SlurmMissing:
        if not known:
            raise
        return []
    except OutlastError as error:
        if not error.worth_retrying:
            raise
        say(f"{error.fact}; trying again")
        raise _Waiting(_no_answer(queue)) from error
    return [other for other in found if other.id != ours and not other.leaving]


def _submit(
    queue: StudyQueue, coordinator: Coordinator, active: Sequence[Job], say: Callable[[str], object]
) -> list[str]:
    """Submit what is lacking; nothing where the queue holds it already.

    Raises:
        _Waiting: A limit, or no answer: the next turn tries again.
    """
    try:
        jobs, refused = submit_missing(queue, coordinator, active)
    except OutlastError as error:
        if not error.worth_retrying:
            raise
        say(f"{error.fact}; trying again")
        raise _Waiting(_no_answer(queue) if isinstance(error, SlurmUnavailable) else _AGAIN_AFTER) from error
    for submitted in jobs:
        say(f"submitted {submitted.role} {submitted.job}" + (f" ({submitted.tasks} tasks)" * (submitted.tasks > 1)))
    if refused and not jobs:
        say(f"{refused}; trying again")
        raise _Waiting
    return [submitted.job for submitted in jobs] or [other.id for other in active]


def _no_answer(queue: StudyQueue) -> float:
    """Seconds until SLURM is asked again after it gave no answer: it may be back, and is asked for one thing only."""
    return min(_ASK_AGAIN, queue.options.poll)
