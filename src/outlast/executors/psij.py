"""Jobs of PBS, LSF, Cobalt and others, in the words that PSI/J has for each (the package ``psij-python``).

PSI/J writes the scripts, submits them, and reads what the scheduler's commands print. What that means for a job is not left to
it: its own watch takes a job that one listing lacks for completed, and all jobs for failed when three queries in a row are not
answered (``psij/executors/batch/batch_scheduler_executor.py``, 0.9.11). So it is never asked to watch; its commands are called
from here, each bounded in time, and `JobExecutor` decides.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from outlast._system.job_environment import ENDS_IN, KILL_WAIT, NOTICE
from outlast.config.units import parse_duration
from outlast.errors import JobRefused, MissingExtra, UsageError
from outlast.executors.base import StudyFacts
from outlast.executors.psij_calls import Batch, Here
from outlast.executors.scheduler_jobs import JobExecutor, runner_command

#: Schedulers by PSI/J's names, and the command without which nothing can be submitted here. Its executors for Flux and RADICAL
#: are not asked but tell, and what they tell of any error of their own is that the job failed.
_SUBMITS = {"pbs": "qsub", "pbs_classic": "qsub", "lsf": "bsub", "cobalt": "qsub", "slurm": "sbatch", "local": "sh"}
#: What a coordinator that is a job itself must not hand on: its own end is not that of the jobs that it submits.
_OF_OUR_JOB = (ENDS_IN, KILL_WAIT, NOTICE)


class PsijExecutor(JobExecutor):
    """One job for each attempt.

    Args:
        scheduler: PSI/J's name of it.
        queue: Where jobs wait, or a partition.
        account: Whom they are charged to.
        reservation: Of nodes.
        walltime: Of one job, such as ``4h``; without, what the queue gives.
        setup: Lines of shell before the runner, such as ``module load``.
        options: Further directives of the scheduler's own, by the name that they have in a script.
        poll: Between two looks at the queue.

    Raises:
        MissingExtra: PSI/J is not installed.
        UsageError: There is no such scheduler, or its commands are not here.
    """

    def __init__(
        self,
        study: StudyFacts,
        *,
        scheduler: str,
        queue: str | None = None,
        account: str | None = None,
        reservation: str | None = None,
        walltime: str | float | None = None,
        setup: str | Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        poll: str | float = 30.0,
    ) -> None:
        self._psij = _import_psij()
        if scheduler not in _SUBMITS:
            raise UsageError(f"executor: scheduler {scheduler!r} is unknown; there are {', '.join(_SUBMITS)}")
        if shutil.which(_SUBMITS[scheduler]) is None:
            cure = "run it where jobs are submitted from, such as a login node, or name another scheduler"
            fact = f"executor: {scheduler} submits with {_SUBMITS[scheduler]}, which is not found here"
            raise UsageError(fact, cure=cure)
        if scheduler == "lsf" and walltime is None:  # PSI/J renders no script without
            raise UsageError("executor: lsf needs a walltime", cure="add `walltime: 4h`: of one job")
        if scheduler == "pbs" and study.gpus and not (queue or options):
            cure = "name the `queue` that gives them, or write `options: {l: …}` as your PBS wants it"
            raise UsageError("executor: PSI/J's script for PBS Pro has no word for resources.gpus", cure=cure)
        super().__init__(study, poll=parse_duration(poll))
        self._name = scheduler
        self._walltime = None if walltime is None else parse_duration(walltime)
        self._place = {"queue_name": queue, "account": account, "reservation_id": reservation}
        self._setup = (setup,) if isinstance(setup, str) else tuple(setup)
        kind = "pbs" if scheduler == "pbs_classic" else scheduler
        self._options = {f"{kind}.{key}": value for key, value in (options or {}).items()}

    @cached_property
    def _scheduler(self) -> Batch | Here:
        """Made when it is needed: `check` makes an executor beside a run, and PSI/J's make folders and begin to watch."""
        return Here(self._psij) if self._name == "local" else Batch(self._psij, self._name, self.study)

    def start(self, name: str, marker: str, log: str) -> str:
        try:
            return self._scheduler.submit(self._job(marker, log), log)
        except self._psij.SubmitException as refused:
            raise JobRefused(f"{self._name}: {' '.join(str(refused).split())}") from refused

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        return self._scheduler.living(jobs)

    def end(self, job: str) -> None:
        self._scheduler.end(job)

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        wanted = self._of.get(name)
        super().forget(name, spoilt=spoilt)
        if wanted is not None and wanted.job:
            self._scheduler.tidy(wanted.job)

    def close(self) -> None:
        if self._had_attempts:
            self._scheduler.tidy("", last=True)
        super().close()

    def _job(self, marker: str, log: str) -> Any:
        psij = self._psij
        attributes = psij.JobAttributes(custom_attributes=dict(self._options), **self._place)
        # Without a word of ours PSI/J's are 10 minutes.
        attributes.duration = None if self._walltime is None else timedelta(seconds=self._walltime)
        arguments = ["-c", self._script(), log, *runner_command(marker)]
        return psij.Job(psij.JobSpec("/bin/sh", arguments, resources=self._resources(), attributes=attributes))

    def _script(self) -> str:
        """PSI/J's own redirection takes no path with a blank, and writes over what is there."""
        lines = ['exec >>"$0" 2>&1 3>&-', "set -e", f"unset {' '.join(_OF_OUR_JOB)}", *self._setup]
        if self._walltime is not None:
            lines.append(f"export {ENDS_IN}={self._walltime:.0f}")
        if self._name == "local" and shutil.which("setsid"):  # a Ctrl-C is the coordinator's, which decides
            lines.append('set -- setsid "$@"')
        return "\n".join([*lines, 'exec "$@"'])

    def _resources(self) -> Any:
        """In each template's words: some count processes only, of which the launcher starts one whatever their number."""
        need, cpus = self.study, self.study.cpus or 1
        gpus = max(1, round(need.gpus)) if need.gpus else None
        if self._name in ("pbs", "pbs_classic"):
            told = {"processes_per_node": cpus}
        elif self._name == "lsf" and gpus is None:  # otherwise each of them would get as many GPUs
            told = {"process_count": cpus}
        else:
            told = {"process_count": 1, "cpu_cores_per_process": cpus}
        return self._psij.ResourceSpecV1(node_count=1, gpu_cores_per_process=gpus, memory=need.memory, **told)


def _import_psij() -> Any:
    """PSI/J, without the handler of SIGCHLD that it installs for itself: signals are the coordinator's."""
    before = signal.getsignal(signal.SIGCHLD)
    try:
        import psij
    except ImportError as error:
        raise MissingExtra("executor: psij needs PSI/J", cure="pip install 'outlast[psij]'") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, before)
    return psij
