"""One search in simulated time: whoever is free asks, and what was asked is told when its training ends.

With one worker that is a loop. With several the searcher is asked while others run, and hears of them in the order in which
they end, which the trials' lengths decide; nobody waits for anybody.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Params = dict[str, Any]


class Searcher(Protocol):
    """Whoever is measured."""

    def ask(self) -> tuple[Any, Params] | None:
        """A handle and a configuration, or None: the space is used up."""

    def tell(self, handle: Any, value: float | None) -> None:
        """What the training came to, smaller is better; None: it could not run, or diverged."""


@dataclass(frozen=True)
class Training:
    """What a training comes to, and how long it takes."""

    value: float | None
    seconds: float


@dataclass(frozen=True)
class Ended:
    """A trial that is over."""

    at: float  # simulated seconds
    params: Params
    value: float | None


def run(searcher: Searcher, train: Callable[[int, Params], Training], *, trials: int, workers: int) -> list[Ended]:
    """The trials in the order in which they end.

    Args:
        train: A trial's number, in the order of asking, and its configuration → what comes of it.
    """
    running: list[tuple[float, int, Any, Params, float | None]] = []
    ended: list[Ended] = []
    now, asked, left = 0.0, 0, True
    while True:
        while left and asked < trials and len(running) < workers:
            suggested = searcher.ask()
            if suggested is None:
                left = False
                break
            handle, params = suggested
            training = train(asked, params)
            heapq.heappush(running, (now + training.seconds, asked, handle, params, training.value))
            asked += 1
        if not running:
            return ended
        now, _, handle, params, value = heapq.heappop(running)
        searcher.tell(handle, value)
        ended.append(Ended(now, params, value))


def chosen(ended: Sequence[Ended]) -> Params | None:
    """The configuration with the best mean of what was observed of it; None if nothing ran."""
    seen: dict[str, tuple[Params, list[float]]] = {}
    for trial in ended:
        if trial.value is not None:
            seen.setdefault(word(trial.params), (trial.params, []))[1].append(trial.value)
    if not seen:
        return None
    return min(seen.values(), key=lambda each: sum(each[1]) / len(each[1]))[0]


def word(params: Mapping[str, Any]) -> str:
    """The same text for the same configuration."""
    return json.dumps(params, sort_keys=True)
