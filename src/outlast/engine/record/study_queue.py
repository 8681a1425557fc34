"""One study's place in SLURM's queue: the jobs of it that are there, and the scripts of those that are to be."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from outlast._system.files import write_atomic
from outlast._system.job_environment import KILL_WAIT, NOTICE, JobFacts
from outlast._system.reading import read_bytes
from outlast._system.syncing import make_dir
from outlast.config.settings import Settings
from outlast.config.slurm_section import read_site
from outlast.core.file_names import parse_attempt_name
from outlast.errors import SlurmMissing, SlurmUnavailable
from outlast.executors.slurm.cluster_facts import Partition, asked_partitions, walltime_s
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job
from outlast.executors.slurm.planning import array_option, ours, slot_limit, study_mark, tasks_for
from outlast.executors.slurm.script import JobScript, render
from outlast.executors.slurm.section import SlurmOptions, read_options
from outlast.study.layout import StudyPaths

_CONTROLLER_TIME_S = 3 * 86400.0
_FINISHER_TIME_S = 4 * 3600.0


class StudyQueue:
    """Its jobs and scripts.

    Args:
        first: A person submits, so what the search is to wait for is waited for; whoever submits what is missing later need not.
    """

    def __init__(
        self, paths: StudyPaths, settings: Settings, slurm: Slurm | None = None, *, first: bool = False
    ) -> None:
        self._first = first
        self.paths, self.settings, self.slurm = paths, settings, slurm or Slurm()
        self.options: SlurmOptions = read_options(settings.slurm, settings.resources, site=read_site().get("slurm"))

    @property
    def mark(self) -> str:
        """What the comments of its jobs begin with."""
        try:
            inode = os.stat(self.paths.root).st_ino
        except FileNotFoundError:
            return "outlast:new:"
        return study_mark(inode, os.path.basename(os.path.realpath(self.paths.root)))

    @cached_property
    def config(self) -> Mapping[str, str]:
        """The cluster's configuration."""
        return self.slurm.config()

    def active(self, *roles: str) -> list[Job]:
        """The study's jobs that wait or run, by role.

        Raises:
            SlurmUnavailable: SLURM gave no answer.
        """
        return ours(self.slurm.jobs(), self.mark, *roles)

    @property
    def at_once(self) -> int | None:
        """Tasks side by side; ``None``: as many as SLURM likes."""
        parallel = self.settings.parallel
        return None if parallel == "auto" else max(1, int(parallel) // self.options.trials_at_once)

    def tasks(self, trials: int | None) -> int:
        """Tasks that the next array gets for so many trials; without a number, as many as may run side by side."""
        if trials is None:
            return min(self.at_once or 8, slot_limit(self.config) or 8)
        per_task, side_by_side = self.options.trials_per_task, self.options.trials_at_once
        return tasks_for(trials, per_task=per_task, at_once=side_by_side, most=slot_limit(self.config))

    # -- scripts ------------------------------------------------------------------------------------------------------

    def array(self, tasks: int) -> JobScript:
        """The tasks of an array: each fetches trials and runs them."""
        options = self.options
        trials = options.trials_per_task * options.trials_at_once
        return self._script(
            "array",
            f"{self.settings.name}: a task fetches {'one trial' if trials == 1 else f'{trials} trials'} and runs "
            f"{'it' if trials == 1 else 'them'}. Anything may die; `outlast submit` goes on.",
            self.settings.name,
            self.paths.jobs / "%A_%a.out",
            ["outlast.engine.cluster.task", str(self.paths.root), str(trials), str(options.trials_at_once)],
            {"array": array_option(tasks, self.at_once), "requeue": None, **options.sbatch, **self._waits()},
            by_hand=["By hand, on any machine that shares the folder: outlast worker " + str(self.paths.root)],
        )

    def finisher(self, array: str | None = None) -> JobScript:
        """Takes in what the tasks left, submits what is missing, or says that the search is done.

        It waits for the tasks of an array; without one it begins at once.
        """
        return self._script(
            "finisher",
            f"{self.settings.name}: when no task is left, takes in the rest and submits what the budget still lacks.",
            f"{self.settings.name}_finisher",
            self.paths.jobs / "%j.finisher.out",
            ["outlast", "finisher", str(self.paths.root), *([] if array is None else ["--after", array])],
            {**({} if array is None else {"dependency": f"afterany:{array}"}), **self._small(_FINISHER_TIME_S)},
        )

    def controller(self) -> JobScript:
        """Keeps a number of trials' jobs in the queue."""
        return self._script(
            "controller",
            f"{self.settings.name}: keeps trials in the queue. It may die: any later one adopts what runs.",
            f"{self.settings.name}_controller",
            self.paths.jobs / "%j.controller.out",
            ["outlast", "controller", str(self.paths.root)],
            {**self._small(_CONTROLLER_TIME_S), **self._waits()},
        )

    def trial(self, name: str, marker: str, log: str) -> JobScript:
        """One attempt."""
        parsed = parse_attempt_name(name) or (0, 0)
        spec = json.loads(read_bytes(Path(marker)) or b"{}")
        cd, run = f"  cd {shlex.quote(spec.get('cwd', '.'))}", "  " + shlex.join(spec.get("argv", ()))
        by_hand = ["By hand, without Outlast and without SLURM:", cd, run] if spec else []
        return self._script(
            name,
            f"{self.settings.name}: trial {parsed[0]}, attempt {parsed[1]}",
            f"{self.settings.name}_trial_{parsed[0]}",
            Path(log),
            ["outlast.runner", marker],
            {"no-requeue": None, **self.options.sbatch},
            by_hand=by_hand,
        )

    def _script(
        self,
        comment: str,
        purpose: str,
        name: str,
        log: Path,
        module: list[str],
        options: Mapping[str, str | None],
        *,
        by_hand: list[str] | None = None,
    ) -> JobScript:
        return JobScript(
            purpose=purpose,
            name=name,
            output=str(log),
            command=[sys.executable, "-m", *module],
            directory=os.path.abspath(self.settings.working_directory),
            options=options,
            setup=() if comment == "finisher" else self.options.setup,  # it trains nothing, and says what a setup broke
            environment=self._environment,
            walltime_s=walltime_s(options, self._partitions),
            comment=self.mark + comment,
            by_hand=by_hand or [],
        )

    @property
    def _environment(self) -> dict[str, str]:
        """What a job cannot find out by itself: how long SLURM lets it live once it was told to end."""
        words, notice = self.config.get("KillWait", "").split(), self.options.notice_s
        told = {} if notice is None else {NOTICE: f"{notice:.0f}"}
        return {**told, KILL_WAIT: words[0]} if words and words[0].isdigit() else told

    @cached_property
    def _partitions(self) -> Sequence[Partition]:
        """None where nobody can be asked: a script is complete without."""
        try:
            return self.slurm.partitions()
        except (SlurmUnavailable, SlurmMissing):
            return ()

    def _waits(self) -> dict[str, str | None]:
        """For the job that everything else comes after: the array, or the controller."""
        return {"dependency": self.options.dependency} if self._first and self.options.dependency else {}

    def _small(self, seconds: float) -> dict[str, str | None]:
        """Options of a job that runs no trial: so long, or what its partition allows. Asking for more, it would never start."""
        small, us = self.options.small, None if self._partitions else JobFacts.of(os.environ)
        if us is not None and us.seconds is not None:  # a node without scontrol: another job gets what we were given
            seconds = min(seconds, us.seconds)
        seconds = min(
            [seconds, *(p.max_time_s for p in asked_partitions(small, self._partitions) if p.max_time_s is not None)]
        )
        return {"time": str(max(1, math.ceil(seconds / 60))), "requeue": None, **small}  # minutes

    def submit(self, script: JobScript) -> str:
        """Write a script into ``jobs/`` (``array.sh``, and ``4711.array.sh`` too once it has its id) and hand it to SLURM.

        Returns:
            The job's id.

        Raises:
            SlurmRefused: SLURM said no.
            SlurmUnavailable: No answer; the job may exist.
        """
        make_dir(self.paths.jobs)
        file = self.paths.jobs / f"{script.comment.removeprefix(self.mark)}.sh"
        write_atomic(file, render(script), durable=False)
        job = self.slurm.submit(str(file))
        with contextlib.suppress(OSError):  # beside the job's logs, and there still when the next one is submitted
            os.link(file, file.with_name(f"{job}.{file.name}"))
        return job
