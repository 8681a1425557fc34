"""Jobs of PBS, LSF, Cobalt and others, in the words that PSI/J has for each (the package ``psij-python``).

PSI/J writes the scripts, submits them, and reads what the scheduler's commands print. What that means for a job is not left to
it: its own watch takes a job that one listing lacks for completed, and all jobs for failed when three queries in a row are not
answered (``psij/executors/batch/batch_scheduler_executor.py``, 0.9.11). So it is never asked to watch; its commands are called
from here, each bounded in time, and `JobExecutor` decides.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from outlast._system import Identity, identity_of, is_running, my_identity
from outlast._system.job_environment import ENDS_IN, KILL_WAIT, NOTICE
from outlast.config.units import parse_duration
from outlast.core.layout import AttemptPaths
from outlast.errors import JobRefused, MissingExtra, SchedulerUnavailable, UsageError
from outlast.executors.base import StudyFacts
from outlast.executors.jobs import JobExecutor, runner_command

#: Schedulers by PSI/J's names, and the command without which nothing can be submitted here. Its executors for Flux and RADICAL
#: have no query that could fail: they say what they last heard, so that silence looks like an ending.
_SUBMITS = {"pbs": "qsub", "pbs_classic": "qsub", "lsf": "bsub", "cobalt": "qsub", "slurm": "sbatch", "local": "sh"}
_TIMEOUT = 60.0  # seconds that one command may take
_NEVER = 10**8  # seconds until PSI/J's own watch looks for the first time
#: What a query says of jobs that the scheduler remembers no longer (qstat(1B), exit status 153; bjobs(1)).
_UNKNOWN_JOB = re.compile(r"Unknown Job Id|Job <\S+> is not found", re.IGNORECASE)
#: What a coordinator that is a job itself must not hand on: its own end is not that of the jobs that it submits.
_OF_OUR_JOB = (ENDS_IN, KILL_WAIT, NOTICE)


class _Scheduler(Protocol):
    """What `JobExecutor` asks for."""

    def submit(self, job: Any, log: str) -> str: ...

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]: ...

    def end(self, job: str) -> None: ...

    def tidy(self, job: str, *, last: bool = False) -> None: ...


class PsijExecutor(JobExecutor):
    """One job for each attempt.

    Args:
        study: What the jobs are for.
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
            raise UsageError(
                f"executor: {scheduler} submits with {_SUBMITS[scheduler]}, which is not found here", cure=cure
            )
        if scheduler == "lsf" and walltime is None:  # PSI/J renders no script without
            raise UsageError("executor: lsf needs a walltime", cure="add `walltime: 4h`: of one job")
        super().__init__(study, poll=parse_duration(poll))
        self._name = scheduler
        self._walltime = None if walltime is None else parse_duration(walltime)
        self._place = {"queue_name": queue, "account": account, "reservation_id": reservation}
        self._setup = (setup,) if isinstance(setup, str) else tuple(setup)
        kind = "pbs" if scheduler == "pbs_classic" else scheduler
        self._options = {f"{kind}.{key}": value for key, value in (options or {}).items()}
        self._scheduler: _Scheduler = (
            _Here(self._psij) if scheduler == "local" else _Batch(self._psij, scheduler, study)
        )

    def start(self, name: str, marker: str, log: str) -> str:
        """See `JobExecutor.start`."""
        try:
            return self._scheduler.submit(self._job(marker, log), log)
        except self._psij.SubmitException as refused:
            raise JobRefused(f"{self._name}: {' '.join(str(refused).split())}") from refused

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        """See `JobExecutor.living`."""
        return self._scheduler.living(jobs)

    def end(self, job: str) -> None:
        """See `JobExecutor.end`."""
        self._scheduler.end(job)

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        """See `Executor.forget`."""
        wanted = self._of.get(name)
        super().forget(name, spoilt=spoilt)
        if wanted is not None and wanted.job:
            self._scheduler.tidy(wanted.job)

    def close(self) -> None:
        """See `Executor.close`."""
        self._scheduler.tidy("", last=True)
        super().close()

    def _job(self, marker: str, log: str) -> Any:
        psij = self._psij
        attributes = psij.JobAttributes(custom_attributes=dict(self._options), **self._place)
        attributes.duration = (
            None if self._walltime is None else timedelta(seconds=self._walltime)
        )  # PSI/J's are 10 minutes
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
        need, cpus = self.study, self.study.cpus or 1
        gpus = max(1, round(need.gpus)) if need.gpus else None
        if self._name == "pbs":  # whose template counts processes only: as many as CPUs, of which one is started
            return self._psij.ResourceSpecV1(node_count=1, processes_per_node=cpus, memory=need.memory)
        return self._psij.ResourceSpecV1(
            node_count=1, process_count=1, cpu_cores_per_process=cpus, gpu_cores_per_process=gpus, memory=need.memory
        )


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


class _Batch:
    """A scheduler with a queue: PSI/J's words for it, called once each and bounded in time."""

    def __init__(self, psij: Any, name: str, study: StudyFacts) -> None:
        from psij.executors.batch.batch_scheduler_executor import BatchSchedulerExecutorConfig

        place = Path(study.jobs, "psij").absolute()
        if shlex.quote(str(place)) != str(place):  # its scripts are not safe for such a path
            place = Path.home() / ".psij" / "work"
        config = BatchSchedulerExecutorConfig(
            work_directory=place, initial_queue_polling_delay=_NEVER, queue_polling_interval=_NEVER, keep_files=True
        )
        self._executor = psij.JobExecutor.get_instance(name, config=config)
        self._executor._run_command = _run
        self._place = place
        self._scripts: dict[str, Path] = {}
        self._left: set[str] = set()  # jobs whose files are to go

    def submit(self, job: Any, log: str) -> str:
        self._executor.submit(job)
        script = self._executor.work_directory / f"{job.id}.job"
        with contextlib.suppress(OSError):  # for people; the scheduler may read the original until the job starts
            os.link(script, AttemptPaths(Path(log).parent).script)
        self._scripts[str(job.native_id)] = script
        return str(job.native_id)

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        command = self._executor.get_status_command(jobs)
        code, out, words = _call(command)
        if code and words and all(_UNKNOWN_JOB.search(line) for line in words.splitlines()):
            code, words = 0, ""
            if not out.strip():
                return {}
        if command[0] == "bjobs":
            code, out = _mended(code, out)
        try:
            told = self._executor.parse_status_output(code, out if code == 0 else _joined(out, words))
        except Exception as error:  # its parsers assert; what they cannot read says nothing
            said = _joined(out, words) if code else repr(error)
            raise SchedulerUnavailable(f"{command[0]} gave no answer that can be read: {_brief(said)}") from error
        return {job: not told[job].state.final for job in jobs if job in told}

    def end(self, job: str) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):  # it is over, or will be seen to live
            _run(self._executor.get_cancel_command(job))

    def tidy(self, job: str, *, last: bool = False) -> None:
        """Its exit code comes last, a moment after the runner's evidence."""
        self._left.update([job] if job else [])
        place = self._executor.work_directory
        for over in [each for each in self._left if last or (place / f"{each}.ec").exists()]:
            self._left.discard(over)
            script = self._scripts.pop(over, place / f"{over}.job")
            for file in (script, *(place / f"{over}.{kind}" for kind in ("ec", "out", "nodefile"))):
                file.unlink(missing_ok=True)
        if last and self._place.name == "psij" and not any(self._place.parent.glob("*.job")):
            shutil.rmtree(self._place, ignore_errors=True)  # nothing waits or runs any more


def _mended(code: int, out: str) -> tuple[int, str]:
    """What ``bjobs -json`` says, for a parser that looks for a reason where there is none (PSI/J 0.9.11), and that takes a job
    which LSF knows no longer, and says so among the others, for no answer."""
    try:
        told = json.loads(out)
        for record in told["RECORDS"]:
            record.setdefault("reason", "")
    except (ValueError, KeyError, TypeError):
        return code, out
    return 0, json.dumps(told)


class _Here:
    """PSI/J's local executor: processes of this machine, known by pid and start."""

    def __init__(self, psij: Any) -> None:
        self._executor = psij.JobExecutor.get_instance("local")

    def submit(self, job: Any, log: str) -> str:
        self._executor.submit(job)
        entry = self._executor._reaper._jobs.get(job)
        if entry is not None and entry.process.stdout is not None:  # of what the launcher says; left open by PSI/J
            pipe, entry.process.stdout = entry.process.stdout, None
            pipe.close()
        who = identity_of(int(job.native_id))
        return f"{job.native_id}.{'' if who is None else who.start}@{socket.gethostname()}"

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        found = {job: _identity(job) for job in jobs}
        return {job: is_running(who) if who.here else None for job, who in found.items()}

    def end(self, job: str) -> None:
        who = _identity(job)
        if who.here and is_running(who):
            import psutil

            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(who.pid)
                for process in [*root.children(recursive=True), root]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()

    def tidy(self, job: str, *, last: bool = False) -> None:
        return


def _identity(job: str) -> Identity:
    process, _, host = job.partition("@")
    pid, _, start = process.partition(".")
    ours = my_identity()
    return Identity(host, ours.boot, int(pid), start, ours.space)


def _run(command: list[str]) -> str:
    """What a command prints, as PSI/J wants it told."""
    code, out, words = _call(command)
    if code:
        raise subprocess.CalledProcessError(code, command, output=_joined(out, words))
    return out


def _call(command: list[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchedulerUnavailable(f"{command[0]} gave no answer: {_brief(str(error))}") from error
    return done.returncode, done.stdout, done.stderr


def _joined(out: str, words: str) -> str:
    from psij.executors.batch.batch_scheduler_executor import UNKNOWN_ERROR

    return "\n".join(part for part in (out, words) if part) or str(UNKNOWN_ERROR)


def _brief(text: str) -> str:
    return " ".join(text.split())[:200]
