"""From a trial to a startable attempt: its command, files, environment, and the marker that its runner reads; who starts it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from outlast._system.card_locks import CardLock
from outlast.client import checkpoints_in, newest_checkpoint
from outlast.config import yaml_writer
from outlast.config.command import FOLLOWUP_MACROS, CommandContext, find_interpreter, render_command, sweep_parameters
from outlast.config.settings import OBJECTIVE, Settings
from outlast.config.slurm_section import srun_arguments
from outlast.config.trial_config import resolve_trial_config
from outlast.core.file_names import AttemptPaths
from outlast.core.kept_words import Train
from outlast.core.parts import Part, next_part
from outlast.core.records import Trial
from outlast.core.states import Cause
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.objectives import objectives_of
from outlast.engine.attempts.slots import Slots, job_slots, local_slots
from outlast.errors import UsageError
from outlast.executors.base import Executor, StudyFacts
from outlast.executors.fork_request import WarmStart
from outlast.executors.plugged import make_executor
from outlast.executors.shared_slots import Sharing
from outlast.runner.environment import worker_environment
from outlast.runner.hooks import hooks_path
from outlast.runner.spec import RunnerSpec
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.study.lease import lease_duration


class Prepared(Struct, frozen=True):
    """An attempt worked out in full, with nothing on the disk yet: its ledger line comes first."""

    trial: int
    number: int
    resume: bool
    marker: str
    files: Mapping[str, str]
    pipe_fd: int | None = None  # to be inherited by the runner
    nothing_but: str = ""  # where it starts over although something lies in the checkpoint folder: what
    kept: Train | None = None  # what a kept worker is told instead of marker and files
    seconds_before: float = 0.0  # of earlier attempts, where its time is watched here

    def lay_out(self, paths: StudyPaths, *, polled: bool = True) -> None:
        """Write what its runner and its script read. From here on it can be claimed. `polled`: other hosts may look at it."""
        open_attempt(paths, self.trial, self.number, self.marker, self.files, polled=polled)


def next_attempt(trial: Trial) -> int:
    """The number of the trial's next attempt, from 1."""
    return trial.attempts[-1].number + 1 if trial.attempts else 1


def prepare_attempt(
    paths: StudyPaths, settings: Settings, trial: Trial, *, cards: tuple[CardLock, ...] = (), pipe_fd: int | None = None,
    cpus_per_trial: int | None = None, shared: bool = False, segment: int = 0, slot_fd: int | None = None,
) -> Prepared:  # fmt: skip
    """Work out the trial's next attempt: command, environment, files.

    Raises:
        StudyFileError: The base configuration cannot be read.
    """
    number, space = next_attempt(trial), settings.space
    files = paths.trial(trial.number)
    part = next_part(trial, study_parts(settings))
    checkpoints = files.checkpoints if part is None else files.checkpoints / part.folder
    begun = any(o.cause is not Cause.NEVER_STARTED and (part is None or o.part == part.number) for o in trial.kept)
    start_over = not begun or trial.from_scratch
    pattern = settings.checkpoints.pattern
    last = None if start_over else newest_checkpoint(str(checkpoints), pattern)
    seed = trial.seed if part is None or part.seed is None else part.seed
    beyond = {**trial.derived, **trial.instead}
    params = {**space.complete(trial.params), **beyond}
    config = resolve_trial_config(settings, {**trial.params, **beyond})
    attempt = paths.attempt(trial.number, number)
    context = CommandContext(
        trial=trial.number,
        attempt=number,
        seed=seed,
        trial_dir=str(files.folder),
        checkpoint_dir=str(checkpoints),
        last_checkpoint=last,
        config_file=None if config is None else str(attempt.config),
        interpreter=find_interpreter(),
        resume=last is not None,
        fold=None if part is None else part.fold,
        splits=None if settings.trial.folds is None else str(paths.splits),
        args_json_file=str(attempt.params),
    )
    told = macros_told(paths, trial)
    context = replace(context, **told)
    srun = (settings.slurm or {}).get("srun")
    spec = RunnerSpec(
        trial=trial.number,
        attempt=number,
        argv=tuple(_argv(paths, settings, params, context, pipe_fd)),
        cwd=os.path.abspath(settings.working_directory),
        trial_dir=os.path.relpath(files.folder, paths.root),
        attempt_dir=os.path.relpath(attempt.folder, paths.root),
        checkpoint_dir=_relative(checkpoints, paths.root),
        objectives=tuple(asdict(objective) for objective in objectives_of(settings)),
        env=_environment(paths, settings, part, told, cpus_per_trial),
        params=params,
        seed=seed,
        checkpoint_pattern=pattern,
        saved_before=() if start_over else tuple(set(checkpoints_in(str(checkpoints), pattern).values())),
        resume=last is not None,
        start_over=start_over,
        grace=settings.trial.grace,
        timeout=settings.trial.timeout,
        hang_after=settings.trial.hang_after,
        seconds_before=sum(o.seconds for o in trial.ended if o.attempt > trial.retried_at_attempt),
        last_step=trial.last_step(None if part is None else part.number),
        gpus=tuple(card.uuid for card in cards),
        gpu_locks=tuple((card.fd, card.start, card.units) for card in cards),
        shared=shared,
        segment=segment,
        srun=bool(srun),
        srun_arguments=srun_arguments(srun),
        pipe_fd=pipe_fd,
        slot_fd=slot_fd,
        tell_after=1.5 * lease_duration() if settings.notify else None,
    )
    contents = _contents(settings, params, {**trial.params, **beyond}, config)
    left = "" if start_over or last is not None else no_checkpoints(checkpoints)
    return Prepared(trial.number, number, last is not None, spec.to_json(), contents, pipe_fd, left)


def _contents(
    settings: Settings, params: Mapping[str, Any], own: Mapping[str, Any], config: Mapping[str, Any] | None
) -> dict[str, str]:
    """What the script may read, by file name; `own` are the parameters without the constants."""
    contents = {
        AttemptPaths.params.name: json.dumps(settings.nest(params), default=str),
        AttemptPaths.sweep_params.name: yaml_writer.dump(sweep_parameters(settings, own)),
    }
    if config is not None:
        as_json = str(settings.config).endswith(".json")  # and YAML as well: the training may read either
        text = yaml_writer.dump_json(config) + "\n" if as_json else yaml_writer.dump(config)
        contents[AttemptPaths.config.name] = text
    return contents


def _environment(
    paths: StudyPaths, settings: Settings, part: Part | None, told: Mapping[str, Any], cpus_per_trial: int | None
) -> dict[str, str]:
    env = study_environment(settings, cpus_per_trial)
    env |= {f"OUTLAST_{name.upper()}": str(told[name]) for name in chain(*FOLLOWUP_MACROS.values()) if name in told}
    if part is not None and part.fold is not None:
        env.update(OUTLAST_FOLD=str(part.fold), OUTLAST_SPLITS=str(paths.splits))
    return env


def macros_told(paths: StudyPaths, trial: Trial) -> dict[str, Any]:
    """What macros of a follow-up's command stand for in this trial; paths are absolute."""
    return {
        name: os.path.normpath(paths.root / value) if isinstance(value, str) else value
        for name, value in trial.told.items()
        if name in CommandContext.__struct_fields__
    }


def no_checkpoints(folder: Path) -> str:
    """What lies in a checkpoint folder that has no checkpoint, in a few words; empty where that is nothing."""
    found = [
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in sorted(names)
        if not name.startswith(".")
    ]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def draws_as_it_goes(settings: Settings) -> bool:
    """Whether the objective asks for its parameters while it runs."""
    return settings.function == OBJECTIVE and not settings.parameters


def worker_start(paths: StudyPaths, settings: Settings, cpus_per_trial: int | None) -> WarmStart | None:
    """How to make processes that have the study's function imported; ``None`` where each trial imports for itself."""
    if settings.isolation.mode != "worker":
        return None
    return WarmStart(
        tuple(loader(paths, settings)),
        os.path.abspath(settings.working_directory),
        worker_environment(study_environment(settings, cpus_per_trial), os.environ, str(hooks_path())),
        settings.isolation.trials,
    )


def study_environment(settings: Settings, cpus_per_trial: int | None) -> dict[str, str]:
    """What the study file and its slots add to the environment of all trials."""
    env = dict(settings.env)
    if cpus_per_trial is not None and "OMP_NUM_THREADS" not in os.environ:
        env.setdefault("OMP_NUM_THREADS", str(cpus_per_trial))
    return env


def loader(paths: StudyPaths, settings: Settings) -> list[str]:
    """The module that runs a Python function, and what it is told."""
    if settings.function == OBJECTIVE:
        return ["outlast.objective.process", str(paths.objective)]
    return ["outlast.objective.function", str(settings.function)]


def _argv(
    paths: StudyPaths, settings: Settings, params: Mapping[str, Any], context: CommandContext, pipe_fd: int | None
) -> list[str]:
    if settings.function is not None:
        pipe = [] if pipe_fd is None else [str(pipe_fd)]
        return [sys.executable, "-m", *loader(paths, settings), *pipe]
    return render_command(settings, params, context)


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root) if path.is_relative_to(root) else str(path)


def slots_of(settings: Settings, sharing: Sharing | None = None) -> Slots:
    """Room for attempts: on this machine, perhaps shared with other studies, or as many jobs as are to wait or run at once.

    Raises:
        UsageError: A trial needs more of this machine than it may ever use.
    """
    return job_slots(settings, settings.executor.name) if settings.executor.plugged else local_slots(settings, sharing)


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
