"""Commands that begin, help and end a search: init, check, run, stop, worker."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from outlast._system import make_dir
from outlast.cli.invocation import Invocation
from outlast.cli.locate import by_name, is_study_folder, the_folder
from outlast.cli.options import (
    DirOption,
    JsonOption,
    MaximizeOption,
    MinimizeOption,
    SetOption,
    SourceArgument,
    StudyArgument,
)
from outlast.config.settings import Settings
from outlast.errors import StudyFileError, StudyNotFound, UsageError
from outlast.study.home import home_of, live_of
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder

if TYPE_CHECKING:
    from rich.console import RenderableType

    from outlast.core.fold import Study
    from outlast.engine.check import Finding

__all__ = ["check", "init", "run", "stop", "worker"]

_DETACHED_WITHIN = 30.0  # seconds for a run in the background to take the study in hand


def init(
    context: typer.Context,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Study file to write.")] = "study.yaml",
) -> None:
    """Draft a study file from what the training script says with --help.

    Example:
        outlast init -- python train.py
        outlast init --output cnn.yaml -- python train_cnn.py --epochs 30
    """
    from outlast.config.init import draft_from_help

    command = _invocation(context).command
    if not command:
        raise UsageError("init needs the training command", cure="outlast init -- python train.py")
    if os.path.exists(output):
        raise UsageError(f"{output} is there already", cure="outlast init --output OTHER.yaml -- COMMAND")
    try:
        done = subprocess.run(
            [*command, "--help"], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise UsageError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UsageError(
            f"`{' '.join(command)} --help` failed: {last}", cure="write the study file by hand: five keys are enough"
        )
    draft = draft_from_help(done.stdout, command)
    try:
        with open(output, "x") as file:
            file.write(draft)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}", cure="name another with --output") from None
    typer.echo(f"wrote {output}: look through its ranges and name the metric, then: outlast check {output}")


def check(
    context: typer.Context,
    study: SourceArgument = None,
    overrides: SetOption = None,
    maximize: MaximizeOption = None,
    minimize: MinimizeOption = None,
    directory: DirOption = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Run one trial for real, and one for each value of the small categoricals.")
    ] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Kill a trial after its first checkpoint and see whether it resumes.")
    ] = False,
    limit: Annotated[str, typer.Option(metavar="TIME", help="With these two: how long a trial may take.")] = "3m",
    as_json: JsonOption = False,
) -> None:
    """Look through study file, command, space, sampler, machine, folder and disk; start nothing, write nothing.

    With --smoke or --rehearse, trials run in a temporary folder, their command with `check.args` of the study file appended.
    Exit code 2: the study file, the command or this machine is at fault. 1: a trial failed, or starts over when resumed.

    Example:
        outlast check study.yaml
        outlast check study.yaml --smoke --rehearse
        outlast check study.yaml --set budget.trials=200 --json
    """
    from outlast.cli.trying import seconds_of, try_out
    from outlast.engine.check import quick_check

    seconds = seconds_of(limit)
    settings = _settings(_invocation(context), study, overrides or [], _metric(maximize, minimize), None)
    folder = _folder(settings, study, directory)
    findings = quick_check(settings, folder)
    code = try_out(settings, folder, findings, smoke=smoke, rehearse=rehearse, limit=seconds, as_json=as_json)
    if code:
        raise typer.Exit(code)
    if not as_json and not _invocation(context).command:
        from outlast.cli.text import make_console, next_line

        changes = [word for change in overrides or [] for word in ("--set", change)]
        make_console().print(next_line(shlex.join(["outlast", "run", *(study or []), *changes])))


def run(
    context: typer.Context,
    study: SourceArgument = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many trials the study is to have in all; wins over the study file."),
    ] = None,
    parallel: Annotated[int | None, typer.Option(metavar="N", min=1, help="Trials side by side.")] = None,
    maximize: MaximizeOption = None,
    minimize: MinimizeOption = None,
    overrides: SetOption = None,
    directory: DirOption = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The study's name; wins over the study file.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Keep the earlier study under a name with the time, and start anew.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study that is there; never start a new one.")
    ] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although the study file has changed.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background; words go to run.log.")] = False,
) -> None:
    """Run a search here. The same command again goes on with exactly the rest.

    Example:
        outlast run study.yaml
        outlast run study.yaml --trials 100
        outlast run --maximize val_acc --trials 20 -- python train.py --lr '~log(1e-5,1e-1)'
    """
    from outlast.engine.homing import live_folder
    from outlast.engine.run import study_paths

    settings = _settings(
        _invocation(context),
        study,
        overrides or [],
        _metric(maximize, minimize),
        name,
        trials=trials,
        parallel=parallel,
    )
    if (settings.later.get("index") or {}).get("in_memory"):
        raise typer.Exit(_run_without_a_trace(settings, accept_changes))
    folder = _folder(settings, study, directory)
    file = None if _invocation(context).command else study[0] if study else _default_study()
    _quick_check(settings, folder, file)
    paths = study_paths(live_of(folder), settings)
    if resume and not paths.exists:
        raise StudyNotFound(
            f"--resume: there is no study in {folder}", cure="without --resume the same command starts one"
        )
    if (settings.later.get("index") or {}).get("auto_resume") is False and paths.exists and not (resume or fresh):
        cure = "--resume goes on with it; --fresh sets it aside and starts anew"
        raise UsageError(f"auto_resume is off, and there is a study in {folder}", cure=cure)
    if fresh:
        from outlast.engine.opening import set_aside

        home = home_of(paths)  # aside before its live folder, which it would give back
        for aside in filter(None, [set_aside(home) if home is not None else None, set_aside(paths)]):
            typer.echo(f"the earlier study is kept in {os.path.relpath(aside)}")
    folder = live_folder(folder, settings)
    if detach:
        _detach(_invocation(context), folder)
        return
    raise typer.Exit(_run_here(settings, folder, accept_changes))


def _run_here(settings: Settings, folder: str, accept_changes: bool) -> int:
    from outlast.cli.render import end_summary, start_banner
    from outlast.cli.text import make_console
    from outlast.cli.watching import Watching
    from outlast.core.best import best_trial
    from outlast.core.states import StudyState
    from outlast.engine.homing import bring_home
    from outlast.engine.opening import Opened
    from outlast.engine.plotting import draw_plots
    from outlast.engine.run import run_study, study_paths
    from outlast.monitor.snapshot import LiveFacts, snapshot
    from outlast.results.configuration import configuration

    console = make_console()
    views: list[Watching] = []
    paths = study_paths(folder, settings)

    def listener(opened: Opened, slots: int) -> Watching:
        started = opened.study.last_run.at if opened.study.last_run else ""
        live = LiveFacts(os.uname().nodename, os.getpid(), started, slots)
        now = snapshot(opened.study, settings, now=datetime.now(timezone.utc), live=live, folder=folder)
        banner = start_banner(
            now, settings, index=os.path.join(folder, "study.db"), slots=slots, notes=_notes(settings, paths)
        )
        with contextlib.suppress(OSError):  # a pipe that nobody reads ends no search
            console.print(banner)
        view = Watching(console, settings, live, folder)
        views.append(view)
        return view

    try:
        verdict, study = run_study(paths, settings, listener, accept_changes=accept_changes, say=console.print)
    finally:
        for view in views:
            view.close()
    if verdict.state is StudyState.DONE:
        draw_plots(paths, study, settings)
    behind = bring_home(paths)
    if behind is not None:
        console.print(behind)
    end = snapshot(study, settings, now=datetime.now(timezone.utc), folder=folder)
    best = best_trial(study, settings.metrics)
    files = [
        (label, os.path.join(folder, name))
        for label, name in (
            ("trials", "trials.csv"), ("best configuration", "best_config.yaml"), ("best results", "best_results.json"),
            ("best checkpoint", "best_checkpoint"), ("plots", "plots"),
        )
        if os.path.exists(os.path.join(folder, name))
    ]  # fmt: skip
    values = {} if best is None else configuration(best, study, settings)
    with contextlib.suppress(OSError):  # nobody reads it: how the search ended is what counts
        story = _what_halted(paths, study, folder) if verdict.state is StudyState.HALTED else None
        make_console().print(end_summary(end, configuration=values, files=files, story=story))
    return {StudyState.DONE: 0, StudyState.HALTED: 3}.get(verdict.state, 4)


def _run_without_a_trace(settings: Settings, accept_changes: bool) -> int:
    """Checkpointing is off (reference dialect): the study lives in a temporary folder and is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="outlast-in-memory-") as place:
        note = "checkpointing is off: nothing is kept but what is printed here, and nothing can be resumed"
        told = settings.model_copy(update={"notes": (*settings.notes, note)})
        return _run_here(told, os.path.join(place, settings.name), accept_changes)


def _what_halted(paths: StudyPaths, study: Study, folder: str) -> RenderableType:
    """The failure that halted the search, with its traceback."""
    from outlast.cli.render_show import show_failures
    from outlast.cli.showing import failure_stories
    from outlast.results.failures import group_failures

    since = {outcome.trial for outcome in study.failures_since_run}
    groups = [group for group in group_failures(study) if since & set(group.trials)][:1]
    return show_failures(groups, folder=folder, tails=failure_stories(paths, groups))


def _notes(settings: Settings, paths: StudyPaths) -> list[tuple[str, str]]:
    notes = [("note", note) for note in settings.notes]
    home = home_of(paths)
    if home is not None:
        notes.append(("home", f"records and best weights are brought to {os.path.relpath(home.root)} after each trial"))
    kept = settings.checkpoints.keep
    if kept is not None:
        best = f"the best {kept} finished trials' and " if kept else ""
        notes.append(("checkpoints", f"kept: {best}those of trials without an outcome; the others are deleted"))
    return notes


def _detach(invocation: Invocation, folder: str) -> None:
    """Start the same command again in a session of its own, its output in ``run.log``; wait until it holds the study."""
    ours = [argument for argument in invocation.before if argument not in ("--detach", "--fresh")]
    arguments = [*ours, "--", *invocation.command] if invocation.command else ours
    paths = StudyPaths.at(folder)
    make_dir(paths.root)
    log = os.path.join(folder, paths.run_log.name)
    with open(log, "ab") as output:
        began = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "outlast", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _DETACHED_WITHIN
    while process.poll() is None and current_holder(paths.ledger).get("pid") != process.pid:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    if process.poll() is not None:  # it failed, or there was nothing left to do: either way it has said so
        with open(log, "rb") as lines:
            lines.seek(began)
            words = lines.read().decode(errors="replace")
        typer.echo(words, nl=False, err=process.returncode != 0)
        if not paths.exists and not began:
            os.unlink(log)
            os.rmdir(paths.root)
        raise typer.Exit(process.returncode)
    typer.echo(f"running in the background (pid {process.pid}); its words go to {log}")
    typer.echo(f"watch it: outlast status -w {folder}    end it: outlast stop {folder}")


def stop(
    study: StudyArgument = None,
    directory: DirOption = None,
    drain: Annotated[bool, typer.Option("--drain", help="Let running trials finish, start no new ones.")] = False,
    now: Annotated[bool, typer.Option("--now", help="End running trials at once.")] = False,
    trial: Annotated[int | None, typer.Option(metavar="N", help="End one trial only: it counts as pruned.")] = None,
) -> None:
    """Ask a running search, or one of its trials, to stop. Running trials may save a checkpoint first.

    Example:
        outlast stop studies/digits
        outlast stop studies/digits --trial 7
    """
    from outlast.engine.stopping import stop_study

    typer.echo(stop_study(the_folder(study, directory), drain=drain, now=now, trial=trial))


def worker(
    study: StudyArgument = None,
    directory: DirOption = None,
    parallel: Annotated[int, typer.Option(metavar="N", min=1, help="Trials side by side.")] = 1,
) -> None:
    """Help a live run on a shared folder: ask it for trials and run them here. Where nobody runs the study, run it.

    Example:
        outlast worker /shared/studies/digits --parallel 2
    """
    from outlast.engine.worker import Worker

    folder = the_folder(study, directory)
    if Worker(folder, parallel=parallel, say=typer.echo).run():
        return
    from outlast.engine.run import recorded_settings

    settings, _ = recorded_settings(folder)
    raise typer.Exit(_run_here(settings.model_copy(update={"parallel": parallel}), folder, False))


def _settings(
    invocation: Invocation,
    study: list[str] | None,
    overrides: list[str],
    metric: tuple[str, Literal["maximize", "minimize"]] | None,
    name: str | None,
    *,
    trials: int | None = None,
    parallel: int | None = None,
) -> Settings:
    """The settings that the command line means: a study file, a study folder, or a command with inline spaces."""
    given = study or []
    flags = [] if trials is None else [f"budget.trials={trials}"]
    flags += [] if parallel is None else [f"parallel={parallel}"]
    if "" in given or ("--" in invocation.arguments and not invocation.command):
        raise UsageError("there is nothing where a study file or a command should be", cure="outlast run STUDY.yaml")
    if invocation.command:
        from outlast.config.inline import settings_from_command

        if given:
            fact = f"{given[0]} and a command behind -- exclude each other"
            raise UsageError(fact, cure="a study file has its own `command`; leave one of the two out")
        if overrides:
            raise UsageError("--set changes a study file; there is none", cure="leave it out, or write a study file")
        if metric is None:
            raise UsageError("a command needs its metric", cure="--maximize NAME or --minimize NAME")
        settings = settings_from_command(invocation.command, name=name, metric=metric, trials=trials)
        return settings if parallel is None else settings.model_copy(update={"parallel": parallel})
    if len(given) > 1:
        raise UsageError(f"one study at a time; {len(given)} were given: {', '.join(given)}")
    file = by_name(given[0]) if given else _default_study()
    if is_study_folder(file):
        from outlast.config.load import settings_from_resolved
        from outlast.engine.run import recorded_settings

        settings, _ = recorded_settings(live_of(file))
        changes = [*overrides, *flags]
        if not changes:
            return settings
        from outlast.config.load import override_resolved

        return settings_from_resolved(override_resolved(settings.resolved, changes), settings.working_directory)
    from outlast.config.load import load_study_file

    return load_study_file(file, overrides=[*overrides, *flags], metric=metric, name=name)


def _default_study() -> str:
    for name in ("study.yaml", "sweep.yaml"):
        if os.path.isfile(name):
            return name
    try:
        return the_folder(None)
    except StudyNotFound:
        raise UsageError("no study file", cure="outlast run STUDY.yaml, or: outlast init -- python train.py") from None


def _folder(settings: Settings, study: list[str] | None, directory: str | None) -> str:
    if directory is not None:
        if not directory:
            raise UsageError("--dir: there is no folder without a name", cure="--dir FOLDER")
        return directory
    if study and is_study_folder(by_name(study[0])):
        return by_name(study[0]).rstrip("/")
    return os.path.join("studies", settings.name)


def _invocation(context: typer.Context) -> Invocation:
    return context.obj if isinstance(context.obj, Invocation) else Invocation()


def _metric(maximize: str | None, minimize: str | None) -> tuple[str, Literal["maximize", "minimize"]] | None:
    if maximize is not None and minimize is not None:
        raise UsageError("--maximize and --minimize exclude each other", cure="several objectives go into a study file")
    if maximize is not None:
        return maximize, "maximize"
    return None if minimize is None else (minimize, "minimize")


def _quick_check(settings: Settings, folder: str, file: str | None) -> None:
    """The two-second part of `check`, at every run: refuse what cannot work before anything is written."""
    from outlast.engine.check import quick_check

    for finding in quick_check(settings, folder):
        if finding.level == "error":
            raise _refusal(finding, file)


def _refusal(finding: Finding, file: str | None) -> UsageError:
    """What speaks against running, at its place in the study file where it has one."""
    from outlast.config import yaml

    document = yaml.read(file) if file is not None and os.path.isfile(file) else None
    if document is None or finding.about in ("folder", "checkpoints.dir"):
        return UsageError(finding.text, cure=finding.cure)
    about, text = finding.about, finding.text
    if about == "files" and ": " in text:
        about, _, text = text.partition(": ")
    if (about,) in document.places:
        return document.error((about,), text, finding.cure)
    return StudyFileError(finding.text, file=file, cure=finding.cure)
