"""Whether a coordinator that exists is at work, from what can be seen of it. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

_STOPPED_SAID, _STOPPED_REPLACED = 20.0, 180.0  # seconds in state T, proc(5)
_SILENT_SAID, _SILENT_REPLACED = 1.5, 10.0  # of the time after which others may take a lease over
_ABSENT_SAID, _ABSENT_REPLACED = 120.0, 3600.0  # seconds without its study: a large ledger takes its time
_IDLE_SAID, _IDLE_REPLACED = 600.0, 7200.0  # seconds without a round: a sampler may think for long


class Signs(Struct, frozen=True):
    """What is seen of a coordinator: for how many seconds each is so by now."""

    stopped: float = 0.0  # its process is stopped (SIGSTOP, Ctrl-Z)
    silent: float = 0.0  # its lease's marker is what it was; 0 where it holds none
    idle: float = 0.0  # no round is over; 0 where that cannot be seen
    absent: float = 0.0  # it was begun, and has never held its study


class Judgement(Struct, frozen=True):
    """What to do about it."""

    what: Literal["well", "say", "replace"]
    why: str = ""  # the end of a sentence that begins with the coordinator; without figures, so that it is said once


def judge(signs: Signs, *, lease: float, pace: float = 1.0) -> Judgement:
    """Whether it is well, or a person should know, or it is to be replaced.

    Args:
        lease: Seconds after which a silent holder may be superseded.
        pace: See `restarts.follow`.
    """
    rules = (
        (signs.stopped, _STOPPED_SAID * pace, _STOPPED_REPLACED * pace, "is stopped (SIGSTOP or Ctrl-Z)"),
        (signs.silent, _SILENT_SAID * lease, _SILENT_REPLACED * lease, "shows no sign of life"),
        (signs.absent, _ABSENT_SAID, _ABSENT_REPLACED, "has not taken its study in hand yet"),
        (signs.idle, _IDLE_SAID, _IDLE_REPLACED, "has finished no round for long"),
    )
    for seconds, _, too_long, why in rules:
        if seconds >= too_long:
            return Judgement("replace", why)
    for seconds, worth_saying, _, why in rules:
        if seconds >= worth_saying:
            return Judgement("say", why)
    return Judgement("well")
