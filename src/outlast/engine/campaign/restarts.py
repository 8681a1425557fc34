"""What the end of a coordinator means, and when its study gets another one. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from outlast.core.states import StudyState

_DELAYS = (1.0, 5.0, 15.0, 60.0, 300.0, 600.0)  # seconds before the first restart, the second, …; then the last of them
_GOOD_LIFE = 600.0  # seconds after which a death is a new misfortune, and not the same again
_MOST = 30  # deaths in a row: about four hours of them
#: How a study ends that nobody needs to begin again.
AT_REST = (StudyState.DONE.value, StudyState.HALTED.value, StudyState.STOPPED.value)
CODES = {StudyState.DONE.value: 0, StudyState.HALTED.value: 3, StudyState.STOPPED.value: 4}
REFUSED = 2


class Ending(Struct, frozen=True):
    """A coordinator is gone."""

    code: int | None  # its exit code, negative for a signal; None: it was no child of ours
    state: str = ""  # how its study came to rest while it ran; empty: it did not
    asked: bool = False  # we had asked it to stop
    lived: float = 0.0  # seconds


class Misfortunes(Struct, frozen=True):
    """How often the coordinators of a study died in a row."""

    in_a_row: int = 0


class Next(Struct, frozen=True):
    """What follows."""

    what: Literal["over", "again", "give up"]
    after: float = 0.0  # seconds, before it is begun again
    code: int = 4  # when it is over: what `outlast run` would leave with
    misfortunes: Misfortunes = Misfortunes()


def follow(ending: Ending, before: Misfortunes, *, pace: float = 1.0) -> Next:
    """What follows an end.

    Done, halted, refused and stopped by a person are ends. So is whatever comes after we asked it to stop. All else is a death:
    a signal, a fault of ours, a machine or disk that gave out, a lease that was lost.

    Args:
        before: Of this study's coordinators before.
        pace: Seconds before the first restart; the later ones in proportion.
    """
    if ending.asked or ending.code in (0, REFUSED, 3):
        code = ending.code if ending.code in (0, REFUSED, 3) else CODES.get(ending.state, 4)
        return Next("over", code=code)
    if ending.code in (4, None) and ending.state in AT_REST:
        return Next("over", code=CODES[ending.state])
    deaths = 1 if ending.lived >= _GOOD_LIFE * pace else before.in_a_row + 1
    if deaths > _MOST:
        return Next("give up", misfortunes=Misfortunes(deaths))
    return Next("again", pace * _DELAYS[min(deaths, len(_DELAYS)) - 1], misfortunes=Misfortunes(deaths))


def worst(codes: Iterable[int]) -> int:
    """What a command leaves with that is about several: 2 one could not start, 3 one halted, 4 there is work left."""
    given = set(codes)
    return next((code for code in (REFUSED, 3, 4) if code in given), 1 if any(given) else 0)


def manner(ending: Ending) -> str:
    """How it ended, as the end of a sentence that begins with the coordinator."""
    if ending.code is None:
        return "is gone"
    if ending.code < 0:
        try:
            name = signal.Signals(-ending.code).name
        except ValueError:
            name = f"signal {-ending.code}"
        return f"was ended by {name}"
    return f"left with exit code {ending.code}" + (" without having come to rest" if ending.code == 4 else "")
