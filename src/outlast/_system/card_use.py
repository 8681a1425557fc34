"""How busy NVIDIA cards are, in percent of the last moment."""

from __future__ import annotations

import contextlib
from collections.abc import Collection


def busy_percent(cards: Collection[str]) -> dict[str, float]:
    """Card by its UUID → share of the last moment in which it computed; none that the driver does not tell of.

    NVML gives it over its last sample period, a sixth of a second to a second long: who wants to know whether a card is idle asks
    again and again (NVML API reference, nvmlUtilization_t). A MIG device has no such figure.
    """
    import pynvml

    found: dict[str, float] = {}
    try:
        pynvml.nvmlInit()
    except (OSError, pynvml.NVMLError):
        return found
    try:
        for card in cards:
            with contextlib.suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByUUID(card.encode())
                found[card] = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return found
