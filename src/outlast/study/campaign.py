"""A campaign: several studies that one command begins, watches and ends. Its folder holds nothing that cannot be made again."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from outlast._system.files import write_atomic
from outlast._system.syncing import make_dir
from outlast.core.file_names import FOLLOWUPS, CampaignNames
from outlast.core.parts_of_pool import pool_of
from outlast.core.sharing import Share
from outlast.study.home import home_of, live_of
from outlast.study.layout import StudyPaths

_ASIDE = re.compile(r"\.\d{8}_\d{6}(-\d+)?$")  # what `--fresh` adds to a folder's name
_DEPTH = 3  # folders below the one that was named in which studies are looked for


class Member(Struct, frozen=True):
    """A study of a campaign."""

    study: str  # its name; no two of a campaign have the same
    folder: str  # as seen from the campaign's folder
    weight: float = 1.0  # its part of the slots' time, as compared with the others'
    priority: int = 0  # with `share: priority`: higher ones first
    parallel: int | None = None  # attempts side by side at the most, where its study file says so
    target: int | None = None  # trials that count; None: it has no number of them, or could not be read


class Campaign(Struct, frozen=True):
    """What a campaign's folder has on record."""

    name: str
    members: tuple[Member, ...]
    parallel: int | None = None  # attempts side by side, of all studies together, where it says so; see `pool`
    share: Share = "weight"
    command: tuple[str, ...] = ()  # the words behind `outlast` that begin it and go on with it
    working_directory: str = "."  # where those were typed, as seen from the campaign's folder
    notify: Any = None  # as in a study file; without secrets where it comes from the record

    @property
    def pool(self) -> int | None:
        """Slots of all studies together; ``None``: as many as the machine holds."""
        return pool_of(self.parallel, [each.parallel for each in self.members])


class CampaignPaths(CampaignNames):
    """A campaign's folder."""

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> CampaignPaths:
        """The campaign in this folder, made absolute."""
        return cls(Path(os.path.abspath(folder)))

    def member(self, member: Member) -> str:
        """The study folder of one of its studies, as seen from the working directory or absolute, like the campaign's."""
        return os.path.normpath(self.root / member.folder)


def read_campaign(folder: str | os.PathLike[str]) -> Campaign | None:
    """What the folder has on record; ``None`` where there is nothing, or nothing that can be read: it can be made again."""
    try:
        return msgspec.json.decode(CampaignPaths.at(folder).campaign.read_bytes(), type=Campaign)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def keep_campaign(folder: str | os.PathLike[str], campaign: Campaign) -> None:
    """Put it on record.

    Raises:
        OSError: The folder cannot be written.
    """
    paths = CampaignPaths.at(folder)
    from outlast.config.settings import NotifySettings  # whoever only looks needs none of it

    notify = NotifySettings.of(campaign.notify)
    kept = replace(campaign, notify=notify.on_record if notify else None)
    make_dir(paths.root)
    write_atomic(paths.campaign, msgspec.json.format(msgspec.json.encode(kept), indent=2).decode())


def campaigns_of(study: str | os.PathLike[str]) -> list[tuple[str, Campaign]]:
    """The campaigns that a study belongs to, with their folders: the one that it lies in, and those that lie beside it."""
    paths = StudyPaths.at(study)
    root = (home_of(paths) or paths).root
    places = [root.parent, *sorted(each.parent for each in root.parent.glob(f"*/{CampaignNames.campaign.name}"))]
    found = []
    for place in places:
        record = read_campaign(place)
        members = () if record is None else record.members
        if record is not None and any(
            os.path.realpath(place / each.folder) == os.path.realpath(root) for each in members
        ):
            found.append((str(place), record))
    return found


def member_on_record(study: str | os.PathLike[str]) -> Member | None:
    """What a campaign has on record of a study; ``None`` where it belongs to none."""
    real = os.path.realpath(study)
    found = ((CampaignPaths.at(folder), record) for folder, record in campaigns_of(study))
    return next((m for at, record in found for m in record.members if os.path.realpath(at.member(m)) == real), None)


def member_folders(folder: str | os.PathLike[str]) -> list[str]:
    """The study folders of a campaign: those on record that are there, and whatever studies lie below.

    Also of a folder that is no campaign's: every study below it. Follow-ups of a study, and what ``--fresh`` set aside, are not
    meant: they are their study's. Paths begin as the folder's does; sorted but for those on record, which come first, in order.
    """
    record = read_campaign(folder)
    listed = [] if record is None else [os.path.normpath(os.path.join(folder, each.folder)) for each in record.members]
    known = [each for each in listed if _holds_a_study(each, unless_known=True)]
    seen = {os.path.realpath(each) for each in known}
    return known + [each for each in _below(os.fspath(folder), _DEPTH) if os.path.realpath(each) not in seen]


def is_set_aside(name: str, names: Collection[str]) -> bool:
    """Whether a folder is an earlier study of the same name, which ``--fresh`` set aside; `names` are those beside it."""
    return bool(_ASIDE.search(name)) and _ASIDE.sub("", name) in names


def _holds_a_study(folder: str, *, unless_known: bool = False) -> bool:
    """Whether a study was begun here, even if nothing but its trials is left; `unless_known` where we may not look."""
    try:
        paths = StudyPaths.at(live_of(folder))
        return paths.exists or paths.has_orphans
    except OSError:
        return unless_known


def _below(folder: str, depth: int) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    names = frozenset(found)
    for name in found:
        path = os.path.join(folder, name)
        if is_set_aside(name, names):
            continue
        if _holds_a_study(path):
            yield path
        elif depth > 1 and name not in FOLLOWUPS:
            yield from _below(path, depth - 1)
