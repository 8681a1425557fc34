"""How the studies of a campaign, or below a folder, stand now, from outside: reads their folders, changes nothing."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from outlast.engine.record.look import Looker
from outlast.errors import OutlastError
from outlast.monitor.overview import Overview, Sight
from outlast.study.campaign import CampaignPaths, Member, member_folders, read_campaign


class ManyLooker:
    """Looks at several studies, once or again and again."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        self._lookers: dict[str, Looker] = {}

    def look(self) -> Overview:
        """How they stand. A study that cannot be looked at is one line that says why: it hides none of the others."""
        record, paths = read_campaign(self._folder), CampaignPaths.at(self._folder)
        members = {os.path.realpath(paths.member(each)): each for each in record.members} if record else {}
        found = [self._sight(each, members.pop(os.path.realpath(each), None)) for each in member_folders(self._folder)]
        found += [Sight(each.study, os.path.normpath(os.path.join(self._folder, each.folder)), error="not begun yet",
                        begun=False, weight=each.weight, priority=each.priority) for each in members.values()]  # fmt: skip
        return Overview(
            name=record.name if record else os.path.basename(os.path.abspath(self._folder)),
            folder=self._folder,
            sights=tuple(found),
            now=datetime.now(timezone.utc),
            parallel=record.parallel if record else None,
            is_campaign=record is not None,
        )

    def _sight(self, folder: str, member: Member | None) -> Sight:
        name = member.study if member is not None else os.path.basename(os.path.normpath(folder))
        weight, priority = (member.weight, member.priority) if member is not None else (1.0, 0)
        looker = self._lookers.setdefault(folder, Looker(folder))
        try:
            snapshot, study, settings = looker.look()
        except OutlastError as error:
            return Sight(name, folder, error=error.fact, weight=weight, priority=priority, cure=error.cure or "")
        return Sight(name, folder, snapshot, "", study, settings, weight, priority)
