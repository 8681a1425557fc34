"""`submit` of several studies: each in the queue with its part of the slots; one that is refused is said, and the others go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from msgspec.structs import replace

from outlast.cli.each_study import tell_refused
from outlast.cli.running.ending import tell_and_settle
from outlast.config.settings import NotifySettings, Settings
from outlast.core.parts_of_pool import parts_of
from outlast.engine.campaign.planned import CampaignPlan, HowToRun, Planned
from outlast.engine.campaign.restarts import worst
from outlast.engine.check.quick import quick_check
from outlast.engine.cluster.inspection import cluster_findings
from outlast.engine.cluster.siblings import share_in
from outlast.engine.cluster.submit import dry_run, submit_study, tell
from outlast.engine.launch import make_ready, refuse
from outlast.engine.record.recorded import study_paths
from outlast.errors import OutlastError, SlurmMissing, SlurmUnavailable, StorageError
from outlast.study.campaign import keep_campaign

_NOT = "not submitted"


def submit_several(plan: CampaignPlan) -> int:
    """Submit each study that can be.

    Returns:
        The exit code: the worst of its studies', as `run` of several says it.
    """
    codes = [tell_refused(each.member.study, _NOT, each.error) for each in plan.refused]
    kept = False
    for each, settings in _with_parts(plan):
        say = _under(each.member.study)
        try:
            folder = make_ready(settings, each.folder, fresh=plan.how.fresh, on_cluster=True, say=say)
            if not kept:
                keep_campaign(plan.folder, plan.campaign)  # before the first job, whose finisher looks for it
                kept = True
            codes.append(_submit(folder, settings, plan.how, say))
        except (OutlastError, OSError) as error:  # a disk that is full, say
            said = error if isinstance(error, OutlastError) else StorageError.of(error)
            codes.append(tell_refused(each.member.study, _NOT, said))
    if kept:
        share_in(plan.folder, plan.campaign, click.echo)  # of what was in the queue already
        click.echo(f"watch all: outlast status -w {plan.folder}    end all: outlast stop {plan.folder}")
    return worst(codes)


def dry_run_of_several(plan: CampaignPlan) -> int:
    """Print each study's scripts. Returns the exit code, as `submit_several`; nothing is submitted or written."""
    codes = [tell_refused(each.member.study, _NOT, each.error) for each in plan.refused]
    for each, settings in _with_parts(plan):
        try:
            refuse(quick_check(settings, each.folder))
            click.echo(f"#### {each.member.study}: {each.folder}")
            click.echo("\n".join(dry_run(study_paths(each.folder, settings), settings)), nl=False)
            refuse(cluster_findings(settings, each.folder))
        except (SlurmMissing, SlurmUnavailable) as error:
            click.echo(f"note: whether SLURM would take {each.member.study} is not known: {error.fact}", err=True)
        except OutlastError as error:
            codes.append(tell_refused(each.member.study, _NOT, error))
    return worst(codes)


def _with_parts(plan: CampaignPlan) -> list[tuple[Planned, Settings]]:
    """The studies that can be read, whose turn is first first, with what each gets of the campaign's slots."""
    studies = list(plan.startable)
    if plan.campaign.share == "priority":  # an earlier job begins earlier
        studies.sort(key=lambda each: -each.member.priority)
    pool, notify = plan.campaign.parallel, NotifySettings.of(plan.campaign.notify)
    found = [(each, _telling(each.settings, notify)) for each in studies if each.settings is not None]
    if pool is None:
        return found
    if len(found) > pool:
        click.echo(f"{len(found)} studies share {pool} slots: each has one task at a time all the same", err=True)
    members = [each.member for each, _ in found]
    parts = parts_of(pool, [each.weight for each in members], [each.parallel for each in members])
    return [(each, _with_part(settings, part)) for (each, settings), part in zip(found, parts, strict=True)]


def _telling(settings: Settings, notify: NotifySettings) -> Settings:
    """With the campaign's `notify` where the study has none: nobody watches over all of them, but each has its finisher."""
    if settings.notify or not notify:
        return settings
    kept = {key: value for key, value in notify.on_record.items() if value}
    return replace(settings, notify=notify, resolved={**settings.resolved, "notify": kept})


def _with_part(settings: Settings, part: int) -> Settings:
    return replace(settings, parallel=part, resolved={**settings.resolved, "parallel": part})


def _submit(folder: str, settings: Settings, how: HowToRun, say: Callable[[str], object]) -> int:
    given = None if how.warm_start is None else how.warm_start.prepared(settings)
    with _environment(settings):
        submitted = submit_study(
            study_paths(folder, settings), settings, accept_changes=how.accept_changes, say=say, given=given
        )
    if submitted.verdict is not None:
        return tell_and_settle(folder, submitted.study, settings, say)
    for line in tell(submitted, folder)[:-1]:  # how to watch and end it is said of all of them
        say(line)
    return 4 if submitted.refused and not submitted.jobs else 0


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """A study's secrets for its own jobs, to which sbatch hands them on."""
    before = {name: os.environ.get(name) for name in settings.secret_env}
    os.environ.update(settings.secret_env)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _under(study: str) -> Callable[[str], object]:
    return lambda text: click.echo(f"{study}: {text}")
