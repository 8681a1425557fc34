"""What the cards of the attempts on this host do, in words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from outlast._system.nvml import Card, Reading, read_cards
from outlast.monitor.overview import Overview

_ASK_EVERY = 2.0  # seconds between two questions to the driver
_WITHIN = 0.2  # seconds that a view waits for its answer
_GB = 2**30


class CardWords:
    """Asks the driver now and then, and only while attempts on this host have cards."""

    def __init__(
        self, read: Callable[[float], Reading] = read_cards, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._clock = read, clock
        self._asked_at = float("-inf")
        self._known: dict[str, str] = {}

    def of(self, overview: Overview) -> dict[str, str]:
        """UUID → ``GPU 0 87% 12.1/80 GB``; cards of other hosts, and those that do not answer, are left out."""
        if not _have_cards_here(overview):
            return {}
        now = self._clock()
        if now - self._asked_at >= _ASK_EVERY:
            self._asked_at = now
            reading = self._read(_WITHIN)
            if not reading.error:
                self._known = {card.uuid: card_words(card) for card in reading.cards if card.uuid}
        return self._known


def card_words(card: Card) -> str:
    """``GPU 0 87% 12.1/80 GB``; what the driver does not tell is left out."""
    busy = "" if card.busy is None else f" {card.busy}%"
    memory = "" if card.used is None or not card.total else f" {card.used / _GB:.1f}/{card.total / _GB:.0f} GB"
    return f"GPU {card.index}{busy}{memory}"


def _have_cards_here(overview: Overview) -> bool:
    here = os.uname().nodename
    for sight in overview.sights:
        if (
            sight.snapshot is None
            or sight.study is None
            or sight.snapshot.live is None
            or sight.snapshot.live.host != here
        ):
            continue
        attempts = (sight.study.trials[trial.trial].open_attempt for trial in sight.snapshot.running)
        if any(attempt is not None and attempt.gpus for attempt in attempts):
            return True
    return False
