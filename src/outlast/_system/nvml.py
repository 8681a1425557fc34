"""NVIDIA cards as their driver sees them, through NVIDIA's own bindings of NVML (nvidia-ml-py, imported as ``pynvml``).

`read_cards` is what others call, and `use_of` to be told whose memory a card holds. Three answers are kept apart: there is no
NVIDIA driver here (no cards, no error), the driver answers (cards), and it does not (an error, or fields that are ``None``).
What is not known is never taken for free.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Struct

from outlast._system.processes import parent_of
from outlast._system.tokens import VARIABLE, environment_of

#: Environment variable with the path of the library to load instead of the system's.
LIBRARY_VARIABLE = "OUTLAST_NVML_LIBRARY"
_TOKEN = f"{VARIABLE}=outlast:".encode()


class CardProcess(Struct, frozen=True):
    """A process with a compute context on a card."""

    pid: int
    used: int | None = None  # bytes


class Card(Struct, frozen=True):
    """One card, or one MIG device: what a process can be given for itself."""

    index: str  # as nvidia-smi counts; "0:1" is the second MIG device of the first card
    uuid: str  # empty where it could not be read
    total: int | None = None  # bytes
    used: int | None = None  # bytes, without what the driver keeps for itself where it tells that apart
    processes: tuple[CardProcess, ...] | None = None  # None: cannot be told
    mig: bool = False
    busy: int | None = None  # percent of the last moments in which something ran on it; None: cannot be told
    error: str = ""  # why something above is unknown


class Reading(Struct, frozen=True):
    """What the driver says now."""

    cards: tuple[Card, ...] = ()
    error: str = ""  # the driver is there and does not answer; empty also where there is no driver


def _cards(nvml: Any) -> tuple[Card, ...]:
    found: list[Card] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError_NoPermission:  # that one is not for us at all
            continue
        except nvml.NVMLError as error:
            found.append(Card(str(index), "", error=str(error)))
        else:
            found += _mig_devices(nvml, index, handle) or [_card(nvml, str(index), handle)]
    return tuple(found)


def _mig_devices(nvml: Any, index: int, handle: Any) -> list[Card]:
    found = []
    with contextlib.suppress(nvml.NVMLError):
        in_force, _pending = nvml.nvmlDeviceGetMigMode(handle)
        for at in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle) if in_force else 0):
            with contextlib.suppress(nvml.NVMLError):
                device = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, at)
                found.append(_card(nvml, f"{index}:{at}", device, mig=True))
    return found


def _card(nvml: Any, index: str, handle: Any, *, mig: bool = False) -> Card:
    errors: list[str] = []

    def told(question: Callable[[Any, Any], Any]) -> Any:
        try:
            return question(nvml, handle)
        except nvml.NVMLError as error:
            errors.append(str(error))
            return None

    uuid = told(lambda nvml, handle: nvml.nvmlDeviceGetUUID(handle))
    if uuid is None:
        return Card(index, "", mig=mig, error=errors[0])
    total, used = told(_memory) or (None, None)
    return Card(index, uuid, total, used, told(_processes), mig, _busy(nvml, handle), "; ".join(errors))


def _busy(nvml: Any, handle: Any) -> int | None:
    """Not told of a MIG device, nor by every driver: no error."""
    try:
        return int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except nvml.NVMLError:
        return None


def _memory(nvml: Any, handle: Any) -> tuple[int, int]:
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError:  # an older driver: what it keeps for itself counts as used
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return int(memory.total), int(memory.used)


def _processes(nvml: Any, handle: Any) -> tuple[CardProcess, ...] | None:
    """``None`` where the driver has no such list, which is no error."""
    for list_them in (nvml.nvmlDeviceGetComputeRunningProcesses_v3, nvml.nvmlDeviceGetComputeRunningProcesses_v2):
        try:
            return tuple(CardProcess(int(each.pid), each.usedGpuMemory) for each in list_them(handle))
        except nvml.NVMLError_FunctionNotFound:  # an older driver
            continue
        except nvml.NVMLError_NotSupported:
            break
    return None


_opened: tuple[int, str] | None = None  # the process that opened the driver, and by which library
_reading: threading.Thread | None = None


def _read(nvml: Any) -> Reading:
    global _opened
    here = os.getpid(), os.environ.get(LIBRARY_VARIABLE, "")
    try:
        if _opened != here:
            if here[1]:
                nvml.nvmlLib = ctypes.CDLL(here[1])
                nvml._nvmlGetFunctionPointer_cache.clear()
            nvml.nvmlInit()
            _opened = here
    except (OSError, nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
        return Reading()
    except nvml.NVMLError as error:
        return Reading(error=str(error))
    try:
        cards = _cards(nvml)
    except nvml.NVMLError as error:  # also one that says "not loaded": it was there when it was opened
        _close(nvml)
        return Reading(error=str(error))
    if any(card.error for card in cards):
        _close(nvml)  # a card that was reset answers only after a new beginning
    return Reading(cards)


def _close(nvml: Any) -> None:
    global _opened
    if _opened is not None:
        _opened = None
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def let_go() -> None:
    """Close the driver: before a fork, so that the child can open it for itself."""
    if _opened is not None and (_reading is None or not _reading.is_alive()):
        import pynvml

        _close(pynvml)


def read_cards(timeout: float = 10.0) -> Reading:
    """Ask the driver for its cards, in the order of nvidia-smi, for at most so many seconds; none where there is no driver.

    The driver can take very long (a card that fell off the bus), so it is asked in a thread of its own. While an answer is
    overdue every further call says so at once.
    """
    global _reading
    if _reading is not None and _reading.is_alive():
        return Reading(error="the driver does not answer")
    import pynvml  # a large module: only where cards are asked for, and not in a thread that a fork may cut off

    answers: list[Reading] = []
    _reading = threading.Thread(target=lambda: answers.append(_read(pynvml)), name="nvml", daemon=True)
    _reading.start()
    _reading.join(timeout)
    return answers[0] if answers else Reading(error="the driver does not answer")


class CardUse(Struct, frozen=True):
    """What a card's memory is used for. ``None``: cannot be told."""

    foreign: int | None  # bytes of processes that no lock accounts for
    ours: int | None = 0  # bytes of attempts that hold locks on the card, anybody's
    pids: tuple[int, ...] = ()  # the foreign processes, largest first


def use_of(card: Card, holders: Collection[int]) -> CardUse:
    """Tell the memory of attempts from that of others.

    A process is accounted for if the card is locked and it carries an attempt's token or descends from a holder. Where
    nobody holds a lock everything is foreign, processes that cannot be seen (another container's) included.
    """
    if card.processes is None:
        return CardUse(None, None) if holders else CardUse(card.used)
    others = [p for p in card.processes if not (holders and (_carries_token(p.pid) or _descends(p.pid, holders)))]
    known = [p.used for p in others if p.used is not None]
    pids = tuple(p.pid for p in sorted(others, key=lambda p: -(p.used or 0)))
    if not holders:
        return CardUse(None if card.used is None else max(card.used, sum(known)), 0, pids)
    mine = [p.used for p in card.processes if p not in others]
    ours = None if None in mine else sum(used or 0 for used in mine)
    return CardUse(sum(known) if len(known) == len(others) else None, ours, pids)


def _carries_token(pid: int) -> bool:
    return any(entry.startswith(_TOKEN) for entry in environment_of(pid).split(b"\0"))


def _descends(pid: int, holders: Collection[int]) -> bool:
    seen = set()
    while pid > 1 and pid not in seen:
        if pid in holders:
            return True
        seen.add(pid)
        pid = parent_of(pid)
    return False
