"""What PSI/J is asked for, call by call: to submit a job, what became of some, to end one, to tidy up. What it means is decided
elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from outlast._system.processes import Identity, identity_of, is_running, my_identity
from outlast.core.file_names import AttemptPaths
from outlast.errors import SchedulerUnavailable
from outlast.executors.base import StudyFacts

_TIMEOUT = 60.0  # seconds that one command may take
_NEVER = 10**8  # seconds until PSI/J's own watch looks for the first time
#: What a query says of jobs that the scheduler remembers no longer (qstat(1B), exit status 153; bjobs(1)).
_UNKNOWN_JOB = re.compile(r"Unknown Job Id|Job <\S+> is not found", re.IGNORECASE)


class Batch:
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
        self._name, self._place = name, place
        self._scripts: dict[str, Path] = {}
        self._left: set[str] = set()  # jobs whose files are to go

    def submit(self, job: Any, log: str) -> str:
        """Submit a job of PSI/J's whose output goes to `log`; its id."""
        self._executor.submit(job)
        script = self._executor.work_directory / f"{job.id}.job"
        with contextlib.suppress(OSError):  # for people; the scheduler may read the original until the job starts
            os.link(script, AttemptPaths(Path(log).parent).script)
        self._scripts[str(job.native_id)] = script
        return str(job.native_id)

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        """As `JobExecutor.living`."""
        command = self._executor.get_status_command(jobs)
        code, out, words = _call(command)
        if code and words and all(_UNKNOWN_JOB.search(line) for line in words.splitlines()):
            code, words = 0, ""
            if not out.strip():
                return {}
        if command[0] == "bjobs":
            code, out = _mended(code, out)
        elif self._name == "slurm":
            out = _of_these(jobs, out)
        try:
            told = self._executor.parse_status_output(code, out if code == 0 else _joined(out, words))
        except Exception as error:  # its parsers assert; what they cannot read says nothing
            said = _joined(out, words) if code else repr(error)
            raise SchedulerUnavailable(f"{command[0]} gave no answer that can be read: {_brief(said)}") from error
        return {job: not told[job].state.final for job in jobs if job in told}

    def end(self, job: str) -> None:
        """As `JobExecutor.end`."""
        with contextlib.suppress(subprocess.CalledProcessError):  # it is over, or will be seen to live
            _run(self._executor.get_cancel_command(job))

    def tidy(self, job: str, *, last: bool = False) -> None:
        """Remove what was written for a job that is over; `last`: for all of them.

        Its exit code comes last, a moment after the runner's evidence.
        """
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


def _of_these(jobs: Collection[str], out: str) -> str:
    """What squeue says of these jobs, for a parser that takes a reason of two words, or of none, for no answer at all, and that
    knows few reasons of failures (PSI/J 0.9.11). Nobody here asks for the reason."""
    header, *lines = out.split("\n")
    told = [words for line in lines if (words := line.split())[:1] and words[0] in jobs]
    return "\n".join([header, *(" ".join([*words[:2], "NonZeroExitCode"]) for words in told)])


class Here:
    """PSI/J's local executor: processes of this machine, known by pid and start."""

    def __init__(self, psij: Any) -> None:
        self._executor = psij.JobExecutor.get_instance("local")

    def submit(self, job: Any, log: str) -> str:
        """Submit a job of PSI/J's whose output goes to `log`; its id."""
        self._executor.submit(job)
        entry = self._executor._reaper._jobs.get(job)
        if entry is not None and entry.process.stdout is not None:  # of what the launcher says; left open by PSI/J
            pipe, entry.process.stdout = entry.process.stdout, None
            pipe.close()
        who = identity_of(int(job.native_id))
        return f"{job.native_id}.{'' if who is None else who.start}@{os.uname().nodename}"

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        """As `JobExecutor.living`."""
        found = {job: _identity(job) for job in jobs}
        return {job: is_running(who) if who.here else None for job, who in found.items()}

    def end(self, job: str) -> None:
        """As `JobExecutor.end`."""
        who = _identity(job)
        if who.here and is_running(who):
            import psutil

            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(who.pid)
                for process in [*root.children(recursive=True), root]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()

    def tidy(self, job: str, *, last: bool = False) -> None:
        """As `Batch.tidy`: nothing was written."""


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
