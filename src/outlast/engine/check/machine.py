"""What `check` says of the machine: executor, CPUs, memory, cards, folders, disk, and what may be purged from it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from outlast._system.mounts import room_in
from outlast._system.platforms import current_platform, is_kept
from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.engine.attempts.prepare import plugged_executor
from outlast.engine.attempts.slots import cpus, gpu_pool
from outlast.engine.record.examine import read_study
from outlast.engine.record.kept_where import place_text
from outlast.engine.record.recorded import study_paths
from outlast.errors import OutlastError, StudyFileError
from outlast.monitor.health import purge_days, purge_warning
from outlast.study.disk_space import untouched_days
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

_LITTLE_DISK = 500 * 2**20
_FEW_INODES = 1000


def machine_findings(settings: Settings, folder: str) -> Iterator[Finding]:
    """What the machine has, of what trials ask for, and whether the study's folders can be written."""
    yield from _executor(settings, folder)
    yield from _machine(settings)
    yield from _purge(settings, folder)
    yield from _places(settings, folder)


def against(about: str, error: OutlastError) -> Finding:
    """What is wrong, with the file and line where that is another file than the study's."""
    fact = error.fact.removeprefix(f"{about}: ")
    if isinstance(error, StudyFileError) and error.file is not None:
        line = "" if error.line is None else f":{error.line}"
        fact = f"{os.path.relpath(error.file)}{line}: {fact}"
    return Finding(about, "error", fact, error.cure)


def _purge(settings: Settings, folder: str) -> Iterator[Finding]:
    """Whether what a study that is there needs to go on is about to be purged from scratch."""
    days, paths = purge_days(settings), study_paths(live_of(folder), settings)
    if days is None or not paths.exists:
        return
    try:
        found = purge_warning(untouched_days(paths, read_study(paths)), days, str(paths.root))
    except OutlastError:  # a damaged ledger is somebody else's finding
        return
    if found is not None:
        yield Finding("purge", "note", found.text, found.cure)


def _executor(settings: Settings, folder: str) -> Iterator[Finding]:
    """Whether the executor that the study file names can be had here, and takes its options."""
    try:
        executor = plugged_executor(StudyPaths.at(folder), settings)
    except OutlastError as error:
        yield against("executor", error)
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
    if need.cpus is not None and need.cpus > cpus():
        text = f"a trial asks for {need.cpus} CPUs, this machine gives {cpus()}"
        yield Finding("CPUs", "note", text, "resources.cpus")
    if need.memory is not None:
        import psutil

        total = psutil.virtual_memory().total
        if need.memory > total:
            text = f"a trial asks for {need.memory / 2**30:.1f} GB of memory, this machine has {total / 2**30:.1f}"
            yield Finding("memory", "note", text, "resources.memory")


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
        yield against("GPUs", error)
    finally:
        pool.close()


def _places(settings: Settings, folder: str) -> Iterator[Finding]:
    yield from _place("folder", folder, "name another with --dir")
    if (place := place_text(folder)) is not None:
        yield Finding("place", "ok" if is_kept(folder) and current_platform().durable else "note", place)
    yield from _others_things(folder)
    try:
        scratch = scratch_of(settings)
    except StudyFileError as error:
        yield against("slurm.scratch", error)
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
    room = room_in(place)
    if room is None:  # not every filesystem says
        yield Finding(about, "ok", folder)
        return
    yield Finding(about, "ok", f"{folder}, {room.free / 2**30:.0f} GB free")
    if room.free < _LITTLE_DISK:
        yield Finding("disk", "note", f"only {room.free / 2**20:.0f} MB are free in {place}")
    if room.inodes and room.inodes_free < _FEW_INODES:
        yield Finding("disk", "note", f"only {room.inodes_free} inodes are free in {place}")


def scratch_of(settings: Settings) -> str | None:
    """``slurm.scratch`` with variables and ``~`` filled in; ``None`` where the study file names none.

    Raises:
        StudyFileError: No absolute path, or a variable that is not set.
    """
    given = (settings.slurm or {}).get("scratch")
    if given is None:
        return None
    place = os.path.expanduser(os.path.expandvars(given)) if isinstance(given, str) else ""
    if not os.path.isabs(place) or "$" in place:
        fact = f"must be an absolute path, not {given!r}"
        raise StudyFileError(fact, key="slurm.scratch", cure="such as /scratch/$USER, with its variables set")
    return place
