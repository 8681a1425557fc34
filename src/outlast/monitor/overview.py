"""How several studies stand, side by side and together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.monitor.snapshot import Snapshot


class Sight(Struct, frozen=True):
    """One study as it was looked at; or why it could not be."""

    name: str
    folder: str  # as a person types it
    snapshot: Snapshot | None = None
    error: str = ""  # why there is none: not begun yet, or its ledger is damaged
    study: Study | None = None  # the fold, for whoever draws curves; not kept where only numbers are asked for
    settings: Settings | None = None  # likewise
    weight: float = 1.0  # in its campaign
    priority: int = 0


class SupervisorFacts(Struct, frozen=True):
    """Who looks after a campaign."""

    host: str = ""
    pid: int = 0
    since: str = ""  # UTC, ISO 8601
    restarts: Mapping[str, int] = {}  # study -> how often its coordinator was begun again


class Overview(Struct, frozen=True):
    """Several studies at one moment."""

    name: str
    folder: str  # of the campaign, or the one below which the studies lie
    sights: tuple[Sight, ...]
    now: datetime
    parallel: int | None = None  # slots of all together, as far as known
    supervisor: SupervisorFacts | None = None  # None: nobody supervises

    @property
    def snapshots(self) -> list[Snapshot]:
        """Of the studies that could be looked at."""
        return [sight.snapshot for sight in self.sights if sight.snapshot is not None]

    @property
    def target(self) -> int | None:
        """Trials of all together; ``None`` if one has no target."""
        targets = [each.target for each in self.snapshots]
        return None if any(each is None for each in targets) else sum(each or 0 for each in targets)

    @property
    def counted(self) -> int:
        """Trials that count, of all together."""
        return sum(each.counted for each in self.snapshots)

    @property
    def share(self) -> float | None:
        """How much of the target is reached, 0 to 1."""
        return None if self.target is None else 1.0 if self.target <= 0 else min(1.0, self.counted / self.target)
