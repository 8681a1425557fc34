"""A study that is run by itself, though a campaign may have it, or somebody looks after it already."""

from __future__ import annotations

import os
from pathlib import Path

from outlast.engine.campaign.orders import sharing_in
from outlast.errors import StudyBusy
from outlast.executors.shared_slots import Sharing
from outlast.study.campaign import CampaignPaths, campaigns_of
from outlast.study.home import home_of
from outlast.study.layout import StudyPaths
from outlast.study.supervision import live_supervision


def refuse_supervised(record: Path, folder: str) -> None:
    """Say that somebody looks after it already: who began it in the background begins it again when it dies.

    Raises:
        StudyBusy: So it is.
    """
    found = live_supervision(record)
    if found is not None:
        raise StudyBusy(busy_text(f"pid {found.process.pid} on {found.process.host}, since {found.since}", folder))


def busy_text(who: str, folder: str) -> str:
    """Who looks after it, and how it is watched and ended."""
    return (
        f"{folder} is looked after already ({who})\n"
        f"  watch it:      outlast status -w {folder}\n"
        f"  end that run:  outlast stop {folder}"
    )


def sharing_of(folder: str) -> Sharing | None:
    """How a study that is run alone shares the slots of a campaign of its that runs now.

    Args:
        folder: Where it runs.
    """
    home = os.path.realpath((home_of(StudyPaths.at(folder)) or StudyPaths.at(folder)).root)
    for place, campaign in campaigns_of(folder):
        at = CampaignPaths.at(place)
        if live_supervision(at.supervisor) is not None:
            member = next(each for each in campaign.members if os.path.realpath(at.member(each)) == home)
            return sharing_in(place, campaign, member, campaign.pool)
    return None


def told_of_sharing(sharing: Sharing) -> str:
    """What whoever runs it is told."""
    return f"its campaign runs: it takes slots of {os.path.relpath(os.path.dirname(sharing.folder))} in turn"
