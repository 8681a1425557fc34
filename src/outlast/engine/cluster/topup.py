"""Tasks of an array that were lost are made up for while it still runs: else their trials would wait for its slowest task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from outlast.core.budget import startable
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.states import Cause, TrialState
from outlast.engine.cluster.submit import submit_array
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.errors import OutlastError, SlurmMissing
from outlast.executors.slurm.parse import Job, JobLife


def lacking(study: Study, wanted: int | None, tasks: Sequence[Job], *, each: int, at_once: int | None) -> int:
    """How many tasks are to be made up for. Pure.

    Nothing is, where tasks wait in the queue, which take what was lost as their own; nor for a task that a person cancelled.

    Args:
        wanted: Trials that could be started now; ``None`` without a target.
        tasks: The study's that wait or run.
        each: Trials that one task runs.
        at_once: Tasks side by side, where that is limited.
    """
    lost = sum(trial.cause is not Cause.STOPPED for trial in study.in_state(TrialState.INTERRUPTED))
    if not lost or any(task.life is JobLife.WAITING or task.leaving for task in tasks):
        return 0  # the last may be on its way back into the queue
    busy = Counter(
        trial.attempts[-1].job
        for trial in study.trials.values()
        if trial.attempts and (trial.state.finished or trial.state is TrialState.RUNNING)
    )
    room = sum(max(0, each - busy[task.id]) for task in tasks)
    missing = -(-max(0, min(lost, (lost if wanted is None else wanted) - room)) // each)
    return missing if at_once is None else max(0, min(missing, at_once - len(tasks)))


def top_up(coordinator: Coordinator, verdict: Verdict | None, say: Callable[[str], object]) -> None:
    """What a task does with the study at the end of its turn: submit an array, with a finisher, for what was lost."""
    study = coordinator.study
    if verdict is not None or study.ended is not None or coordinator.coming_to_rest.reason:
        return
    if all(trial.cause is Cause.STOPPED for trial in study.in_state(TrialState.INTERRUPTED)):
        return  # as nearly always: SLURM need not be asked
    try:
        queue = StudyQueue(coordinator.paths, coordinator.settings)
        missing = _lacking(queue, study, queue.active("array"))
        for job in submit_array(queue, coordinator, missing)[0] if missing else ():
            say(f"submitted {job.role} {job.job} for what was lost" + (f" ({job.tasks} tasks)" * (job.tasks > 1)))
    except SlurmMissing:
        return  # this node has no commands of SLURM's: the finisher submits what was lost
    except OutlastError as error:  # this node may not submit, say
        say(f"{error.fact}; the finisher submits what was lost")


def something_was_lost(folder: str, own: Collection[str] = ()) -> bool:
    """Whether the study has lost tasks that nobody has noticed or made up for. Looks only: at SLURM's queue and the records.

    Args:
        own: Jobs that are known to live: our own.
    """
    try:
        settings, study = recorded_settings(folder)
        queue = StudyQueue(study_paths(folder, settings), settings)
        tasks = queue.active("array")
    except OutlastError:
        return False  # nothing is known
    there = {task.id for task in tasks} | set(own)
    attempts = [trial.open_attempt for trial in study.in_state(TrialState.RUNNING)]
    gone = any(attempt is not None and attempt.job and attempt.job not in there for attempt in attempts)
    return study.ended is None and (gone or _lacking(queue, study, tasks) > 0)


def _lacking(queue: StudyQueue, study: Study, tasks: Sequence[Job]) -> int:
    budget, options = queue.settings.budget, queue.options
    return lacking(
        study,
        startable(study, budget.trials, budget.count),
        tasks,
        each=options.trials_per_task * options.trials_at_once,
        at_once=queue.at_once,
    )
