"""Where `run` starts its trials: in slots of this machine, or by the executor that the study file names."""

from __future__ import annotations

from outlast.config.settings import Settings
from outlast.engine.attempts.prepare import draws_as_it_goes
from outlast.engine.attempts.slots import Slots, job_slots, local_slots
from outlast.errors import UsageError
from outlast.executors.base import Executor, StudyFacts
from outlast.executors.plugged import make_executor
from outlast.study.layout import StudyPaths


def slots_of(settings: Settings) -> Slots:
    """Room for attempts: on this machine, or as many jobs as are to wait or run at once.

    Raises:
        UsageError: A trial needs more of this machine than it may ever use.
    """
    return job_slots(settings, settings.executor.name) if settings.executor.plugged else local_slots(settings)


def plugged_executor(paths: StudyPaths, settings: Settings) -> Executor | None:
    """The executor that the study file names; ``None`` where that is this machine.

    Raises:
        OutlastError: It cannot be had, does not take its options, or cannot run such a study.
    """
    if not settings.executor.plugged:
        return None
    if draws_as_it_goes(settings):
        fact = f"executor: {settings.executor.name} starts jobs that cannot ask for parameters while they run"
        raise UsageError(fact, cure="declare `parameters`, or leave `executor` out")
    need = settings.resources
    facts = StudyFacts(settings.name, str(paths.jobs), need.gpus or 0.0, need.cpus, need.memory)
    return make_executor(settings.executor, facts)
