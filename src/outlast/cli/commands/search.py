"""Commands that begin and end a search here: init, check, run, stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from outlast.cli.help import Command
from outlast.cli.invocation import Invocation
from outlast.cli.options import (
    WholeNumber,
    accept_option,
    collect_nothing,
    complete_files,
    dir_option,
    fresh_option,
    from_options,
    json_option,
    search_options,
    study_argument,
)
from outlast.cli.targets.locate_several import studies_named
from outlast.errors import UsageError

if TYPE_CHECKING:
    from outlast.cli.targets.search_request import SearchRequest
    from outlast.engine.care.warm_start import WarmStart


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
    from outlast.cli.targets.search_request import invocation_of
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
@search_options
@click.option("--smoke", is_flag=True, help="Run one trial for real, and one for each value of the small categoricals.")
@click.option("--rehearse", is_flag=True, help="Kill a trial after its first checkpoint and see whether it resumes.")
@click.option(
    "--limit", metavar="TIME", default="3m", show_default=True, help="With these two: how long a trial may take."
)
@click.option("--notify", is_flag=True, help="Send a test message to everybody who is told of the search.")
@json_option
def check(
    context: click.Context,
    search: SearchRequest,
    smoke: bool,
    rehearse: bool,
    limit: str,
    notify: bool,
    as_json: bool,
) -> None:
    """Look through study file, command, space, sampler, machine, folder and disk; start nothing, write nothing.

    Where the study file has a `slurm:` section, also through the cluster: whether SLURM takes the jobs, and which mode fits.
    Of a campaign, each study is looked through, and what is wrong with one is said of that one.
    With --smoke or --rehearse, trials run in a temporary folder, their command with `check.args` of the study file appended.
    Exit code 2: the study file, the command or this machine is at fault. 1: a trial failed, or starts over when resumed.

    Example:
        outlast check study.yaml
        outlast check study.yaml --smoke --rehearse
        outlast check study.yaml --notify
        outlast check study.yaml --set budget.trials=200 --json
        outlast check campaign.yaml
        outlast check --maximize val_acc -- python train.py --lr '~log(1e-5,1e-1)'
    """
    from outlast.cli.running.checking import all_findings, check_campaign
    from outlast.cli.running.trying import seconds_of, try_out

    seconds, again = seconds_of(limit), _to_run(search.invocation)
    if (plan := search.campaign) is not None:
        code = check_campaign(plan, smoke=smoke, rehearse=rehearse, limit=seconds, as_json=as_json, again=again,
                              notify=notify)  # fmt: skip
        context.exit(code)
    settings, folder = search.settings, search.folder
    if notify and not settings.notify:
        raise UsageError("nobody is told of this search", cure="notify: ntfy://TOPIC in the study file, or a command")
    findings = all_findings(settings, folder, notify=notify)
    code = try_out(settings, folder, findings, smoke=smoke, rehearse=rehearse, limit=seconds, as_json=as_json)
    if code:
        context.exit(code)
    if not as_json:
        from outlast.cli.render.text import make_console, next_line
        from outlast.cli.running.checking import how_to_begin

        make_console().print(next_line(how_to_begin([settings], again)))


def _to_run(checked: Invocation) -> list[str]:
    """The words behind ``outlast check`` that `run` takes too."""
    ours, words = [], iter(checked.before[1:])
    for word in words:
        if word == "--limit":
            next(words, None)
        elif word not in ("--smoke", "--rehearse", "--notify") and not word.startswith("--limit="):
            ours.append(word)
    return [*ours, "--", *checked.command] if checked.command else ours


@click.command(cls=Command)
@search_options
@click.option(
    "--deadline",
    metavar="TIME",
    help="Stop cleanly before it: a time since the session began (11h), or a clock time (15:00).",
)
@fresh_option
@click.option("--resume", is_flag=True, help="Go on with a study that is there; never start a new one.")
@accept_option
@from_options
@click.option(
    "--detach", is_flag=True, help="Run in the background, begun again if it dies; words go to run.log or campaign.log."
)
@click.option(
    "--unless-over",
    is_flag=True,
    help="Do nothing where it runs already, is done, has halted or was stopped: for whoever starts it by the clock.",
)
@click.option(
    "--print-unit",
    "unit",
    type=click.Choice(["systemd", "cron"]),
    help="Print what keeps this very command running on this machine, also after a reboot; run nothing.",
)
def run(
    context: click.Context,
    search: SearchRequest,
    fresh: bool,
    resume: bool,
    accept_changes: bool,
    warm_start: WarmStart | None,
    detach: bool,
    unless_over: bool,
    unit: str | None,
) -> None:
    """Run a search here, or several. The same command again goes on with exactly the rest.

    Example:
        outlast run study.yaml
        outlast run study.yaml --trials 100
        outlast run a.yaml b.yaml --parallel 4 --detach
        outlast run study.yaml --from studies/smaller
        outlast run study.yaml --deadline 11h
        outlast run --maximize val_acc --trials 20 -- python train.py --lr '~log(1e-5,1e-1)'
    """
    collect_nothing()
    from outlast.cli.running.run_meant import has_come_to_rest, run_one, run_several
    from outlast.engine.campaign.planned import HowToRun

    plan = search.campaign
    if unit is not None:
        from outlast.cli.running.unit_files import crontab_line, systemd_unit

        click.echo((systemd_unit if unit == "systemd" else crontab_line)(search), nl=False)
        return
    if unless_over and has_come_to_rest(search):
        return
    how = HowToRun(fresh=fresh, resume=resume, accept_changes=accept_changes, warm_start=warm_start)
    context.exit(
        run_one(search, how, detach=detach)
        if plan is None
        else run_several(search, plan.asked(how), detach=detach, unless_over=unless_over)
    )


@click.command(cls=Command)
@study_argument
@dir_option
@click.option("--drain", is_flag=True, help="Let running trials finish, start no new ones.")
@click.option("--now", is_flag=True, help="End running trials at once.")
@click.option("--trial", metavar="N", type=WholeNumber(0), help="End one trial only: it counts as pruned.")
def stop(study: str | None, directory: str | None, drain: bool, now: bool, trial: int | None) -> None:
    """Ask a running search, or one of its trials, to stop. Running trials may save a checkpoint first.

    A campaign means all of its studies, of which none is begun again; FOLDER/STUDY, or a study's name, one of them.

    Example:
        outlast stop studies/digits
        outlast stop studies/digits --trial 7
        outlast stop studies/maximal/criteria
    """
    from outlast.engine.campaign.stop_campaign import stop_campaign, stop_one

    folders, campaign = studies_named(study, directory)
    if campaign is None:
        click.echo(stop_one(folders[0], drain=drain, now=now, trial=trial, say=click.echo))
        return
    if trial is not None:
        raise UsageError(f"--trial: this is a campaign; of which study is trial {trial}?", cure="  ".join(folders))
    for line in stop_campaign(campaign, drain=drain, now=now):
        click.echo(line)
