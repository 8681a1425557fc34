"""The controller: holds a study for days, as a small job, and keeps trials' jobs in the queue. It may die at any moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing

from msgspec.structs import replace

from outlast._system.job_environment import JobFacts
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.states import StudyState
from outlast.engine.attempts.code_snapshot import as_taken
from outlast.engine.attempts.slots import job_slots
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.coordinator.disk_guard import whenever_there_is_room
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.round import Holding
from outlast.engine.hold.opening import join_study
from outlast.engine.hold.signals import handling
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.controller import SlurmExecutor
from outlast.executors.slurm.listing import SlurmJobs
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

_LEASE_WITHIN = 120.0  # seconds to wait for the controller before, or for whoever has a turn
_BEFORE_WALLTIME = 120.0  # seconds in which we step down in order


class _Controller(Coordinator):
    """Steps down before its job's walltime is over."""

    job: JobFacts | None = None

    def _tell(self) -> None:
        super()._tell()
        # At the end of a round, which may have waited long for SLURM: another one might not be over in time.
        if self.job is not None and self.job.is_almost_over(_BEFORE_WALLTIME):
            self.step_down("this job's walltime is almost over")

    def told_to_leave(self, _number: int, _frame: object) -> None:
        """SLURM ends this job: that says nothing about the trials. Ctrl-C by hand likewise."""
        self.step_down("this controller was told to leave")
        os.write(self._executor.wake_fd, b"!")


def control(
    folder: str,
    listener: Callable[[Study, Settings, int], Listener],
    *,
    job: JobFacts | None = None,
    say: Callable[[str], object] = print,
) -> tuple[Verdict | None, Study, Settings]:
    """Hold a study until it comes to rest, or until this job has to go.

    Args:
        folder: The study's; `outlast submit` has begun it.
        listener: Made from study, settings and number of slots.
        job: That we are.
        say: Told when there is somebody to wait for.

    Returns:
        The verdict, ``None`` if the next controller goes on; the study and its settings.

    Raises:
        StudyBusy: Another controller holds it.
    """

    def once() -> tuple[Verdict | None, Study, Settings]:
        lease = Lease(StudyPaths.at(folder).lease)
        lease.acquire(wait=_LEASE_WITHIN, say=say)
        with join_study(StudyPaths.at(folder), lease) as joined:
            opened, study = replace(joined, taken_over=True), joined.study
            settings, _ = recorded_settings(folder, study)
            if study.ended is not None:  # stopped, or done, while we waited in the queue
                return Verdict(StudyState(study.ended.state), study.ended.reason), study, settings
            paths = study_paths(folder, settings)
            settings = as_taken(paths, settings, study)
            queue, slots = StudyQueue(paths, settings), job_slots(settings, "slurm")
            jobs = SlurmJobs(queue.slurm, every=queue.options.poll)
            with closing(SlurmExecutor(jobs, queue.mark, queue.trial, say=say)) as executor:
                hears = listener(study, settings, len(slots.local))
                holding = Holding.UNATTENDED
                controller = _Controller(paths, settings, opened, executor, hears, slots=slots, holding=holding)
                controller.job = job
                with handling({signal.SIGTERM: controller.told_to_leave, signal.SIGINT: controller.told_to_leave}):
                    verdict = controller.run()
        if verdict is None and job is not None:  # the next controller is this job again
            if Slurm().requeue_us(job):
                say("this job goes back into the queue and goes on with the study from there; running trials go on")
            else:
                say("this job could not go back into the queue: outlast submit goes on; running trials go on")
        return verdict, study, settings

    return whenever_there_is_room(StudyPaths.at(folder), once, say)
