"""What a command that means several studies means: which, where each lies, and what each is to do. Values only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.parts_of_pool import pool_of
from outlast.errors import OutlastError
from outlast.study.campaign import Campaign, Member

if TYPE_CHECKING:
    from outlast.engine.care.warm_start import WarmStart


class Planned(Struct, frozen=True, kw_only=True):
    """One study of a campaign: what it is to do, or why it can do nothing. Nothing of it is checked yet but its file."""

    member: Member
    folder: str  # as seen from the working directory, or absolute; of a study with a live folder elsewhere, its home
    settings: Settings | None = None
    error: OutlastError | None = None  # one of the two is there


def limit_of(settings: Settings | None) -> int | None:
    """Attempts side by side at the most, where the study file says so."""
    return None if settings is None or settings.parallel == "auto" else int(settings.parallel)


def aimed(member: Member, settings: Settings | None) -> Member:
    """A study of a campaign with the trials that it is to reach; as it is where its settings cannot be read."""
    return member if settings is None else replace(member, target=settings.budget.trials)


class HowToRun(Struct, frozen=True, kw_only=True):
    """What a person asked for beside the studies: the same for each of them. See `outlast.engine.launch`."""

    fresh: bool = False  # set an earlier study aside; once, at the beginning: a restarted coordinator goes on
    resume: bool = False  # go on with what is there; start no new study
    accept_changes: bool = False
    warm_start: WarmStart | None = None  # earlier searches; prepared for each study's settings


class CampaignPlan(Struct, frozen=True, kw_only=True):
    """Several studies that one command begins or goes on with.

    Attributes:
        campaign: What is put on record (`outlast.study.campaign.keep_campaign`). It may have more members than are planned:
            where a person names one study of a campaign, the others stay as they are.
        folder: The campaign's, as seen from the working directory, or absolute.
        planned: The studies that are meant, in order. A study that cannot be read is among them, with its error.
    """

    campaign: Campaign
    folder: str
    planned: tuple[Planned, ...]
    how: HowToRun = HowToRun()

    @property
    def startable(self) -> tuple[Planned, ...]:
        """Those whose settings could be read."""
        return tuple(each for each in self.planned if each.settings is not None)

    @property
    def refused(self) -> tuple[Planned, ...]:
        """Those whose settings could not be read: their errors say why. The others are run all the same."""
        return tuple(each for each in self.planned if each.settings is None)

    @property
    def on_this_machine(self) -> tuple[Settings, ...]:
        """Those of them that take slots of this machine, and leave no attempt to a scheduler."""
        found = (each.settings for each in self.planned)
        return tuple(each for each in found if each is not None and not each.executor.plugged)

    @property
    def pool(self) -> int | None:
        """Slots of this machine for all studies together; ``None``: as many as it holds."""
        return pool_of(self.campaign.parallel, [limit_of(each) for each in self.on_this_machine])

    def asked(self, how: HowToRun) -> CampaignPlan:
        """The same studies, run in this way."""
        return replace(self, how=how)
