"""The finisher: a small job that runs when no task of the array is left.

It takes in what the tasks left, watches what may still live somewhere until it is over or certainly dead, and then submits
what the budget lacks, or brings the study to its end.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from outlast._system.job_environment import JobFacts
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.cluster.submit import roles_of, submit_missing
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.hold.turn import Memory, Turn, take_turn
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.engine.sending.sender_behind import send_now
from outlast.engine.telling.teller_behind import tell_once
from outlast.errors import OutlastError, SlurmMissing, SlurmRefused, SlurmUnavailable, StorageError, UsageError
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job
from outlast.executors.slurm.planning import how_to_go_on
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

_LOOK_EVERY = 5.0  # seconds between two turns while something may still live
_AGAIN_AFTER = 60.0  # seconds after a limit of SLURM's
_ASK_AGAIN = 15.0  # seconds after no answer, at most
_ENOUGH = 300.0  # seconds of walltime that are left when this job goes back into the queue
_LEASE_POLL = 0.2
_HELD_FOR = 120.0  # seconds that nobody needs who has the study for a turn only
_LAST_WORDS = 60.0  # seconds for people to be told


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
        job: That we are.
        once: Take one turn only, and wait for nothing.
        after: The array that this is the finisher of, where it is one array's.

    Returns:
        The last turn: the study is at rest, or its next tasks are in the queue, or it was the only one. ``None``: this job
        goes back into the queue, or somebody else holds the study all along, or `once`, and there is no room for more.

    Raises:
        SlurmRefused: The next tasks were refused, and not for a limit that passes.
        SlurmMissing: There is no ``sbatch`` here.
    """
    if once and not _is_wanted(folder):
        return None
    try:
        turn = _Finisher(folder, job, once, after, say).work()
    except (OutlastError, OSError):  # nobody goes on with the study now
        _have_told(folder)
        raise
    if turn is not None:
        _have_told(folder)
    return turn


def _have_told(folder: str) -> None:
    """Tell people what there is to tell, and send trackers what they lack; waited for: what this job began ends with it."""
    with contextlib.suppress(OutlastError, OSError):
        settings, _ = recorded_settings(folder)
        if settings.notify:
            tell_once(StudyPaths.at(folder).root, settings.env, wait=_LAST_WORDS)
        send_now(StudyPaths.at(folder).root, settings, wait=_LAST_WORDS)


class _Finisher:
    """Turn after turn, until the study is at rest or its next tasks are in the queue; `finish` says what from."""

    def __init__(
        self, folder: str, job: JobFacts | None, once: bool, after: str | None, say: Callable[[str], object]
    ) -> None:
        self._folder, self._job, self._once, self._after, self._say = folder, job, once, after, say
        self._lease, self._memory = Lease(StudyPaths.at(folder).lease), Memory()
        self._is_in_queue = False  # what is to go on with the study
        self._lacks_room = False  # and has said so
        self._pause, self._unanswered = _LOOK_EVERY, _ASK_AGAIN  # until SLURM is asked again where it gave no answer
        self._held_since: float | None = None  # by somebody else

    def work(self) -> Turn | None:
        """See `finish`."""
        while not self._goes_back():
            self._pause = _LOOK_EVERY
            try:
                if self._lease.take_if_free():
                    self._held_since = None
                    turn = take_turn(
                        self._folder, self._lease, self._memory, say=self._say, last=self._before_leaving, derive=True
                    )
                    if self._is_in_queue or turn.verdict is not None or turn.study.ended is not None:
                        return turn
                    if self._once:
                        return None if self._lacks_room else turn
                elif self._is_somebody_elses():
                    return None
                else:
                    self._pause = _LEASE_POLL
            except (OutlastError, OSError) as error:
                trouble = StorageError.of(error) if isinstance(error, OSError) else error
                if not trouble.worth_retrying:
                    raise
                if isinstance(trouble, SlurmRefused):
                    self._pause = _AGAIN_AFTER
                elif isinstance(trouble, SlurmUnavailable):
                    self._pause = self._unanswered
                self._say(f"{trouble.fact}; trying again")
                if self._once:
                    return None
            time.sleep(self._pause)
        return None

    def _goes_back(self) -> bool:
        """Whether the walltime is almost over, so that this job goes back into the queue, or cannot and says what then."""
        if self._job is None or not self._job.is_almost_over(_ENOUGH):
            return False
        if not Slurm().requeue_us(self._job):
            for line in ("this job could not go back into the queue", *how_to_go_on(self._folder)):
                self._say(line)
        return True

    def _is_somebody_elses(self) -> bool:
        """Whether another has held the study for longer than a turn takes; with `once`, for as long as we wait at all."""
        now = time.monotonic()
        self._held_since = now if self._held_since is None else self._held_since
        if self._once:
            return now - self._held_since > _LEASE_POLL  # there is a next time
        if now - self._held_since > _HELD_FOR:
            self._say("somebody else runs this study now: it is theirs to finish")
            return True
        return False

    def _before_leaving(self, coordinator: Coordinator, verdict: Verdict | None) -> None:
        """Before the lease is given back: submit what is lacking, or bring the study to its end."""
        study, running = coordinator.study, bool(coordinator.running) and not self._once
        newest = next((each.job for each in reversed(study.jobs) if each.role == "array"), None)
        # Has somebody submitted since? They have a finisher of their own.
        superseded = self._after is not None and newest != self._after
        if verdict is not None or study.ended is not None or (running and not superseded):
            return
        if self._lacks_room_for_tasks(coordinator.coming_to_rest.paused):
            return
        queue = StudyQueue(coordinator.paths, coordinator.settings)
        self._unanswered = min(_ASK_AGAIN, queue.options.poll)
        active = self._others(queue, known=self._after is not None and not superseded)
        there = roles_of(active)
        if "finisher" in there and (superseded or "array" in there):
            self._say("this study's next tasks are in the queue, with a finisher of their own")
            self._is_in_queue = True
        elif not running:
            began = newest is None or any(coordinator.paths.jobs.glob(f"{newest}_*.out"))
            judged = not (coordinator.running or superseded or "array" in there)
            end = in_vain(study, began=began) if judged else None
            if end is None:
                self._is_in_queue = self._submit(queue, coordinator, active)
            else:
                self._say(end.reason)
                coordinator.close_with(end)

    def _lacks_room_for_tasks(self, lacking: str) -> bool:
        """Whether the disk is full: tasks that nothing can be given to would only hold their cards."""
        if lacking and not self._lacks_room:
            self._say(f"{lacking}: nothing is submitted before there is room")
        if lacking:
            self._pause = _ASK_AGAIN
        self._lacks_room = bool(lacking)
        return self._lacks_room

    def _others(self, queue: StudyQueue, *, known: bool) -> list[Job]:
        """What the queue holds of the study, ourselves and what is only leaving apart.

        Args:
            known: The ledger says as much: nothing was submitted after our own array, which is over.

        Raises:
            SlurmUnavailable: No answer: the next turn tries again.
            SlurmMissing: This node has no ``squeue``, and nothing is known without.
        """
        ours = None if self._job is None else self._job.requeue_id
        try:
            found = queue.active("array", "finisher")
        except SlurmMissing:
            if not known:
                raise
            return []
        return [other for other in found if other.id != ours and not other.leaving]

    def _submit(self, queue: StudyQueue, coordinator: Coordinator, active: Sequence[Job]) -> bool:
        """Submit what is lacking; nothing where the queue holds it already. Returns whether the queue holds anything then."""
        jobs, refused = submit_missing(queue, coordinator, active)
        for job in jobs:
            self._say(f"submitted {job.role} {job.job}" + (f" ({job.tasks} tasks)" * (job.tasks > 1)))
        if refused and not jobs:
            self._say(f"{refused}; trying again")
            self._pause = _AGAIN_AFTER
            return False
        return bool(jobs or active)


def _is_wanted(folder: str) -> bool:
    """Whether a study that goes on has nobody in the queue who sees to it."""
    settings, study = recorded_settings(folder)
    secrets = [name for name in settings.masked_env if name not in os.environ]
    if study.ended is None and secrets:
        fact = f"{', '.join(secrets)}: a secret of env: that stands in no record, and not in this environment either"
        cure = "give it to the crontab as NAME=value, or type outlast submit STUDY.yaml now and then"
        raise UsageError(fact, cure=cure)
    there = StudyQueue(study_paths(folder, settings), settings).active("array", "finisher", "controller")
    return study.ended is None and not there


def in_vain(study: Study, *, began: bool = True) -> Verdict | None:
    """Why another array would fare no better than the last one, or is not wanted; ``None`` if neither is so.

    A task that ends before it takes a trial (a ``setup`` line that fails, say) would do so again and again. Tasks that were
    cancelled while they waited, those that ran along with them, are somebody's wish.

    Only an array of which nothing is in the queue any more can be judged.

    Args:
        began: Whether any task of the array wrote a log; otherwise all of them were cancelled while they waited.
    """
    array = next((job for job in reversed(study.jobs) if job.role == "array"), None)
    if array is None:
        return None
    found = [(t, a) for t in study.trials.values() for a in t.attempts if a.job.startswith(f"{array.job}_")]
    said_since = study.last_run is not None and study.last_run.at > array.at
    if not found and not began:
        reason = f"array {array.job} was cancelled before it began; outlast submit goes on"
        return None if said_since else Verdict(StudyState.STOPPED, reason)
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
