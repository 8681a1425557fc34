"""Whom to tell, as a study or a campaign has it on record: without the secrets that stood in its file."""

from __future__ import annotations

import os
from collections.abc import Mapping

from outlast.config.settings import NotifySettings
from outlast.engine.record.recorded import recorded_settings
from outlast.errors import OutlastError
from outlast.study.campaign import CampaignPaths, read_campaign


def told_on_record(folder: str) -> tuple[NotifySettings, str, Mapping[str, str]]:
    """Who is told what, where the command runs, and what the study sets in the environment; nobody where nothing can be read."""
    campaign = read_campaign(folder)
    if campaign is not None:
        cwd = os.path.normpath(CampaignPaths.at(folder).root / campaign.working_directory)
        return NotifySettings.of(campaign.notify), cwd, {}
    try:
        settings, _ = recorded_settings(folder)
    except OutlastError:
        return NotifySettings(), os.curdir, {}
    return settings.notify, os.path.abspath(settings.working_directory), settings.env
