"""Commands for searches that several machines share: submit, worker, and what SLURM's small jobs run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from outlast.cli.help import Command
from outlast.cli.options import (
    WholeNumber,
    accept_option,
    dir_option,
    folder_argument,
    fresh_option,
    from_options,
    search_options,
    study_argument,
)
from outlast.cli.targets.locate import the_folder

if TYPE_CHECKING:
    from outlast.cli.targets.search_request import SearchRequest
    from outlast.config.settings import Settings
    from outlast.core.fold import Study
    from outlast.engine.care.warm_start import WarmStart


@click.command(cls=Command)
@search_options
@fresh_option
@accept_option
@from_options
@click.option("--dry-run", is_flag=True, help="Print every script; submit nothing, write nothing.")
def submit(
    context: click.Context,
    search: SearchRequest,
    fresh: bool,
    accept_changes: bool,
    warm_start: WarmStart | None,
    dry_run: bool,
) -> None:
    """Run a search in SLURM's queue. The same command again submits exactly what is missing.

    Of several studies, each has its part of the campaign's `parallel`; when one is done, the others get that part.

    Example:
        outlast submit study.yaml
        outlast submit study.yaml --dry-run
        outlast submit campaign.yaml
        outlast submit study.yaml --set slurm.partition=gpu --set slurm.mode=controller
    """
    from outlast.cli.running.ending import tell_and_settle
    from outlast.engine.cluster.submit import submit_study, tell
    from outlast.engine.launch import make_ready
    from outlast.engine.record.recorded import study_paths

    if (plan := search.campaign) is not None:
        from outlast.cli.running.submitting import dry_run_of_several, submit_several
        from outlast.engine.campaign.planned import HowToRun

        how = HowToRun(fresh=fresh, accept_changes=accept_changes, warm_start=warm_start)
        context.exit(dry_run_of_several(plan) if dry_run else submit_several(plan.asked(how)))
    settings = search.settings
    offered = None if warm_start is None else warm_start.prepared(settings)
    if dry_run:
        _dry_run(search)
        return
    folder = make_ready(settings, search.folder, fresh=fresh, on_cluster=True, refusal=search.refusal, say=click.echo)
    os.environ.update(settings.secret_env)  # sbatch hands it on to the jobs; the record that they are run from cannot
    submitted = submit_study(
        study_paths(folder, settings), settings, accept_changes=accept_changes, say=click.echo, given=offered
    )
    if submitted.verdict is not None:
        context.exit(tell_and_settle(folder, submitted.study, settings, click.echo))
    for line in tell(submitted, folder):
        click.echo(line)
    if submitted.refused and not submitted.jobs:
        context.exit(4)


def _dry_run(search: SearchRequest) -> None:
    """Print the scripts, which are worth reading whatever SLURM says of them behind.

    Raises:
        UsageError: They cannot work, or SLURM would refuse them.
    """
    from outlast.engine.check.quick import quick_check
    from outlast.engine.cluster.inspection import cluster_findings
    from outlast.engine.cluster.submit import dry_run
    from outlast.engine.launch import refuse
    from outlast.engine.record.recorded import study_paths
    from outlast.errors import SlurmMissing, SlurmUnavailable

    settings, folder = search.settings, search.folder
    refuse(quick_check(settings, folder), search.refusal)
    click.echo("\n".join(dry_run(study_paths(folder, settings), settings)), nl=False)
    try:
        refuse(cluster_findings(settings, folder), search.refusal)
    except (SlurmMissing, SlurmUnavailable) as error:
        click.echo(f"note: whether SLURM would take them is not known: {error.fact}", err=True)


@click.command(cls=Command, hidden=True)
@study_argument
@dir_option
@click.option("--parallel", metavar="N", type=WholeNumber(1), default=1, show_default=True, help="Trials side by side.")
@click.option("--trials", "most", metavar="N", type=WholeNumber(1), help="Leave after so many trials.")
@click.pass_context
def worker(context: click.Context, study: str | None, directory: str | None, parallel: int, most: int | None) -> None:
    """Run trials of a study here: for whoever runs it, or, where nobody does, together with the other workers.

    Any machine that shares the folder can help.

    Example:
        outlast worker /shared/studies/digits --parallel 2
    """
    from outlast.engine.hold.worker_by_hand import by_hand

    context.exit(by_hand(the_folder(study, directory), parallel=parallel, most=most, say=click.echo))


@click.command(cls=Command, hidden=True)
@folder_argument
@click.option("--once", is_flag=True, help="Look once and wait for nothing: for a crontab.")
@click.option("--after", metavar="ARRAY", help="The array whose finisher this is.")
@click.pass_context
def finisher(context: click.Context, study: str, once: bool, after: str | None) -> None:
    """Take in what an array's tasks left, and submit what is missing. A small job runs this after them.

    Example:
        outlast finisher studies/digits
    """
    from outlast._system.clock import say_with_time
    from outlast._system.job_environment import JobFacts
    from outlast.cli.running.ending import tell_and_settle
    from outlast.engine.cluster.finish import finish
    from outlast.engine.cluster.siblings import share_anew
    from outlast.errors import SlurmMissing, SlurmRefused
    from outlast.executors.slurm.planning import how_to_go_on

    try:
        turn = finish(study, job=JobFacts.of(os.environ), once=once, after=after, say=say_with_time)
    except (SlurmRefused, SlurmMissing) as refused:
        for line in (refused.fact, *how_to_go_on(study)):
            say_with_time(line)
        context.exit(4)
    if turn is not None:
        share_anew(study, say_with_time)
    if turn is not None and turn.study.ended is not None:
        context.exit(tell_and_settle(study, turn.study, turn.settings, say_with_time))


@click.command(cls=Command, hidden=True)
@folder_argument
@click.pass_context
def controller(context: click.Context, study: str) -> None:
    """Keep a study's trials in SLURM's queue until it is done. A small job runs this.

    Example:
        outlast controller studies/digits
    """
    from outlast._system.clock import say_with_time
    from outlast._system.job_environment import JobFacts
    from outlast.cli.live.watching import Watching
    from outlast.cli.running.ending import tell_and_settle
    from outlast.core.plan import Verdict
    from outlast.engine.cluster.control import control
    from outlast.errors import SlurmMissing
    from outlast.monitor.snapshot import LiveFacts

    def listener(found: Study, settings: Settings, slots: int) -> Watching:
        since = found.last_run.at if found.last_run else ""
        live = LiveFacts(os.uname().nodename, os.getpid(), since, slots)
        return Watching(settings, live, study)

    verdict: Verdict | None
    try:
        verdict, found, settings = control(study, listener, job=JobFacts.of(os.environ), say=say_with_time)
    except SlurmMissing as missing:
        say_with_time(missing.fact)
        say_with_time("a controller needs SLURM's commands where it runs; the trials that run go on")
        say_with_time(
            "slurm: {mode: array} works without them; slurm: {controller: {partition: …}} takes it to nodes that have them"
        )
        context.exit(4)
    if verdict is None:
        context.exit(4)
    context.exit(tell_and_settle(study, found, settings, say_with_time))
