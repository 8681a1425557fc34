"""Which studies a command line with several of them means."""

from __future__ import annotations

import dataclasses
import os

from outlast.cli.search_request import SearchRequest
from outlast.engine.campaign.planned import CampaignPlan, Planned
from outlast.errors import OutlastError
from outlast.study.campaign import Campaign, Member


def plan_of(search: SearchRequest) -> CampaignPlan:
    """The campaign of the study files and folders that were named: each study where it would lie alone."""
    stems = [os.path.splitext(os.path.basename(each.rstrip("/")))[0] for each in search.study]
    name = search.name or "+".join(stems)
    folder = search.directory or os.path.join("studies", name)
    planned = []
    for word, stem in zip(search.study, stems, strict=True):
        one = dataclasses.replace(search, study=(word,), name=None, directory=None, parallel=None)
        try:
            settings, place = one.settings, one.folder
        except OutlastError as error:
            member = Member(stem, os.path.relpath(os.path.join("studies", stem), folder))
            planned.append(Planned(member=member, folder=os.path.join("studies", stem), error=error))
            continue
        member = Member(settings.name, os.path.relpath(place, folder))
        planned.append(Planned(member=member, folder=place, settings=settings))
    campaign = Campaign(
        name=name,
        members=tuple(each.member for each in planned),
        parallel=search.parallel,
        command=tuple(search.invocation.arguments),
        working_directory=os.path.relpath(os.getcwd(), folder),
    )
    return CampaignPlan(campaign=campaign, folder=folder, planned=tuple(planned))
