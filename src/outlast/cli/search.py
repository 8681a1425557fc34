"""Commands that begin and end a search here: init, check, run, stop."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from outlast.cli.asked import (
    begin_anew,
    default_study,
    folder_of,
    invocation_of,
    metric_of,
    refuse_what_cannot_work,
    settings_of,
)
from outlast.cli.help import Command
from outlast.cli.invocation import Invocation
from outlast.cli.locate import by_name, the_folder
from outlast.cli.options import (
    accept_option,
    complete_files,
    dir_option,
    fresh_option,
    json_option,
    maximize_option,
    minimize_option,
    name_option,
    parallel_option,
    set_option,
    source_argument,
    study_argument,
    trials_option,
)
from outlast.errors import StudyNotFound, UsageError
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from outlast.config.settings import Settings
    from outlast.core.fold import Study

__all__ = ["check", "init", "run", "stop"]

_DETACHED = "OUTLAST_DETACHED"  # for the process in the background only: trainings do not see it
_DETACHED_WITHIN = 30.0  # seconds for a run in the background to take the study in hand


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="study.yaml",
    show_default=True,
    help="Study file to write.",
    shell_complete=complete_files,
)
@click.pass_context
def init(context: click.Context, output: str) -> None:
    """Draft a study file from what the training script says with --help.

    Example:
        outlast init -- python train.py
        outlast init --output cnn.yaml -- python train_cnn.py --epochs 30
    """
    from outlast.engine.draft import draft_study

    command = invocation_of(context).command
    if not command:
        raise UsageError("init needs the training command", cure="outlast init -- python train.py")
    if os.path.exists(output):
        raise UsageError(f"{output} is there already", cure="outlast init --output OTHER.yaml -- COMMAND")
    draft = draft_study(command)
    try:
        with open(output, "x") as file:
            file.write(draft)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}", cure="name another with --output") from None
    click.echo(f"wrote {output}: look through its ranges and name the metric, then: outlast check {output}")


@click.command(cls=Command)
@source_argument
@set_option
@trials_option
@parallel_option
@maximize_option
@minimize_option
@dir_option
@name_option
@click.option("--smoke", is_flag=True, help="Run one trial for real, and one for each value of the small categoricals.")
@click.option("--rehearse", is_flag=True, help="Kill a trial after its first checkpoint and see whether it resumes.")
@click.option(
    "--limit", metavar="TIME", default="3m", show_default=True, help="With these two: how long a trial may take."
)
@json_option
@click.pass_context
def check(
    context: click.Context,
    study: tuple[str, ...],
    overrides: tuple[str, ...],
    trials: int | None,
    parallel: int | None,
    maximize: str | None,
    minimize: str | None,
    directory: str | None,
    name: str | None,
    smoke: bool,
    rehearse: bool,
    limit: str,
    as_json: bool,
) -> None:
    """Look through study file, command, space, sampler, machine, folder and disk; start nothing, write nothing.

    Where the study file has a `slurm:` section, also through the cluster: whether SLURM takes the jobs, and which mode fits.
    With --smoke or --rehearse, trials run in a temporary folder, their command with `check.args` of the study file appended.
    Exit code 2: the study file, the command or this machine is at fault. 1: a trial failed, or starts over when resumed.

    Example:
        outlast check study.yaml
        outlast check study.yaml --smoke --rehearse
        outlast check study.yaml --set budget.trials=200 --json
        outlast check --maximize val_acc -- python train.py --lr '~log(1e-5,1e-1)'
    """
    from outlast.cli.trying import seconds_of, try_out
    from outlast.engine.check.quick import quick_check
    from outlast.engine.cluster.inspection import check_cluster, meant_for_slurm
    from outlast.engine.cluster.shared_storage import storage_findings

    seconds = seconds_of(limit)
    settings = settings_of(
        invocation_of(context), study, overrides, metric_of(maximize, minimize), name,
        trials=trials, parallel=parallel,
    )  # fmt: skip
    folder = folder_of(settings, study, directory)
    findings = quick_check(settings, folder)
    if meant_for_slurm(settings):
        findings += [*check_cluster(settings, folder), *storage_findings(settings, folder)]
    code = try_out(settings, folder, findings, smoke=smoke, rehearse=rehearse, limit=seconds, as_json=as_json)
    if code:
        context.exit(code)
    if not as_json:
        from outlast.cli.text import make_console, next_line

        go = "submit" if settings.slurm is not None and shutil.which("sbatch") else "run"
        make_console().print(next_line(shlex.join(["outlast", go, *_to_run(invocation_of(context))])))


def _to_run(checked: Invocation) -> list[str]:
    """The words behind ``outlast check`` that `run` takes too."""
    ours, words = [], iter(checked.before[1:])
    for word in words:
        if word == "--limit":
            next(words, None)
        elif word not in ("--smoke", "--rehearse") and not word.startswith("--limit="):
            ours.append(word)
    return [*ours, "--", *checked.command] if checked.command else ours


@click.command(cls=Command)
@source_argument
@trials_option
@parallel_option
@maximize_option
@minimize_option
@set_option
@dir_option
@name_option
@fresh_option
@click.option("--resume", is_flag=True, help="Go on with a study that is there; never start a new one.")
@accept_option
@click.option("--detach", is_flag=True, help="Run in the background; words go to run.log.")
@click.pass_context
def run(
    context: click.Context,
    study: tuple[str, ...],
    trials: int | None,
    parallel: int | None,
    maximize: str | None,
    minimize: str | None,
    overrides: tuple[str, ...],
    directory: str | None,
    name: str | None,
    fresh: bool,
    resume: bool,
    accept_changes: bool,
    detach: bool,
) -> None:
    """Run a search here. The same command again goes on with exactly the rest.

    Example:
        outlast run study.yaml
        outlast run study.yaml --trials 100
        outlast run --maximize val_acc --trials 20 -- python train.py --lr '~log(1e-5,1e-1)'
    """
    from outlast.engine.derived.home_sync import live_folder
    from outlast.engine.record.recorded import study_paths
    from outlast.study.home import live_of

    settings = settings_of(
        invocation_of(context),
        study,
        overrides,
        metric_of(maximize, minimize),
        name,
        trials=trials,
        parallel=parallel,
    )
    if (settings.later.get("index") or {}).get("in_memory"):
        context.exit(_run_without_a_trace(settings, accept_changes))
    folder = folder_of(settings, study, directory)
    file = None if invocation_of(context).command else by_name(study[0]) if study else default_study()
    refuse_what_cannot_work(settings, folder, file)
    paths = study_paths(live_of(folder), settings)
    if resume and not paths.exists:
        raise StudyNotFound(
            f"--resume: there is no study in {folder}", cure="without --resume the same command starts one"
        )
    if (settings.later.get("index") or {}).get("auto_resume") is False and paths.exists and not (resume or fresh):
        cure = "--resume goes on with it; --fresh sets it aside and starts anew"
        raise UsageError(f"auto_resume is off, and there is a study in {folder}", cure=cure)
    if fresh:
        begin_anew(paths)
    folder = live_folder(folder, settings)
    if detach:
        _detach(invocation_of(context), folder)
        return
    context.exit(_run_here(settings, folder, accept_changes))


def _run_here(settings: Settings, folder: str, accept_changes: bool, *, kept: bool = True) -> int:
    from outlast.cli.ending import tell_end
    from outlast.cli.render import start_banner
    from outlast.cli.text import make_console
    from outlast.cli.watching import Watching
    from outlast.engine.derived.home_sync import bring_home
    from outlast.engine.hold.run import run_study
    from outlast.engine.record.recorded import study_paths
    from outlast.monitor.snapshot import LiveFacts, snapshot
    from outlast.study.opened import Opened

    console = make_console()
    detached = os.environ.pop(_DETACHED, None) is not None
    unattended = detached or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
    views: list[Watching] = []
    paths = study_paths(folder, settings)

    def listener(opened: Opened, slots: int) -> Watching:
        started = opened.study.last_run.at if opened.study.last_run else ""
        live = LiveFacts(os.uname().nodename, os.getpid(), started, slots)
        now = snapshot(opened.study, settings, now=datetime.now(timezone.utc), live=live, folder=folder)
        banner = start_banner(
            now,
            settings,
            index=os.path.join(folder, "study.db"),
            slots=slots,
            sampler=_sampler_text(settings),
            notes=[*_notes(settings, opened.study), *_home_note(paths)],
            kept=kept,
        )
        with contextlib.suppress(OSError):  # a pipe that nobody reads ends no search
            console.print(banner)
        view = Watching(console, settings, live, folder)
        views.append(view)
        return view

    try:
        _, study = run_study(
            paths, settings, listener, accept_changes=accept_changes, say=console.print, unattended=unattended
        )
    finally:
        for view in views:
            view.close()
    code = tell_end(folder, study, settings, kept=kept)
    behind = bring_home(paths)
    if behind is not None:
        console.print(behind)
    return code


def _run_without_a_trace(settings: Settings, accept_changes: bool) -> int:
    """Checkpointing is off (reference dialect): the study lives in a temporary folder and is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="outlast-in-memory-") as place:
        note = "checkpointing is off: nothing is kept but what is printed here, and nothing can be resumed"
        told = replace(settings, notes=(*settings.notes, note))
        return _run_here(told, os.path.join(place, settings.name), accept_changes, kept=False)


def _sampler_text(settings: Settings) -> str:
    """The sampler's name; of ``auto`` what it turned out to be."""
    from outlast.optimizer.samplers import SamplerFactory

    if settings.sampler.name != "auto":
        return settings.sampler.name
    conditional = any(parameter.when for parameter in settings.parameters) or not settings.parameters
    return f"{SamplerFactory(settings.sampler, objectives=len(settings.metrics), conditional=conditional).name} (auto)"


def _home_note(paths: StudyPaths) -> list[tuple[str, str]]:
    from outlast.study.home import home_of

    home = home_of(paths)
    if home is None:
        return []
    brought = f"records and best weights are brought to {os.path.relpath(home.root)} after each trial"
    lost = f"the study runs in {paths.root}: what is lost with that is what running trials did since their last record"
    return [("home", f"{brought}; {lost}")]


def _notes(settings: Settings, study: Study) -> list[tuple[str, str]]:
    from outlast.engine.attempts.code_snapshot import changed_code

    notes = [("note", note) for note in settings.notes]
    if change := changed_code(study, settings):
        notes.append(("code", change))
    kept = settings.checkpoints.keep
    if kept is not None:
        best = f"the best {kept} finished trials' and " if kept else ""
        notes.append(("checkpoints", f"kept: {best}those of trials without an outcome; the others are deleted"))
    return notes


def _detach(invocation: Invocation, folder: str) -> None:
    """Start the same command again in a session of its own, its output in ``run.log``; wait until it holds the study."""
    from outlast._system import make_dir
    from outlast.study.lease import current_holder

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
            env={**os.environ, _DETACHED: "1"},
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
        click.echo(words, nl=False, err=process.returncode != 0)
        if not paths.exists and not began:
            os.unlink(log)
            os.rmdir(paths.root)
        click.get_current_context().exit(process.returncode)
    click.echo(f"running in the background (pid {process.pid}); its words go to {log}")
    click.echo(f"watch it:  outlast status -w {folder}\nend it:    outlast stop {folder}")


@click.command(cls=Command)
@study_argument
@dir_option
@click.option("--drain", is_flag=True, help="Let running trials finish, start no new ones.")
@click.option("--now", is_flag=True, help="End running trials at once.")
@click.option("--trial", metavar="N", type=int, help="End one trial only: it counts as pruned.")
def stop(study: str | None, directory: str | None, drain: bool, now: bool, trial: int | None) -> None:
    """Ask a running search, or one of its trials, to stop. Running trials may save a checkpoint first.

    Example:
        outlast stop studies/digits
        outlast stop studies/digits --trial 7
    """
    from outlast.engine.care.stop import stop_study

    click.echo(stop_study(the_folder(study, directory), drain=drain, now=now, trial=trial, say=click.echo))
