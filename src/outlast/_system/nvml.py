"""NVIDIA cards as their driver sees them, through libnvidia-ml (NVML), loaded where it is there.

`read_cards` is what others call. Three answers are kept apart: there is no NVIDIA driver here (no cards, no error), the driver
answers (cards), and it does not (an error, or fields that are ``None``). What is not known is never taken for free.

Signatures and numbers are those of the NVML API reference, https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import byref, c_char_p, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import Any

__all__ = ["LIBRARY_VARIABLE", "Card", "CardProcess", "Reading", "let_go", "read_cards"]

#: Environment variable with the path of the library to load instead of the system's.
LIBRARY_VARIABLE = "OUTLAST_NVML_LIBRARY"
_LIBRARY = "libnvidia-ml.so.1"

_SUCCESS, _NOT_SUPPORTED, _NO_PERMISSION, _INSUFFICIENT_SIZE = 0, 3, 4, 7
_DRIVER_NOT_LOADED, _FUNCTION_NOT_FOUND = 9, 13
_UUID_BYTES = 96
_NOT_AVAILABLE = 2**64 - 1  # a process's memory that the driver does not tell
_MEMORY_V2 = 0x02000028  # NVML_STRUCT_VERSION(Memory, 2)


@dataclass(frozen=True)
class CardProcess:
    """A process with a compute context on a card."""

    pid: int
    used: int | None = None  # bytes


@dataclass(frozen=True)
class Card:
    """One card, or one MIG device: what a process can be given for itself."""

    index: str  # as nvidia-smi counts; "0:1" is the second MIG device of the first card
    uuid: str  # empty where it could not be read
    total: int | None = None  # bytes
    used: int | None = None  # bytes, without what the driver keeps for itself where it tells that apart
    processes: tuple[CardProcess, ...] | None = None  # None: cannot be told
    mig: bool = False
    error: str = ""  # why something above is unknown


@dataclass(frozen=True)
class Reading:
    """What the driver says now."""

    cards: tuple[Card, ...] = ()
    error: str = ""  # the driver is there and does not answer; empty also where there is no driver


class NvmlError(Exception):
    """A call was answered with an error code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Memory(ctypes.Structure):
    _fields_ = [("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong)]


class _MemoryV2(ctypes.Structure):
    _fields_ = [
        ("version", c_uint), ("total", c_ulonglong), ("reserved", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong),
    ]  # fmt: skip


class _ProcessV1(ctypes.Structure):
    _fields_ = [("pid", c_uint), ("used", c_ulonglong)]


class _Process(ctypes.Structure):
    _fields_ = [("pid", c_uint), ("used", c_ulonglong), ("gpu_instance", c_uint), ("compute_instance", c_uint)]


#: Newest first. Each name promises its own layout; a driver that lacks the newer ones has the older.
_PROCESS_CALLS: tuple[tuple[str, type[ctypes.Structure]], ...] = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", _Process),
    ("nvmlDeviceGetComputeRunningProcesses_v2", _Process),
    ("nvmlDeviceGetComputeRunningProcesses", _ProcessV1),
)


class _Library:
    """The library, loaded and initialised."""

    def __init__(self, path: str) -> None:
        self._lib = ctypes.CDLL(path)
        self.call("nvmlInit_v2")

    def call(self, name: str, *arguments: Any) -> None:
        code = self.code(name, *arguments)
        if code != _SUCCESS:
            raise NvmlError(code, self._describe(code))

    def code(self, name: str, *arguments: Any) -> int:
        try:
            function = getattr(self._lib, name)
        except AttributeError:
            return _FUNCTION_NOT_FOUND
        return int(function(*arguments))

    def _describe(self, code: int) -> str:
        try:
            function = self._lib.nvmlErrorString
        except AttributeError:
            return f"NVML error {code}"
        function.restype = c_char_p
        return (function(code) or b"").decode(errors="replace") or f"NVML error {code}"

    def cards(self) -> tuple[Card, ...]:
        count = c_uint()
        self.call("nvmlDeviceGetCount_v2", byref(count))
        found: list[Card] = []
        for index in range(count.value):
            handle = c_void_p()
            try:
                self.call("nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(handle))
            except NvmlError as error:
                if error.code != _NO_PERMISSION:  # that one is not for us at all
                    found.append(Card(str(index), "", error=str(error)))
                continue
            found += self._mig_devices(index, handle) or [self._card(str(index), handle)]
        return tuple(found)

    def _mig_devices(self, index: int, handle: c_void_p) -> list[Card]:
        current, pending, most = c_uint(), c_uint(), c_uint()
        if self.code("nvmlDeviceGetMigMode", handle, byref(current), byref(pending)) != _SUCCESS or not current.value:
            return []
        if self.code("nvmlDeviceGetMaxMigDeviceCount", handle, byref(most)) != _SUCCESS:
            return []
        found = []
        for at in range(most.value):
            device = c_void_p()
            if self.code("nvmlDeviceGetMigDeviceHandleByIndex", handle, c_uint(at), byref(device)) == _SUCCESS:
                found.append(self._card(f"{index}:{at}", device, mig=True))
        return found

    def _card(self, index: str, handle: c_void_p, *, mig: bool = False) -> Card:
        uuid = ctypes.create_string_buffer(_UUID_BYTES)
        try:
            self.call("nvmlDeviceGetUUID", handle, uuid, c_uint(_UUID_BYTES))
        except NvmlError as error:
            return Card(index, "", mig=mig, error=str(error))
        errors: list[str] = []
        total = used = processes = None
        try:
            total, used = self._memory(handle)
        except NvmlError as error:
            errors.append(str(error))
        try:
            processes = self._processes(handle)
        except NvmlError as error:
            if error.code != _NOT_SUPPORTED:
                errors.append(str(error))
        return Card(index, uuid.value.decode(errors="replace"), total, used, processes, mig, "; ".join(errors))

    def _memory(self, handle: c_void_p) -> tuple[int, int]:
        newer = _MemoryV2(version=_MEMORY_V2)
        if self.code("nvmlDeviceGetMemoryInfo_v2", handle, byref(newer)) == _SUCCESS:
            return int(newer.total), int(newer.used)
        memory = _Memory()
        self.call("nvmlDeviceGetMemoryInfo", handle, byref(memory))
        return int(memory.total), int(memory.used)

    def _processes(self, handle: c_void_p) -> tuple[CardProcess, ...]:
        room = 16
        for name, layout in _PROCESS_CALLS:
            while True:
                count, entries = c_uint(room), (layout * room)()
                code = self.code(name, handle, byref(count), entries)
                if code != _INSUFFICIENT_SIZE or room > 1 << 16:
                    break
                room = 2 * max(room, count.value)  # more may start between two calls
            if code == _FUNCTION_NOT_FOUND:
                continue
            if code != _SUCCESS:
                raise NvmlError(code, self._describe(code))
            listed: list[Any] = list(entries[: count.value])
            return tuple(CardProcess(int(p.pid), None if p.used == _NOT_AVAILABLE else int(p.used)) for p in listed)
        raise NvmlError(_NOT_SUPPORTED, self._describe(_NOT_SUPPORTED))


_opened: tuple[int, str, _Library] | None = None  # the process, the path, and what it loaded
_reading: threading.Thread | None = None


def _read() -> Reading:
    global _opened
    path = os.environ.get(LIBRARY_VARIABLE) or _LIBRARY
    if _opened is None or _opened[:2] != (os.getpid(), path):
        try:
            _opened = (os.getpid(), path, _Library(path))
        except OSError:
            return Reading()
        except NvmlError as error:
            return Reading() if error.code == _DRIVER_NOT_LOADED else Reading(error=str(error))
    try:
        cards = _opened[2].cards()
    except NvmlError as error:
        _close()
        return Reading(error=str(error))
    if any(card.error for card in cards):
        _close()  # a card that was reset answers only after a new beginning
    return Reading(cards)


def _close() -> None:
    global _opened
    if _opened is not None:
        _opened[2].code("nvmlShutdown")
        _opened = None


def let_go() -> None:
    """Close the driver: before a fork, so that the child can open it for itself."""
    if _reading is None or not _reading.is_alive():
        _close()


def read_cards(timeout: float = 10.0) -> Reading:
    """Ask the driver for its cards.

    The driver can take very long (a card that fell off the bus), so it is asked in a thread of its own. While an answer is
    overdue every further call says so at once.

    Args:
        timeout: Seconds to wait for the answer.

    Returns:
        The cards in the order of nvidia-smi; none where there is no driver.
    """
    global _reading
    if _reading is not None and _reading.is_alive():
        return Reading(error="the driver does not answer")
    answers: list[Reading] = []
    _reading = threading.Thread(target=lambda: answers.append(_read()), name="nvml", daemon=True)
    _reading.start()
    _reading.join(timeout)
    return answers[0] if answers else Reading(error="the driver does not answer")
