"""How the studies of a campaign, or below a folder, stand now, from outside: reads their folders, changes nothing."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from datetime import datetime, timezone

from outlast.engine.record.at_a_glance import glance_at
from outlast.engine.record.health_facts import untold_in
from outlast.engine.record.look import Looker
from outlast.engine.record.supervised import supervisor_facts
from outlast.errors import OutlastError, StudyNotFound
from outlast.monitor.overview import Overview, Sight
from outlast.study.campaign import CampaignPaths, Member, member_folders, read_campaign
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Charge, read_supervision

_NOT_BEGUN = "not begun yet"
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
        found = self._begun(members)
        known = read_supervision(paths.supervisor)
        self._lookers = {sight.folder: self._lookers[sight.folder] for sight in found if sight.folder in self._lookers}
        found += [self._unbegun(each, None if known is None else known.of(each.study)) for each in members.values()]
        return Overview(
            name=record.name if record else os.path.basename(os.path.abspath(self._folder)),
            folder=self._folder,
            sights=tuple(found),
            now=datetime.now(timezone.utc),
            parallel=record.parallel if record else None,
            sharing=record.share if record else "weight",
            is_campaign=record is not None,
            supervised=known is not None and any(each.condition in _LOOKED_AFTER for each in known.charges),
            supervisor=supervisor_facts(paths.supervisor),
            untold=untold_in(paths.told),
        )

    def _begun(self, members: dict[str, Member]) -> list[Sight]:
        """Those that are there, taken from the members. Others are called as their folders; of two, by the way there."""
        folders = [(each, members.pop(os.path.realpath(each), None)) for each in member_folders(self._folder)]
        names = [os.path.basename(os.path.normpath(each)) if of is None else of.study for each, of in folders]
        times = Counter([*names, *(each.study for each in members.values())])
        return [
            self._sight(each, of, name if of or times[name] == 1 else os.path.relpath(each, self._folder))
            for (each, of), name in zip(folders, names, strict=True)
        ]

    def _unbegun(self, member: Member, charge: Charge | None) -> Sight:
        """A study without a folder: nobody has begun it yet, or it cannot be."""
        folder = os.path.normpath(os.path.join(self._folder, member.folder))
        fact, _, cure = (charge.word if charge is not None and charge.condition == "refused" else "").partition("\n  ")
        return Sight(
            member.study, folder, error=fact or _NOT_BEGUN, begun=bool(fact), weight=member.weight,
            priority=member.priority, cure=cure, refused=bool(fact), target=member.target,
        )  # fmt: skip

    def _sight(self, home: str, member: Member | None, name: str) -> Sight:
        """A study as it stands where it runs, which is elsewhere with ``slurm.scratch``."""
        weight, priority = (member.weight, member.priority) if member is not None else (1.0, 0)
        folder, begun = home, True
        try:
            folder = live_of(home)
            kept = glance_at(folder) if self._only_numbers else None
            if kept is not None:
                return Sight(name, folder, kept, weight=weight, priority=priority)
            snapshot, study, settings = self._lookers.setdefault(folder, Looker(folder)).look()
        except StudyNotFound as error:  # whoever runs it has claimed its ledger, and put nothing down yet
            with suppress(OSError):  # what we may not look at is no sign of its beginning
                begun = StudyPaths.at(folder).has_orphans
            fact, cure = (error.fact, error.cure or "") if begun else (_NOT_BEGUN, "")
        except OutlastError as error:
            fact, cure = error.fact, error.cure or ""
        except OSError as error:  # somebody else's, whose folder is closed to us
            fact, cure = f"cannot be read: {error.strerror} ({error.filename or folder})", ""
        else:
            return Sight(name, folder, snapshot, "", study, settings, weight, priority)
        target = member.target if member is not None else None
        return Sight(name, folder, error=fact, weight=weight, priority=priority, begun=begun, cure=cure, target=target)
