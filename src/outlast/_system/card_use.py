"""Whose memory a card holds: that of attempts which hold a lock on it, or that of others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from outlast._system.nvml import Card
from outlast._system.tokens import VARIABLE

_TOKEN = f"{VARIABLE}=outlast:".encode()


@dataclass(frozen=True)
class CardUse:
    """What a card's memory is used for. ``None``: cannot be told."""

    foreign: int | None  # bytes of processes that no lock accounts for
    ours: int | None = 0  # bytes of attempts that hold locks on the card, anybody's
    pids: tuple[int, ...] = ()  # the foreign processes, largest first


def use_of(card: Card, holders: Collection[int]) -> CardUse:
    """Tell the memory of attempts from that of others.

    A process is accounted for if the card is locked and it carries an attempt's token or descends from a holder. Where
    nobody holds a lock everything is foreign, processes that cannot be seen (another container's) included.

    Args:
        card: As the driver has it.
        holders: Pids that hold locks on it now.
    """
    if card.processes is None:
        return CardUse(None, None) if holders else CardUse(card.used)
    others = [p for p in card.processes if not (holders and _belongs(p.pid, frozenset(holders)))]
    known = [p.used for p in others if p.used is not None]
    pids = tuple(p.pid for p in sorted(others, key=lambda p: -(p.used or 0)))
    if not holders:
        return CardUse(None if card.used is None else max(card.used, sum(known)), 0, pids)
    mine = [p.used for p in card.processes if p not in others]
    ours = None if None in mine else sum(used or 0 for used in mine)
    return CardUse(sum(known) if len(known) == len(others) else None, ours, pids)


def _belongs(pid: int, holders: frozenset[int]) -> bool:
    return _carries_token(pid) or _descends(pid, holders)


def _carries_token(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return any(entry.startswith(_TOKEN) for entry in file.read().split(b"\0"))
    except OSError:
        return False  # another user's


def _descends(pid: int, holders: frozenset[int]) -> bool:
    seen = set()
    while pid > 1 and pid not in seen:
        if pid in holders:
            return True
        seen.add(pid)
        pid = _parent(pid)
    return False


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0
