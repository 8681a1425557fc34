"""Handlers of signals for the time of a block."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, TypeAlias

_Handler: TypeAlias = "Callable[[int, FrameType | None], object] | signal.Handlers"


@contextlib.contextmanager
def handling(handlers: Mapping[signal.Signals, _Handler]) -> Iterator[None]:
    """Have signals handled so for a block; what handled them before does so again behind it.

    Nothing is changed in a thread that is not the main one: signals go elsewhere.
    """
    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):
        for number, handler in handlers.items():
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
