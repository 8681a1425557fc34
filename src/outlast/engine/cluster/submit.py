"""`outlast submit`: a study that runs in SLURM's queue. The submitting process is light and ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from outlast._system.clock import utc_now
from outlast.config.settings import Settings
from outlast.core.budget import startable
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import JobSubmitted
from outlast.core.states import StudyState
from outlast.engine.attempts.code_snapshot import run_from
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.hold.new_version import difference_from_recorded
from outlast.engine.hold.opening import Given, open_study
from outlast.engine.hold.turn import Memory, coordinate
from outlast.engine.record.examine import read_study
from outlast.engine.record.study_queue import StudyQueue
from outlast.errors import SlurmRefused, StudyBusy
from outlast.executors.slurm.parse import Job, JobLife
from outlast.executors.slurm.planning import waiting_reason
from outlast.executors.slurm.script import render
from outlast.study.layout import StudyPaths

_MADE_ROOM, _A_MOMENT = 10, 0.5  # tries, and seconds between them, before one more task has to go
_LEASE_WITHIN = 60.0  # seconds that a submission waits for whoever holds the study


class Submitted(Struct, frozen=True):
    """What came of a submission."""

    verdict: Verdict | None  # the study is at rest: nothing was submitted
    study: Study
    jobs: Sequence[JobSubmitted] = ()  # what SLURM took now
    active: Sequence[Job] = ()  # what was in the queue before
    refused: str = ""  # why SLURM did not take all of it; a limit that passes


def dry_run(paths: StudyPaths, settings: Settings) -> list[str]:
    """The scripts that `submit_study` would submit for a new study; writes and submits nothing."""
    queue = StudyQueue(paths, settings, first=True)
    if queue.options.mode == "controller":
        return [render(queue.controller()), render(queue.trial("0000.1", "MARKER", "LOG"))]
    return [render(queue.array(queue.tasks(settings.budget.trials))), render(queue.finisher("ARRAY"))]


def refuse_while_queued(paths: StudyPaths, settings: Settings) -> None:
    """A study whose jobs wait or run cannot be set aside: they would go on in the new one.

    Raises:
        StudyBusy: With the command that ends them.
    """
    if paths.exists and (active := StudyQueue(paths, settings).active()):
        fact = f"{len(active)} jobs of the earlier study are in the queue"
        raise StudyBusy(fact, cure=f"outlast stop {paths.root}   and, once they are gone, --fresh again")


def submit_study(
    paths: StudyPaths,
    settings: Settings,
    *,
    accept_changes: bool = False,
    say: Callable[[str], object] = print,
    given: Given | None = None,
) -> Submitted:
    """Create the study or go on with it, and see to it that the queue holds what its budget lacks.

    Raises:
        OutlastError: Any of the tree, `outlast.errors.SlurmRefused` among them: what SLURM said.
    """
    queue = StudyQueue(paths, settings)
    there = queue.active()  # SLURM answers, before anything is written
    if "controller" in roles_of(there) and _is_as_recorded(paths, settings):
        more, words = given(read_study(paths)) if given is not None else ((), ())  # on a copy, which is thrown away
        if not more:
            for text in words:
                say(text)
            return Submitted(None, read_study(paths), active=there)  # it has the study all along, or will have
    came: list[Submitted] = []

    def last(coordinator: Coordinator, verdict: Verdict | None) -> None:
        try:
            busy = queue.active()  # under the lease: nobody submits meanwhile
            jobs, refused = ([], "") if verdict is not None else submit_missing(queue, coordinator, busy)
        except SlurmRefused as error:
            if not error.limit:
                coordinator.close_with(Verdict(StudyState.HALTED, f"SLURM refuses the jobs: {error.fact}"))
            raise
        came.append(Submitted(verdict, coordinator.study, jobs, busy, refused))

    with open_study(paths, settings, accept_changes=accept_changes, wait=_LEASE_WITHIN, say=say, given=given) as opened:
        settings, told = run_from(paths, settings, opened.study.revisions, default="snapshot")
        for text in (*opened.told, *told):
            say(text)
        queue = StudyQueue(paths, settings, queue.slurm, first=True)
        coordinate(opened, paths, settings, Memory(), say=say, last=last, derive=True)
    return came[0]


def _is_as_recorded(paths: StudyPaths, settings: Settings) -> bool:
    """Whether the study goes on as these settings say, and wants no more than they do."""
    study = read_study(paths)
    difference = difference_from_recorded(study, settings)
    asked = study.last_run.trials if study.last_run is not None else None
    same = not difference.needs_acceptance and not difference.run_settings
    return same and study.ended is None and asked == settings.budget.trials


def submit_missing(
    queue: StudyQueue, coordinator: Coordinator, active: Sequence[Job]
) -> tuple[list[JobSubmitted], str]:
    """Submit what the study lacks beyond what is in the queue. Called under the lease.

    Returns the jobs, and why SLURM did not take all of them, if it was a limit that passes.

    Raises:
        SlurmRefused: A mistake in the request, or nobody may submit from here.
        SlurmUnavailable: No answer.
    """
    submit = _controller if queue.options.mode == "controller" else _tasks
    return submit(queue, coordinator, active)


def roles_of(jobs: Sequence[Job]) -> set[str]:
    """What a study's jobs are: ``array``, ``finisher``, ``controller``."""
    return {job.comment.rpartition(":")[2] for job in jobs}


def _record(coordinator: Coordinator, job: str, role: str, tasks: int = 1) -> JobSubmitted:
    """Put a job on record as soon as SLURM has it."""
    submitted = JobSubmitted(job, utc_now(), role, tasks=tasks)
    coordinator.record(submitted)
    return submitted


def _controller(queue: StudyQueue, coordinator: Coordinator, active: Sequence[Job]) -> tuple[list[JobSubmitted], str]:
    if "controller" in roles_of(active):
        return [], ""
    try:
        return [_record(coordinator, queue.submit(queue.controller()), "controller")], ""
    except SlurmRefused as error:
        if not error.limit:
            raise
        return [], error.fact


def _tasks(queue: StudyQueue, coordinator: Coordinator, active: Sequence[Job]) -> tuple[list[JobSubmitted], str]:
    """An array with what is lacking, and its finisher. While one is in the queue nothing is added: its finisher does that."""
    budget, there = queue.settings.budget, roles_of(active)
    if {"array", "finisher"} <= there:
        return [], ""
    wanted = 0 if "array" in there else queue.tasks(startable(coordinator.study, budget.trials, budget.count))
    if "array" in there or (not wanted and coordinator.running and "finisher" not in there):
        # Without tasks to wait for, nobody watches what was lost: that takes somebody who looks for a while.
        array = next((job.array for job in active if roles_of([job]) == {"array"}), None)
        return [_record(coordinator, queue.submit(queue.finisher(array)), "finisher")], ""
    return submit_array(queue, coordinator, wanted)


def submit_array(queue: StudyQueue, coordinator: Coordinator, wanted: int) -> tuple[list[JobSubmitted], str]:
    """An array of so many tasks, or as many as a limit leaves, with its finisher. Called under the lease.

    Returns as `submit_missing`, which says what it raises too.
    """
    refused = ""
    while wanted > 0:
        try:
            array = queue.submit(queue.array(wanted))
        except SlurmRefused as error:
            if not error.limit:
                raise
            refused, wanted = error.fact, wanted // 2
            continue
        try:
            finisher, tasks = _finisher(queue, array, wanted)
        except SlurmRefused:
            raise  # and the array was cancelled
        except BaseException:
            _record(coordinator, array, "array", wanted)
            raise
        return [_record(coordinator, array, "array", tasks), _record(coordinator, finisher, "finisher")], refused
    return [], refused


def _finisher(queue: StudyQueue, array: str, tasks: int) -> tuple[str, int]:
    """The array's finisher, and the tasks that are left: where the array took the last place in the queue, its last ones make
    room."""
    patience = 0
    while True:
        try:
            return queue.submit(queue.finisher(array)), tasks
        except SlurmRefused as error:
            if not error.limit or tasks <= 1:
                queue.slurm.cancel([array])  # without it, nobody would take in what the tasks leave
                raise
        if patience == 0:
            tasks, patience = tasks - 1, _MADE_ROOM
            queue.slurm.cancel(
                [f"{array}_{tasks}"]
            )  # without --state, which takes a waiting array for one job: all of it
        patience -= 1
        time.sleep(_A_MOMENT)  # a cancelled task's place is not free at once


def tell(submitted: Submitted, folder: str) -> list[str]:
    """What a person reads of it, a line each."""
    lines = []
    for job in submitted.jobs:
        if job.role == "array":
            lines.append(f"submitted {job.tasks} {'task' if job.tasks == 1 else 'tasks'} as array {job.job}")
        else:
            lines.append(f"submitted the {job.role} as job {job.job}")
    if not submitted.jobs and submitted.active:
        waiting = sum(job.life is JobLife.WAITING for job in submitted.active)
        reason = waiting_reason(submitted.active)
        why = f" ({reason})" if reason else ""
        who = "the controller" if "controller" in roles_of(submitted.active) else "the finisher"
        lines.append(
            f"in the queue already: {len(submitted.active) - waiting} running, {waiting} waiting{why}; "
            f"what is missing then is submitted by {who}"
        )
    if submitted.refused:
        then = "the finisher submits the rest" if submitted.jobs else "the same command again, later, submits them"
        lines.append(f"SLURM would not take more at once ({submitted.refused}); {then}")
    return [*lines, f"watch it: outlast status -w {folder}    end it: outlast stop {folder}"]
