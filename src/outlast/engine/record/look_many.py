"""How the studies of a campaign, or below a folder, stand now, from outside: reads their folders, changes nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timezone

from msgspec.structs import replace

from outlast.engine.record.at_a_glance import glance_at
from outlast.engine.record.look import Looker
from outlast.engine.record.supervised import supervisor_facts
from outlast.errors import OutlastError
from outlast.monitor.overview import Overview, Sight
from outlast.study.campaign import CampaignPaths, Member, member_folders, read_campaign
from outlast.study.supervision import Charge, read_supervision

_LOOKED_AFTER = ("starting", "running", "waiting")  # not so of any once a supervisor has left in good order


class ManyLooker:
    """Looks at several studies, once or again and again.

    Args:
        folder: A campaign's, or one that studies lie below.
        only_numbers: Nobody asks for their trials: a study at rest is not read again, but told by what was kept of it.
    """

    def __init__(self, folder: str | os.PathLike[str], *, only_numbers: bool = False) -> None:
        self._folder, self._only_numbers = os.fspath(folder), only_numbers
        self._lookers: dict[str, Looker] = {}

    def look(self) -> Overview:
        """How they stand. A study that cannot be looked at is one line that says why: it hides none of the others."""
        record, paths = read_campaign(self._folder), CampaignPaths.at(self._folder)
        members = {os.path.realpath(paths.member(each)): each for each in record.members} if record else {}
        on_record = set(members)
        found = [self._sight(each, members.pop(os.path.realpath(each), None)) for each in member_folders(self._folder)]
        known = read_supervision(paths.supervisor)
        self._lookers = {sight.folder: self._lookers[sight.folder] for sight in found if sight.folder in self._lookers}
        found += [self._unbegun(each, None if known is None else known.of(each.study)) for each in members.values()]
        return Overview(
            name=record.name if record else os.path.basename(os.path.abspath(self._folder)),
            folder=self._folder,
            sights=tuple(self._told_apart(found, on_record)),
            now=datetime.now(timezone.utc),
            parallel=record.parallel if record else None,
            sharing=record.share if record else "weight",
            is_campaign=record is not None,
            supervised=known is not None and any(each.condition in _LOOKED_AFTER for each in known.charges),
            supervisor=supervisor_facts(paths.supervisor),
        )

    def _told_apart(self, found: Sequence[Sight], on_record: Collection[str]) -> list[Sight]:
        """Studies of one name by where they lie; one on a campaign's record is known by its name to others, and keeps it."""
        times = Counter(sight.name for sight in found)
        return [
            sight
            if times[sight.name] == 1 or os.path.realpath(sight.folder) in on_record
            else replace(sight, name=os.path.relpath(sight.folder, self._folder))
            for sight in found
        ]

    def _unbegun(self, member: Member, charge: Charge | None) -> Sight:
        """A study without a folder: nobody has begun it yet, or it cannot be."""
        folder = os.path.normpath(os.path.join(self._folder, member.folder))
        fact, _, cure = (charge.word if charge is not None and charge.condition == "refused" else "").partition("\n  ")
        return Sight(
            member.study, folder, error=fact or "not begun yet", begun=bool(fact), weight=member.weight,
            priority=member.priority, cure=cure, refused=bool(fact), target=member.target,
        )  # fmt: skip

    def _sight(self, folder: str, member: Member | None) -> Sight:
        name = member.study if member is not None else os.path.basename(os.path.normpath(folder))
        weight, priority = (member.weight, member.priority) if member is not None else (1.0, 0)
        kept = glance_at(folder) if self._only_numbers else None
        if kept is not None:
            return Sight(name, folder, kept, weight=weight, priority=priority)
        looker = self._lookers.setdefault(folder, Looker(folder))
        try:
            snapshot, study, settings = looker.look()
        except OutlastError as error:
            return Sight(
                name, folder, error=error.fact, weight=weight, priority=priority, cure=error.cure or "",
                target=member.target if member is not None else None,
            )  # fmt: skip
        except OSError as error:  # somebody else's, whose folder is closed to us
            why = f"cannot be read: {error.strerror} ({error.filename or folder})"
            return Sight(
                name, folder, error=why, weight=weight, priority=priority,
                target=member.target if member is not None else None,
            )  # fmt: skip
        return Sight(name, folder, snapshot, "", study, settings, weight, priority)
