"""What `run` does with what is meant: one study or several, here or in the background."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from outlast.cli.running.detached import detach as in_the_background
from outlast.cli.running.detached import is_detached
from outlast.cli.targets.search_request import SearchRequest
from outlast.core.states import BY_SIGNAL
from outlast.engine.campaign.orders import Orders, is_supervised
from outlast.engine.campaign.planned import CampaignPlan, HowToRun
from outlast.engine.campaign.restarts import AT_REST, CODES, worst
from outlast.engine.campaign.run_alone import refuse_supervised, sharing_of, told_of_sharing
from outlast.engine.record.examine import read_study
from outlast.executors.fork_request import begun_ahead
from outlast.study.campaign import CampaignPaths
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, holder_is_live
from outlast.study.supervision import Charge, Supervision, live_supervision, read_supervision

if TYPE_CHECKING:
    from outlast.config.settings import Settings
    from outlast.engine.hold.opening import Given


def run_several(search: SearchRequest, plan: CampaignPlan, *, detach: bool, unless_over: bool = False) -> int:
    """Run a campaign. Returns the exit code. Where none of its studies can be begun, nothing is written.

    Args:
        unless_over: Nobody asks for it but a clock or a reboot: a study that has come to rest is left alone.
    """
    from outlast.cli.running.supervising import run_campaign

    if not plan.startable:
        from outlast.cli.each_study import tell_refused

        return worst(tell_refused(each.member.study, "cannot start", each.error) for each in plan.refused)
    if not detach:
        is_detached()  # what is begun from here must not take itself for it
        return run_campaign(plan, _resting(plan) if unless_over else None)
    at = CampaignPaths.at(plan.folder)
    refuse_supervised(at.supervisor, plan.folder)
    return in_the_background(search.invocation, plan.folder, at.supervisor, at.log)


def run_one(search: SearchRequest, how: HowToRun, *, detach: bool) -> int:
    """Run one study. Returns the exit code."""
    settings, background = search.settings, is_detached()
    given = None if how.warm_start is None else how.warm_start.prepared(settings)
    if settings.index.in_memory:
        from outlast.cli.running.run_here import run_without_a_trace

        return run_without_a_trace(settings, how.accept_changes, given=given)
    if not background:
        refuse_supervised(StudyPaths.at(live_of(search.folder)).supervisor, search.folder)
    if not (background or detach or how.fresh or how.warm_start) and sharing_of(search.folder) is None:
        from outlast.cli.running.run_over import told_as_done

        if (code := told_as_done(settings, search.folder)) is not None:
            return code
    with contextlib.ExitStack() as held:
        if not (background or detach or settings.executor.plugged):
            held.enter_context(begun_ahead())
        return _run_one(search, how, settings, given, detach=detach, background=background)


def _run_one(
    search: SearchRequest, how: HowToRun, settings: Settings, given: Given | None, *, detach: bool, background: bool
) -> int:
    from outlast.engine.launch import make_ready

    folder = make_ready(
        settings, search.folder, fresh=how.fresh, resume=how.resume, refusal=search.refusal, say=click.echo
    )
    sharing = sharing_of(folder)
    if background:
        from outlast.cli.running.supervising import run_supervised
        from outlast.engine.coordinator.session_end import settled

        orders = Orders(
            study=settings.name,
            settings=settled(settings),
            folder=folder,
            accept_changes=how.accept_changes,
            warm_start=how.warm_start,
            sharing=sharing,
        )
        return run_supervised(orders, how)
    if detach:
        paths = StudyPaths.at(folder)
        return in_the_background(
            search.invocation, folder, paths.supervisor, paths.run_log, done=["--fresh", "--unless-over"]
        )
    if sharing is not None:
        click.echo(told_of_sharing(sharing))
    from outlast.cli.running.run_here import run_here

    return run_here(settings, folder, how.accept_changes, given=given, sharing=sharing)


def has_come_to_rest(search: SearchRequest) -> bool:
    """Whether there is nothing to do unless a person asks for it: each study runs, is done, halted, was stopped or refused."""
    plan = search.campaign
    if plan is None:
        known = read_supervision(StudyPaths.at(live_of(search.folder)).supervisor)
        return _rests(search.folder, known, search.settings.name)
    record = CampaignPaths.at(plan.folder).supervisor
    if live_supervision(record) is not None:
        return True
    known = read_supervision(record)
    return all(_rests(each.folder, known, each.member.study) for each in plan.planned)


def _resting(plan: CampaignPlan) -> dict[str, Charge]:
    known = read_supervision(CampaignPaths.at(plan.folder).supervisor)
    found = ((each.member.study, at_rest(each.folder, known, each.member.study)) for each in plan.planned)
    return {study: charge for study, charge in found if charge is not None}


def _rests(folder: str, known: Supervision | None, study: str) -> bool:
    paths = StudyPaths.at(live_of(folder))
    return _is_looked_after(paths) or at_rest(folder, known, study) is not None


def _is_looked_after(paths: StudyPaths) -> bool:
    """Whether somebody runs it who needs nobody: not a coordinator whose supervisor is gone."""
    if live_supervision(paths.supervisor) is not None:
        return True
    if holder_is_live(paths.ledger) is False:
        return False
    from outlast._system.processes import Identity

    who = Identity.from_json(current_holder(paths.ledger))
    return who is None or not who.here or not is_supervised(who.pid)


def at_rest(folder: str, known: Supervision | None, study: str) -> Charge | None:
    """How a study stands that only a person begins again: it is over, was refused, or a person wanted its end."""
    charge = None if known is None else known.of(study)
    if charge is not None and (charge.condition == "refused" or charge.asked):
        return charge if charge.code is not None else replace(charge, condition="ended", code=4)
    paths = StudyPaths.at(live_of(folder))
    ended = read_study(paths).ended if paths.exists and holder_is_live(paths.ledger) is False else None
    if ended is None or ended.state not in AT_REST or ended.reason == BY_SIGNAL:
        return None
    return Charge(study, str(paths.root), condition="ended", code=CODES[ended.state])
