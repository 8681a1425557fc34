"""The cards of one attempt, as its runner sees them: held for it, signed, and how much of them others use."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from outlast._system.card_locks import UNITS, CardLock, holders, sign
from outlast._system.nvml import Card, let_go, read_cards, use_of
from outlast.runner.spec import RunnerSpec

#: How a worker hands cards to a runner that it starts: JSON with ``gpus`` and ``gpu_locks`` as in `RunnerSpec`.
CARDS_VARIABLE = "OUTLAST_CARDS"
_TIMEOUT = 5.0  # seconds for the driver; a training does not wait longer for a number that is nice to have


def cards_for_runner(locks: tuple[CardLock, ...]) -> dict[str, str]:
    """The environment that hands locked cards to a runner; it inherits their descriptors as well."""
    told = {"gpus": [lock.uuid for lock in locks], "gpu_locks": [[lock.fd, lock.start, lock.units] for lock in locks]}
    return {CARDS_VARIABLE: json.dumps(told)}


def shared_cards_for_runner(names: Sequence[str]) -> dict[str, str]:
    """The environment for a runner beside others on cards of a scheduler's job: nobody locks them, and what others hold counts.

    Args:
        names: Of the cards, as ``CUDA_VISIBLE_DEVICES`` has them: UUIDs, or numbers as the driver counts within the job.
    """
    return {CARDS_VARIABLE: json.dumps({"gpus": list(names), "gpu_locks": []})}


def with_cards(spec: RunnerSpec, environment: Mapping[str, str]) -> RunnerSpec:
    """The attempt with the cards that whoever started the runner has for it."""
    if CARDS_VARIABLE not in environment:
        return spec
    told = json.loads(environment[CARDS_VARIABLE])
    return replace(spec, gpus=tuple(told["gpus"]), gpu_locks=tuple(tuple(lock) for lock in told["gpu_locks"]))


def sign_locks(spec: RunnerSpec) -> None:
    """Write into the locks that they are this runner's: what runs below it is accounted for on its cards."""
    for fd, start, _ in spec.gpu_locks:
        sign(fd, start)


def foreign_memory(spec: RunnerSpec) -> int | None:
    """Bytes that others hold on the attempt's cards while nothing of the attempt runs.

    Attempts that share a card by their locks are no others, up to their shares. Without locks everybody is.

    Returns:
        ``None`` if the attempt has no cards or it cannot be told.
    """
    if not spec.gpus:
        return None
    cards = {name: card for card in read_cards(_TIMEOUT).cards for name in (card.index, card.uuid)}
    let_go()
    total = 0
    for at, uuid in enumerate(spec.gpus):
        lock = spec.gpu_locks[at] if at < len(spec.gpu_locks) else None
        foreign = _on_card(cards[uuid], lock) if uuid in cards else None
        if foreign is None:
            return None
        total += foreign
    return total


def _on_card(card: Card, lock: tuple[int, int, int] | None) -> int | None:
    others = [] if lock is None else holders(lock[0])
    use = use_of(card, [holder.pid for holder in others if holder.pid != os.getpid()])
    if lock is None or not others:
        return use.foreign
    if use.foreign is None or use.ours is None or card.total is None:
        return None
    room_of_others = card.total * (UNITS - lock[2]) // UNITS
    return use.foreign + max(0, use.ours - room_of_others)
