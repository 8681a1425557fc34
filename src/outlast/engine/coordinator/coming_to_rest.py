"""What brings a study to rest: its totals, and what was asked for."""

from __future__ import annotations

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.plan import Limits, Verdict


class ComingToRest(Struct):
    """What was asked for: no new starts; running attempts are asked to end, or left to finish."""

    reason: str = ""  # user, halted, budget, deadline, paused, over; empty: nobody asked
    by_hand: bool = False  # a person asked, or whoever ends processes
    only_signal: bool = False  # it was a signal that a machine which goes down sends, too, and nothing else so far
    paused: str = ""  # why there is no going on for now
    drain: bool = False  # what runs may finish
    now: bool = False  # what runs ends without any grace
    halt: Verdict | None = None  # stands, whatever the trials that were running make of themselves
    told: set[tuple[int, int, bool]] = set()  # trial, attempt, whether now: its request is written

    @property
    def told_as(self) -> str:
        """The reason that running attempts are given: what the policy or the budget ended, no person did."""
        return self.reason if self.reason in ("halted", "budget", "deadline") and not self.by_hand else "user"

    def ask(self, reason: str, *, drain: bool = False, now: bool = False, signal: bool = False) -> None:
        """Take a request in. The first reason stands, but the session's end waits for no room. Draining ends with the first
        request that does not want it."""
        self.drain = drain and not now and (self.drain or not self.reason)
        if not self.reason or (self.reason, reason) == ("paused", "deadline"):
            self.reason = reason
        if reason == "user":
            self.only_signal = signal and (self.only_signal or not self.by_hand)
            self.by_hand = True
        self.now = self.now or now

    def go_on(self) -> None:
        """There is room again: what only paused goes on."""
        self.reason, self.paused, self.drain = "", "", False


def limits_of(settings: Settings) -> Limits:
    """The study's totals, from its study file."""
    metric = settings.metrics[0]
    return Limits(
        trials=settings.budget.trials,
        count=settings.budget.count,
        time=settings.budget.time,
        gpu_hours=settings.budget.gpu_hours,
        max_failures=settings.budget.max_failures,
        target_value=metric.target,
        maximize=metric.goal == "maximize",
    )
