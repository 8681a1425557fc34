"""The quick part of `check`: what can be known in two seconds without starting anything."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace

from outlast.config.command import NO_COMMAND
from outlast.config.secrets import is_masked
from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.engine.attempts.code_snapshot import NO_GIT, in_checkout
from outlast.engine.attempts.folds import drawn_splits
from outlast.engine.attempts.prepare import OBJECTIVE
from outlast.engine.attempts.slots import gpu_pool
from outlast.engine.derived.home_sync import scratch_of
from outlast.engine.record.examine import read_study
from outlast.errors import OutlastError, StudyFileError
from outlast.monitor.health import purge_days, purge_warning
from outlast.space.space import Space
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.purge import untouched_days

__all__ = ["Finding", "quick_check"]

_LITTLE_DISK = 500 * 2**20
_FEW_INODES = 1000


def quick_check(settings: Settings, folder: str) -> list[Finding]:
    """Look at files, command, metric, space, sampler, machine, folders and disk."""
    return [
        *(Finding("study file", "note", note) for note in settings.notes),
        *_files(settings),
        *_command(settings),
        *_masked(settings),
        *_metric(settings),
        *_space(settings),
        *_search(settings),
        *_resume(settings),
        *_executor(settings, folder),
        *_machine(settings),
        *_code(settings, folder),
        *_purge(settings, folder),
        *_places(settings, folder),
    ]


def _files(settings: Settings) -> Iterator[Finding]:
    """The files that the study file names; when it is read from a study's own record, nobody has looked for them yet."""
    here = os.path.abspath(settings.working_directory)
    if not os.path.isdir(here):
        yield Finding("files", "error", f"the training's working directory {here} is not there")
        return
    wanted = [("config", settings.config), ("trial.folds.ids", (settings.trial.folds or {}).get("ids"))]
    for key, name in wanted:
        if isinstance(name, str) and not os.path.exists(os.path.join(here, name)):
            yield Finding("files", "error", f"{key}: {name!r} is not found in {here}")
        elif key == "trial.folds.ids" and name:
            yield from _folds(settings)
    for key, function in (("function", settings.function), ("derive", settings.derive)):
        module = (function or "").partition(":")[0].partition(".")[0]
        paths = [here, *settings.env.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
        own = key == "function"  # a hook runs in the training's Python, whose packages are not ours to know
        if own and module and function != OBJECTIVE and importlib.machinery.PathFinder.find_spec(module, paths) is None:
            yield Finding("files", "error", f"{key}: there is no module {module!r} in {here}, nor installed")


def _code(settings: Settings, folder: str) -> Iterator[Finding]:
    """Whether `code: snapshot` finds something to copy; a study that has its copy already needs no checkout."""
    if settings.code != "snapshot":
        return
    here, copies = os.path.abspath(settings.working_directory), StudyPaths.at(folder).code
    if copies.is_dir():
        yield Finding("code", "ok", f"trials run from the copy in {copies}")
    elif in_checkout(here):
        yield Finding("code", "ok", "trials run from one copy of the files that git tracks")
    else:
        yield Finding(
            "code", "error", f"code: snapshot copies what git tracks, and {here} is in no git checkout", NO_GIT
        )


def _purge(settings: Settings, folder: str) -> Iterator[Finding]:
    """Whether what a study that is there needs to go on is about to be purged from scratch."""
    from outlast.engine.record.recorded import study_paths

    days, paths = purge_days(settings), study_paths(live_of(folder), settings)
    if days is None or not paths.exists:
        return
    try:
        found = purge_warning(untouched_days(paths, read_study(paths)), days, str(paths.root))
    except OutlastError:  # a damaged ledger is somebody else's finding
        return
    if found is not None:
        yield Finding("purge", "note", found.text, found.cure)


def _metric(settings: Settings) -> Iterator[Finding]:
    for metric in settings.metrics:
        where = (
            f", from {metric.file}" if metric.file else f", by its pattern {metric.pattern}" if metric.pattern else ""
        )
        yield Finding("metric", "ok", f"{metric.goal} {metric.name}{where}")


def _search(settings: Settings) -> Iterator[Finding]:
    """Whether sampler and pruner can be made: their packages are there, their options are theirs."""
    from outlast.optimizer.pruning import Pruning
    from outlast.optimizer.samplers import SamplerFactory

    try:
        conditional = any(parameter.when for parameter in settings.parameters) or not settings.parameters
        factory = SamplerFactory(settings.sampler, objectives=len(settings.metrics), conditional=conditional)
    except OutlastError as error:
        yield Finding("sampler", "error", error.fact, error.cure)
    else:
        yield Finding("sampler", "ok", factory.name)
        yield from _first_draw(settings)
    try:
        Pruning(settings, Study())
    except OutlastError as error:
        yield Finding("pruner", "error", error.fact, error.cure)
    else:
        yield Finding("pruner", "ok", settings.pruner.name)


def _first_draw(settings: Settings) -> Iterator[Finding]:
    """Whether anything satisfies the constraints, the derive hook takes it, and the base configuration has its keys."""
    if not (settings.config or ((settings.constraints or settings.derive) and settings.parameters)):
        return
    from outlast.config.trial_config import Infeasible, derive, resolve_trial_config
    from outlast.optimizer.sampling import Optimizer

    about, params, derived = "constraints", {}, {}
    try:
        if settings.parameters:
            drawn = Optimizer(replace(settings, enqueue=()), Study()).ask(0)
            if drawn is None:
                return
            about, params = "derive", drawn.params
            made = derive(settings, params)
            if isinstance(made, Infeasible):
                return
            derived = made
        about = "config"
        if os.path.exists(os.path.join(settings.working_directory, settings.config or "")):  # else it is said already
            resolve_trial_config(settings, {**params, **derived})
    except StudyFileError as error:
        yield Finding(about, "error", _with_place(error), error.cure)
    except OutlastError as error:
        yield Finding(about, "error", error.fact, error.cure)


def _with_place(error: StudyFileError) -> str:
    """What is wrong, with the file and line where that is another file than the study's."""
    if error.file is None:
        return error.fact
    line = "" if error.line is None else f":{error.line}"
    return f"{os.path.relpath(error.file)}{line}: {error.fact}"


def _command(settings: Settings) -> list[Finding]:
    if settings.function is not None:
        return [Finding("command", "ok", f"function {settings.function}")]
    argv = settings.command or ()
    if NO_COMMAND in argv:
        fact = "the study was imported without a study file: nobody has said yet how to train"
        cure = "once: outlast run FOLDER --accept-changes --set 'command=python train.py ${args}'"
        return [Finding("command", "error", fact, cure)]
    program = next((word for word in argv if word not in ("${env}", "/usr/bin/env")), "")
    if program == "${interpreter}":
        found = shutil.which("python") or shutil.which("python3")
        program = "python"
    elif "${" in program:
        return [Finding("command", "ok", " ".join(argv))]
    else:
        local = os.path.join(settings.working_directory, program)
        found = shutil.which(program) or (local if os.path.isfile(local) and os.access(local, os.X_OK) else None)
    here = os.path.abspath(settings.working_directory)
    if found is None:
        fact = f"the command's program {program!r} is not found or not executable"
        return [Finding("command", "error", fact, f"looked on PATH and in {here}")]
    findings = [Finding("command", "ok", " ".join(argv))]
    for word in argv[1:4]:
        if word.endswith((".py", ".sh")) and not os.path.isfile(os.path.join(here, word)):
            findings.append(Finding("command", "error", f"the script {word!r} is not found in {here}"))
    return findings


def _masked(settings: Settings) -> Iterator[Finding]:
    """A record of before passwords were refused has a mask where a trial would need one."""
    told = {
        "command": [*(settings.command or ()), *settings.trial.resume_args],
        "parameters": [str(value) for p in settings.parameters for value in (p.value, *(p.choices or ()))],
        "enqueue": [str(value) for entry in settings.enqueue for value in entry.values()],
    }
    for about, texts in told.items():
        if any(map(is_masked, texts)):
            fact = "holds a secret that is not kept in the study's records: trials would be run without it"
            cure = "run the study file again, with the secret in `env:`; in the command: ${envvar:NAME}"
            yield Finding(about, "error", f"{about}: {fact}", cure)


def _space(settings: Settings) -> list[Finding]:
    space = Space.from_parameters(settings.parameters, settings.constraints)
    size, counted = space.size, len(space.sampled)
    many = "" if size is None else f", {size:,} configuration{'' if size == 1 else 's'}"
    return [Finding("space", "ok", f"{counted} parameter{'' if counted == 1 else 's'}{many}")]


def _resume(settings: Settings) -> list[Finding]:
    text = " ".join(settings.command or ())
    knows = (
        settings.trial.resume_args or "${checkpoint_dir}" in text or "${last_checkpoint}" in text or settings.function
    )
    if knows:
        what = f"a second attempt is given {_means(settings)}: whether it goes on from there, only `check --rehearse` shows"
        return [Finding("resume", "ok", what)]
    text = (
        "the command names no checkpoint: unless the script itself reads OUTLAST_CHECKPOINT_DIR, "
        "an interrupted trial starts over"
    )
    return [Finding("resume", "note", text, "${checkpoint_dir} in the command and trial.resume_args let it go on")]


def _means(settings: Settings) -> str:
    """What an attempt that resumes is told, as the study file has it."""
    text = " ".join(settings.command or ())
    told = [word for word in ("${checkpoint_dir}", "${last_checkpoint}") if word in text]
    given = [*([" ".join(settings.trial.resume_args)] if settings.trial.resume_args else []), *told]
    return " and ".join(given) or "its checkpoint folder"


def _executor(settings: Settings, folder: str) -> Iterator[Finding]:
    """Whether the executor that the study file names can be had here, and takes its options."""
    from outlast.engine.attempts.executor import plugged_executor

    try:
        executor = plugged_executor(StudyPaths.at(folder), settings)
    except StudyFileError as error:
        yield Finding("executor", "error", _with_place(error), error.cure)
    except OutlastError as error:
        yield Finding("executor", "error", error.fact, error.cure)
    else:
        if executor is not None:
            executor.close()
            yield Finding("executor", "ok", f"{settings.executor.name} starts the trials")


def _machine(settings: Settings) -> Iterator[Finding]:
    """What a trial asks for and what this machine has. Where the study is submitted, the nodes have it."""
    need = settings.resources
    if settings.slurm is not None or settings.executor.plugged:
        return
    yield from _cards(settings)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if need.cpus is not None and need.cpus > cpus:
        yield Finding("CPUs", "note", f"a trial asks for {need.cpus} CPUs, this machine gives {cpus}", "resources.cpus")
    if need.memory is not None:
        import psutil

        total = psutil.virtual_memory().total
        if need.memory > total:
            text = f"a trial asks for {need.memory / 2**30:.1f} GB of memory, this machine has {total / 2**30:.1f}"
            yield Finding("memory", "note", text, "resources.memory")


def _folds(settings: Settings) -> Iterator[Finding]:
    """Whether the folds can be drawn from the file of ids."""
    try:
        drawn_splits(settings, 0)
    except OutlastError as error:
        yield Finding("files", "error", f"trial.folds: {error.fact}", error.cure)


def _cards(settings: Settings) -> Iterator[Finding]:
    """The GPUs, as a run would look for them: what it refuses is an error here."""
    said: list[str] = []
    pool = gpu_pool(settings, said.append)
    yield from (Finding("GPUs", "note", text) for text in said)
    if pool is None:
        return
    try:
        pool.check()
        yield Finding("GPUs", "ok", f"{settings.resources.gpus:g} for a trial, {len(pool.pool)} here")
    except OutlastError as error:
        yield Finding("GPUs", "error", error.fact, error.cure)
    finally:
        pool.close()


def _places(settings: Settings, folder: str) -> Iterator[Finding]:
    yield from _place("folder", folder, "name another with --dir")
    yield from _others_things(folder)
    try:
        scratch = scratch_of(settings)
    except StudyFileError as error:
        yield Finding("slurm.scratch", "error", error.fact, error.cure)
    else:
        yield from () if scratch is None else _place("slurm.scratch", scratch, "name another in the study file")
    if settings.checkpoints.dir is not None:
        elsewhere = os.path.abspath(os.path.join(settings.working_directory, settings.checkpoints.dir))
        yield from _place("checkpoints.dir", elsewhere, "name another in the study file")


def _others_things(folder: str) -> Iterator[Finding]:
    """A folder that holds no study but something else is left alone: the two would be mixed for good."""
    paths = StudyPaths.at(folder)
    try:
        strangers = [] if paths.exists else sorted(name for name in os.listdir(folder) if not paths.owns(name))
    except OSError:
        return
    if strangers:
        listed = ", ".join(strangers[:3]) + (f" and {len(strangers) - 3} more" if len(strangers) > 3 else "")
        text = f"{folder} holds other things and no study: {listed}"
        yield Finding("folder", "error", text, "name a new or an empty folder with --dir")


def _place(about: str, folder: str, cure: str) -> Iterator[Finding]:
    place = os.path.abspath(folder)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place) or not os.access(place, os.W_OK | os.X_OK):
        yield Finding(about, "error", f"{folder} cannot be written ({place} is not a writable folder)", cure)
        return
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    yield Finding(about, "ok", f"{folder}, {free / 2**30:.0f} GB free")
    if free < _LITTLE_DISK:
        yield Finding("disk", "note", f"only {free / 2**20:.0f} MB are free in {place}")
    if disk.f_files and disk.f_favail < _FEW_INODES:
        yield Finding("disk", "note", f"only {disk.f_favail} inodes are free in {place}")
