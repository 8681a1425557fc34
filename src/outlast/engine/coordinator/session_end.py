"""When the session ends that a study is run in, and how long before its trials have to be asked to leave."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.platforms import session_began
from outlast.config.native import STUDY_FILE
from outlast.config.settings import Settings
from outlast.config.shapes import At
from outlast.config.units import parse_deadline
from outlast.config.yaml import Document
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
            return cls(moment_of(found, datetime.now()).timestamp(), now)
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


def until(settings: Settings, deadline: str | float | None, said_in: str) -> Settings:
    """The settings of a run with a deadline of its own, which does not go on the study's record: the next run has another.

    Args:
        deadline: As in a study file; ``None`` leaves the settings as they are.
        said_in: What errors call its place, such as ``--deadline``.

    Raises:
        StudyFileError: It is none.
    """
    if deadline is None:
        return settings
    return replace(settings, deadline=STUDY_FILE.shapes["deadline"].read(deadline, At(Document({}, said_in))))


def settled(settings: Settings) -> Settings:
    """The settings with a time of day as the very moment that it means now: whoever begins again later means the same one."""
    ends = SessionEnd.of(settings.deadline)
    if ends is None or settings.deadline is None or not isinstance(parse_deadline(settings.deadline), str):
        return settings
    moment = datetime.fromtimestamp(ends.at, timezone.utc).isoformat(timespec="seconds")
    return replace(settings, deadline=moment)
