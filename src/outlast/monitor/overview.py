"""How several studies stand, side by side and together. Pure."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.states import STATE_ORDER, StudyState, TrialState
from outlast.monitor.health.rules_of_campaigns import campaign_health
from outlast.monitor.health.warning import HealthWarning
from outlast.monitor.milestones import Milestone
from outlast.monitor.snapshot import Snapshot, SupervisorFacts
from outlast.monitor.together import Ahead, Part, ahead, milestones_of

_GOING = (StudyState.RUNNING, StudyState.WAITING)
_OPEN = ("not begun", "cannot start", "stopped", "paused")  # what the campaign's own command goes on with


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
    begun: bool = True  # False: its campaign names it, and there is nothing of it yet
    cure: str = ""  # of the error
    refused: bool = False  # it was to be begun, and cannot be before somebody mends what the error says
    target: int | None = None  # trials, as its campaign has it on record

    @property
    def state(self) -> str:
        """The study's state in a word; ``unreadable``, ``cannot start`` or ``not begun`` where it has none."""
        if self.snapshot is not None:
            return self.snapshot.state.value
        return "cannot start" if self.refused else "unreadable" if self.begun else "not begun"

    @property
    def aim(self) -> int | None:
        """Trials that it is to reach; ``None`` where it has no number of them, or nobody knows it."""
        return self.target if self.snapshot is None else self.snapshot.target

    @property
    def is_counted(self) -> bool:
        """Whether anything is known of how far it is: it can be read, or it is on record what it is to reach."""
        return self.snapshot is not None or self.target is not None

    @property
    def is_wrong(self) -> bool:
        """Whether a person should look at it: it cannot be read, has halted, or there is more than a note."""
        if self.snapshot is None:
            return self.begun
        return self.snapshot.is_wrong

    def to_json(self) -> dict[str, Any]:
        """As ``outlast status STUDY --json`` says it, its place in the campaign beside it."""
        about: dict[str, Any] = {"weight": self.weight, "priority": self.priority}
        if self.snapshot is None:
            about = {"study": self.name, "dir": self.folder, "state": self.state, "error": self.error, **about}
        return about if self.snapshot is None else {**self.snapshot.to_json(), "study": self.name, **about}


class Overview(Struct, frozen=True):
    """Several studies at one moment."""

    name: str
    folder: str  # of the campaign, or the one below which the studies lie
    sights: tuple[Sight, ...]
    now: datetime
    parallel: int | None = None  # slots of all together, as far as known
    supervisor: SupervisorFacts | None = None  # None: nobody supervises
    sharing: str = "weight"  # how a campaign's studies share them: weight, priority, together
    is_campaign: bool = False  # whether the folder has a campaign on record
    supervised: bool = False  # somebody is meant to supervise: a supervisor began, and has not seen the end of all
    untold: str = ""  # why somebody does not have what they were to be told of the campaign

    @property
    def snapshots(self) -> list[Snapshot]:
        """Of the studies that could be looked at."""
        return [sight.snapshot for sight in self.sights if sight.snapshot is not None]

    @property
    def target(self) -> int | None:
        """Trials of all together but those in `without`; ``None`` if one of the others has no target, or none is left."""
        aims = [sight.aim for sight in self.sights if sight.is_counted]
        return None if not aims or any(each is None for each in aims) else sum(each or 0 for each in aims)

    @property
    def without(self) -> tuple[str, ...]:
        """The studies that no total counts: nothing of them can be read, and no record says what they are to reach."""
        return tuple(sight.name for sight in self.sights if not sight.is_counted)

    @property
    def counted(self) -> int:
        """Trials that count, of all together; of each study no more than its target."""
        return sum(each.counted if each.target is None else min(each.counted, each.target) for each in self.snapshots)

    @property
    def finished(self) -> int:
        """Trials with an outcome, of all together."""
        return sum(each.finished for each in self.snapshots)

    @property
    def share(self) -> float | None:
        """How much of the target is reached, 0 to 1; ``None`` where that of one is not known."""
        return (
            None
            if self.target is None or self.without
            else 1.0
            if self.target <= 0
            else min(1.0, self.counted / self.target)
        )

    @property
    def counts(self) -> Counter[TrialState]:
        """Trials per state, of all together."""
        found: Counter[TrialState] = Counter()
        for each in self.snapshots:
            found.update(each.counts)
        return found

    @property
    def states(self) -> Counter[str]:
        """Studies per state: ``running``, ``halted``, …, ``unreadable``, ``cannot start``, ``not begun``."""
        return Counter(sight.state for sight in self.sights)

    @property
    def rate_per_hour(self) -> float | None:
        """Trials per hour of the studies that are run now; ``None`` where none has a rate."""
        rates = [each.rate_per_hour for each in self.snapshots if each.live is not None and each.rate_per_hour]
        return sum(rates) if rates else None

    @property
    def eta(self) -> datetime | None:
        """When the last of those that are run now is expected to be done; ``None`` where none is, or that is not known."""
        found = self._ahead
        return None if found is None else self.now + timedelta(seconds=found.seconds)

    @property
    def eta_range(self) -> tuple[datetime, datetime] | None:
        """That holds the end in about 80% of cases."""
        found = self._ahead
        return None if found is None else (
            self.now + timedelta(seconds=found.low), self.now + timedelta(seconds=found.high)
        )  # fmt: skip

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        """Shares of the target of all together, and when they are expected."""
        return milestones_of(self._parts, self._ahead, self.now) if self.target else ()

    @property
    def _ahead(self) -> Ahead | None:
        return ahead(self._parts, pool=self._pool, sharing=self.sharing)

    @property
    def _pool(self) -> int | None:
        """Slots that those which move share. Where nobody has said how many, as many as the one with most of them has."""
        if not self.is_campaign:
            return None
        if self.parallel is not None or self.supervisor is None:
            return self.parallel
        return max((part.slots for part in self._parts if part.moves), default=None)

    @property
    def _parts(self) -> list[Part]:
        return [_part(sight, sight.snapshot, sight.aim) for sight in self.sights if sight.aim is not None]

    @property
    def is_live(self) -> bool:
        """Whether any of them is run now."""
        return any(each.state in _GOING for each in self.snapshots)

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong with any of them, or with all together."""
        return any(sight.is_wrong for sight in self.sights) or any(each.is_trouble for each in self.findings)

    @property
    def findings(self) -> tuple[HealthWarning, ...]:
        """What a person should know of each and of all together, worst first."""
        return tuple(campaign_health(self))

    @property
    def next_command(self) -> str:
        """What to type next."""
        if self.is_live:
            return f"outlast status {self.folder} -w"
        open_ones = [sight for sight in self.sights if sight.state in _OPEN]
        if open_ones and self.is_campaign:
            return f"outlast run {self.folder}"
        troubled = [sight for sight in self.sights if sight.begun and (sight.snapshot is None or sight.is_wrong)]
        for sight in (*troubled, *open_ones):
            return f"outlast status {sight.folder}" if sight.snapshot is None else sight.snapshot.next_command
        return f"outlast report {' '.join(sight.folder for sight in self.sights[:4])}" if self.sights else ""

    def to_json(self) -> dict[str, Any]:
        """The status JSON of several studies."""
        return {
            "name": self.name,
            "dir": self.folder,
            "studies": [sight.to_json() for sight in self.sights],
            "states": dict(self.states),
            "target": self.target,
            "counted": self.counted,
            "without": list(self.without),
            "share": None if self.share is None else round(self.share, 6),
            "counts": {state.value: self.counts[state] for state in STATE_ORDER},
            "rate_per_hour": None if self.rate_per_hour is None else round(self.rate_per_hour, 3),
            "eta": _iso(self.eta),
            "eta_range": None if self.eta_range is None else [_iso(moment) for moment in self.eta_range],
            "milestones": [
                {"percent": m.percent, "trials": m.trials, "reached": m.reached, "at": _iso(m.at)}
                for m in self.milestones
            ],
            "parallel": self.parallel,
            "supervisor": None if self.supervisor is None else self.supervisor.to_json(),
            "findings": [each.to_json() for each in self.findings],
            "wrong": [sight.name for sight in self.sights if sight.is_wrong],
            "at": _iso(self.now),
            "next": self.next_command,
        }  # fmt: skip


def overview_of(sight: Sight, now: datetime) -> Overview:
    """A study that is looked at alone."""
    return Overview(sight.name, sight.folder, (sight,), now)


def _part(sight: Sight, of: Snapshot | None, target: int) -> Part:
    if of is None:
        return Part(0, target, None)
    low, high = of.eta_range or (of.eta, of.eta)
    seconds, least, most = (None if at is None else (at - of.now).total_seconds() for at in (of.eta, low, high))
    return Part(
        min(of.counted, target), target, seconds, least or 0.0, most or 0.0, of.work_left, sight.weight, sight.priority,
        of.live.slots if of.live is not None else 1, math.inf if of.time_left is None else of.time_left, of.within,
    )  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(timezone.utc).isoformat(timespec="seconds")
