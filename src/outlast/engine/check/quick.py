"""The quick part of `check`: what can be known in two seconds without starting anything."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import sys
from collections.abc import Iterator

from msgspec.structs import replace

from outlast.config.command import NO_COMMAND
from outlast.config.secrets import is_masked
from outlast.config.settings import OBJECTIVE, Settings
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.engine.attempts.code_snapshot import NO_GIT, in_checkout
from outlast.engine.attempts.folds import drawn_splits
from outlast.engine.check.machine import against, machine_findings
from outlast.engine.coordinator.session_end import SessionEnd
from outlast.errors import OutlastError
from outlast.space.space import Space
from outlast.study.layout import StudyPaths


def quick_check(settings: Settings, folder: str) -> list[Finding]:
    """Look at files, command, metric, space, sampler, machine, folders and disk."""
    return [*_of_the_file(settings), *_search(settings), *_of_the_place(settings, folder)]


def place_check(settings: Settings, folder: str) -> list[Finding]:
    """The same without sampler and pruner, which load Optuna: of a study file that was run as it is, they can be made."""
    return [*_of_the_file(settings), *_of_the_place(settings, folder)]


def _of_the_file(settings: Settings) -> list[Finding]:
    return [
        *(Finding("study file", "note", note) for note in settings.notes),
        *_files(settings),
        *_command(settings),
        *_masked(settings),
        *_metric(settings),
        *_space(settings),
    ]


def _of_the_place(settings: Settings, folder: str) -> list[Finding]:
    return [*_resume(settings), *_code(settings, folder), *machine_findings(settings, folder)]


def deadline_check(settings: Settings) -> list[Finding]:
    """Whether a run here has time left before its session's end."""
    ends = SessionEnd.of(settings.deadline)
    if ends is None or ends.seconds > 0:
        return []
    counted = "" if ":" in str(settings.deadline) else ", counted since the session began,"
    text = f"{settings.deadline}{counted} has passed: nothing would be begun"
    return [Finding("deadline", "error", text, "give another one: --deadline TIME")]


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
        text = f"code: snapshot copies what git tracks, and {here} is in no git checkout"
        yield Finding("code", "error", text, NO_GIT)


def _metric(settings: Settings) -> Iterator[Finding]:
    for metric in settings.metrics:
        where = f", by its pattern {metric.pattern}" if metric.pattern else ""
        where = f", from {metric.file}" if metric.file else where
        yield Finding("metric", "ok", f"{metric.goal} {metric.name}{where}")


def _search(settings: Settings) -> Iterator[Finding]:
    """Whether sampler and pruner can be made: their packages are there, their options are theirs."""
    from outlast.optimizer.pruners.pruning import Pruning
    from outlast.optimizer.samplers import SamplerFactory

    try:
        factory = SamplerFactory(settings)
    except OutlastError as error:
        yield against("sampler", error)
    else:
        yield Finding("sampler", "ok", factory.said)
        yield from _first_draw(settings)
    try:
        Pruning(settings, Study())
    except OutlastError as error:
        yield against("pruner", error)
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
    except OutlastError as error:
        yield against(about, error)


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
    told = "${checkpoint_dir}" in text or "${last_checkpoint}" in text
    if told or settings.trial.resume_args or settings.function:
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


def _folds(settings: Settings) -> Iterator[Finding]:
    try:
        drawn_splits(settings, 0)
    except OutlastError as error:
        yield Finding("files", "error", f"trial.folds: {error.fact}", error.cure)
