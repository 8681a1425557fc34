"""What `run` does with what is meant: one study or several, here or in the background."""

from __future__ import annotations

import click

from outlast.cli.detached import detach as in_the_background
from outlast.cli.detached import is_detached
from outlast.cli.each_study import tell_refused
from outlast.cli.run_here import run_here, run_without_a_trace
from outlast.cli.search_request import SearchRequest
from outlast.cli.supervising import refuse_supervised, run_campaign, run_supervised
from outlast.engine.campaign.orders import Orders
from outlast.engine.campaign.planned import CampaignPlan, HowToRun
from outlast.engine.campaign.restarts import AT_REST, worst
from outlast.engine.launch import make_ready
from outlast.engine.record.examine import read_study
from outlast.study.campaign import CampaignPaths
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.supervision import Supervision, live_supervision, read_supervision


def run_several(search: SearchRequest, plan: CampaignPlan, *, detach: bool) -> int:
    """Run a campaign. Returns the exit code. Where none of its studies can be begun, nothing is written."""
    if not plan.startable:
        return worst(tell_refused(each.member.study, "cannot start", each.error) for each in plan.refused)
    if not detach:
        is_detached()  # what is begun from here must not take itself for it
        return run_campaign(plan)
    at = CampaignPaths.at(plan.folder)
    refuse_supervised(at.supervisor, plan.folder)
    return in_the_background(search.invocation, plan.folder, at.supervisor, at.log, done=["--unless-over"])


def run_one(search: SearchRequest, how: HowToRun, *, detach: bool) -> int:
    """Run one study. Returns the exit code."""
    settings, background = search.settings, is_detached()
    given = None if how.warm_start is None else how.warm_start.prepared(settings)
    if (settings.later.get("index") or {}).get("in_memory"):
        return run_without_a_trace(settings, how.accept_changes, given=given)
    if not background:
        refuse_supervised(StudyPaths.at(search.folder).supervisor, search.folder)
    folder = make_ready(
        settings, search.folder, fresh=how.fresh, resume=how.resume, refusal=search.refusal, say=click.echo
    )
    if background:
        orders = Orders(
            study=settings.name,
            settings=settings,
            folder=folder,
            accept_changes=how.accept_changes,
            warm_start=how.warm_start,
        )
        return run_supervised(orders, how)
    if detach:
        paths = StudyPaths.at(folder)
        return in_the_background(
            search.invocation, folder, paths.supervisor, paths.run_log, done=["--fresh", "--unless-over"]
        )
    return run_here(settings, folder, how.accept_changes, given=given)


def has_come_to_rest(search: SearchRequest) -> bool:
    """Whether there is nothing to do unless a person asks for it: each study runs, is done, halted, was stopped or refused."""
    plan = search.campaign
    if plan is None:
        return _rests(search.folder, read_supervision(StudyPaths.at(search.folder).supervisor), search.settings.name)
    record = CampaignPaths.at(plan.folder).supervisor
    if live_supervision(record) is not None:
        return True
    known = read_supervision(record)
    return all(_rests(each.folder, known, each.member.study) for each in plan.planned)


def _rests(folder: str, known: Supervision | None, study: str) -> bool:
    charge = None if known is None else known.of(study)
    if charge is not None and charge.condition == "refused":
        return True
    paths = StudyPaths.at(live_of(folder))
    if live_supervision(paths.supervisor) is not None or holder_is_live(paths.ledger) is not False:
        return True
    ended = read_study(paths).ended if paths.exists else None
    return ended is not None and ended.state in AT_REST
