"""From what a person typed to a campaign, or to one study of one. Light: whoever looks at a study asks here first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.errors import UsageError

if TYPE_CHECKING:
    from outlast.study.campaign import Member


def studies_here() -> str:
    """The folder in which studies lie where nobody says another."""
    from outlast._system.platforms import studies_folder

    return studies_folder()


def places_of(name: str) -> list[str]:
    """Where a study of that name may lie: in the folder of all studies, then in ``studies`` here where that is another."""
    from outlast._system.platforms import earlier_studies_folder

    earlier = earlier_studies_folder()
    return [os.path.join(each, name) for each in (studies_here(), earlier) if each is not None]


def is_campaign_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a campaign has its record here."""
    from outlast.study.campaign import CampaignPaths

    return CampaignPaths.at(path).campaign.is_file()


def member_named(given: str) -> tuple[str, Member] | None:
    """The campaign's folder and the study of it that ``CAMPAIGN/NAME`` or ``NAME`` means.

    Raises:
        UsageError: Several campaigns here have a study of that name.
    """
    from outlast.study.campaign import read_campaign

    folder, name = os.path.split(given.rstrip("/"))
    places = (
        [folder, os.path.join(studies_here(), folder)] if folder else sorted(map(str, Path(studies_here()).glob("*")))
    )
    found = []
    for place in places:
        record = read_campaign(place)
        found += [(place, each) for each in record.members if each.study == name] if record is not None else []
    if len({os.path.realpath(os.path.join(place, each.folder)) for place, each in found}) > 1:
        cure = "  ".join(os.path.join(place, name) for place, _ in found)
        raise UsageError(f"several campaigns here have a study {name}: which one?", cure=cure)
    return found[0] if found else None


def campaign_of_file(file: str) -> str | None:
    """The folder of the campaign that a file makes; ``None`` for one that means a single study."""
    try:
        text = Path(file).read_bytes()
    except OSError:
        return None
    words = (b"studies", b"matrix", b"extends", b"search_space")
    if not any(word in text for word in words):  # nearly always, and then this is cheap
        return None
    from outlast.cli.targets.campaign_command import request_of

    asked = request_of(("run", file))
    plan = asked.campaign if asked is not None else None
    return None if plan is None else plan.folder
