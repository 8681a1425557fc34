"""What a runner of this machine says of its attempt, and is told, over the socket that it inherited from the coordinator.

Messages make looking unnecessary; they are not the truth. What must outlive the coordinator lies in the study's folder as well,
and whoever hears nothing looks there. A message is one line of JSON with an ``op``:

- to the runner: ``run`` (an attempt: its name, marker and what that says), ``stop`` (what ``stop.json`` says), ``settled``
  (the outcome is in the ledger for good);
- from the runner: ``claimed`` (what ``started.json`` says; with the next word, or when its training has run for a tenth of a
  second), ``points`` (lines as in ``reports.jsonl``), ``over`` (what ``exit.json`` says). What a long training leaves is on
  the disk before ``over`` is said, unless that is full; what a short one leaves is written there only where ``settled`` does
  not come.
"""

from __future__ import annotations

from msgspec import Struct

from outlast._system.processes import Identity
from outlast.core.evidence import Evidence


class Ended(Struct, frozen=True):
    """What is known besides of a trial that ended in a kept worker."""

    log: str  # the worker's output
    printed: tuple[int, int]  # where in it the trial's begins, and its length
    drawn: tuple[str, ...] = ()  # parameters that it took of those that were offered
    crashed: bool = False  # its worker went with it: the evidence has nothing of what it reported and printed


class Heard(Struct):
    """What one attempt's runner said since the last time that somebody listened."""

    runner: Identity | None = None  # it has claimed the attempt
    reports: bytes = b""  # whole lines, as its reports.jsonl has them
    evidence: Evidence | None = None  # the training is over
    kept: Ended | None = None  # likewise, where it ran in a kept worker


class EndRequest(Struct, frozen=True):
    """That an attempt is to end: what ``stop.json`` says."""

    reason: str
    grace: float  # seconds that it may take
    now: bool = False  # it is ended at once
    step: int | None = None  # the report at which the pruner gave it up
