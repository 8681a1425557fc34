"""The same study a moment later: what a look costs while nothing is decided. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec.structs import replace

from outlast.core.fold import Study
from outlast.monitor.snapshot import Snapshot, running_trials

WHOLE_EVERY = 20.0  #: Seconds between two looks at everything while nothing is put on record.


def moved_on(
    before: Snapshot,
    study: Study,
    *,
    now: datetime,
    running_reports: Mapping[int, tuple[int, float]],
    waiting: Collection[int] = (),
) -> Snapshot:
    """A look at what runs, everything else as it was `before`: nothing has been put on record since.

    What depends on the time alone (warnings, the expected end, hours) is as old as the whole look before: who looks often
    makes a whole one now and then.
    """
    running = running_trials(study, running_reports, now, {job.id: job for job in before.jobs}, waiting)
    return replace(before, now=now, running=running)
