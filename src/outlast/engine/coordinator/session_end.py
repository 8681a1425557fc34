"""When the session ends that a study is run in, and how long before its trials have to be asked to leave."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from msgspec import Struct

from outlast._system.platforms import session_began
from outlast.config.units import parse_deadline
from outlast.core.deadline import lead_seconds, moment_of


class SessionEnd(Struct, frozen=True):
    """A deadline, on the clock of the day: a machine that slept did not gain time."""

    at: float  # seconds of the epoch
    since: float  # likewise: when we began

    @classmethod
    def of(cls, deadline: str | None) -> SessionEnd | None:
        """What a study file's ``deadline`` means to a run that begins now; ``None`` without one.

        A duration counts since the session began, where that is known, and since now otherwise.
        """
        if deadline is None:
            return None
        now, found = time.time(), parse_deadline(deadline)
        if isinstance(found, str):
            return cls(moment_of(found, datetime.now().astimezone()).timestamp(), now)
        return cls((session_began() or now) + found, now)

    @property
    def on_record(self) -> str:
        """As the ledger has moments."""
        return datetime.fromtimestamp(self.at, timezone.utc).isoformat(timespec="milliseconds")

    @property
    def seconds(self) -> float:
        """From now to it."""
        return self.at - time.time()

    def left(self, grace: float, home: float) -> float:
        """Seconds until running trials have to be asked to leave; see `outlast.core.deadline.lead_seconds`."""
        return self.seconds - lead_seconds(self.at - self.since, grace, home)
