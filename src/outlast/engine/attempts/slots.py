"""Slots: room for one attempt each, of this machine and of the workers that ask for trials."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from outlast._system.memory import machine_memory
from outlast._system.processes import Identity, is_running
from outlast.config.settings import Settings
from outlast.core.records import KEPT
from outlast.study.layout import StudyPaths
from outlast.study.requests import Request, answer

if TYPE_CHECKING:
    from outlast._system.card_locks import CardLock
    from outlast.executors.gpu_pool import GpuPool, Grant
    from outlast.executors.shared_slots import SharedSlots, Sharing

_JOBS = 8  # in a scheduler's queue at once, where the study file leaves it to us
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_WORKER = "worker:"  # what the slot of a worker's request begins with
_WAIT = 1.0  # seconds after which a worker that got nothing asks again
_WAIT_FOR_ROOM = 5.0  # the same while the disk is full: each answer is a file


class Slots(Struct):
    """Who may run an attempt now."""

    local: tuple[str, ...]  # this machine's slots
    # its cards, where attempts need some. A slot is then available only with cards that are locked for it
    pool: GpuPool | None = None
    cpus_per_trial: int | None = None  # for each attempt
    shared: SharedSlots | None = None  # with the other studies of a campaign; a slot is then available in turn only
    # lines for the person that have come up; whoever reads them clears them
    news: list[str] = []
    _grants: dict[str, Grant] = {}  # slot → cards that we hold until its attempt does
    _held: dict[str, int] = {}  # slot → the descriptor that holds it, until its attempt does
    _taken: set[str] = set()
    _asking: dict[str, Request] = {}

    @property
    def most(self) -> int:
        """How many slots are free if there are cards for all of them."""
        return len(self._free()) + len(self._asking)

    def available(self, wanted: int, avoid: Collection[str] = ()) -> list[str]:
        """Free slots: this machine's first, then the workers that wait for an answer.

        Cards are locked for as many as are wanted; `give_back` unlocks those that were not used.

        Args:
            wanted: How many attempts could be started.
            avoid: Cards that are taken last.

        Raises:
            StorageError: Cards cannot be locked on this machine.
        """
        free = self._free()
        wanted = min(wanted, len(free))
        room = wanted if self.shared is None else self.shared.room(wanted)
        if self.pool is not None:
            standing = None if self.shared is None else self.shared.standing
            grants = self.pool.take(room, running=len(self._ours()), avoid=avoid, standing=standing)
            self._grants.update(zip(free, grants, strict=False))
            wanted = len(grants) if room else wanted  # without cards we leave the slots to others
        if self.shared is not None:
            for slot, lock in zip(free, self.shared.take(wanted), strict=False):
                self._held[slot] = lock
        if self.pool is not None:
            free = [slot for slot in free if slot in self._grants]
        if self.shared is not None:
            free = [slot for slot in free if slot in self._held]
        return free + list(self._asking)

    def _free(self) -> list[str]:
        free = [slot for slot in self.local if slot not in self._taken]
        return free[: max(0, len(self.local) - len(self._ours()))]

    def _ours(self) -> list[str]:
        return [slot for slot in self._taken if not slot.startswith(_WORKER)]

    def give_back(self) -> None:
        """Unlock slots that nobody took, and their cards."""
        for slot in [slot for slot in self._grants if slot not in self._taken]:
            self._grants.pop(slot).close()
        for slot in [slot for slot in self._held if slot not in self._taken]:
            assert self.shared is not None
            self.shared.give_back(self._held.pop(slot))

    def started(self, slot: str) -> None:
        """The slot's attempt has it, and its cards: they are locked as long as it lives, and no longer by us."""
        grant, held = self._grants.pop(slot, None), self._held.pop(slot, None)
        if grant is not None:
            grant.close()
        if held is not None:
            os.close(held)

    def close(self) -> None:
        """Unlock what was not handed on, and leave the queues."""
        for slot in [*self._grants, *self._held]:
            self.started(slot)
        if self.pool is not None:
            self.pool.close()
        if self.shared is not None:
            self.shared.close()

    def take(self, slot: str) -> None:
        """An attempt runs there."""
        self._taken.add(slot)
        if self.shared is not None and not slot.startswith(_WORKER):
            self.shared.began(slot)

    def free(self, slot: str) -> None:
        """It ended."""
        self.started(slot)  # what a kept worker's trial was given is held by us until then
        self._taken.discard(slot)
        if self.shared is not None:
            self.shared.ended(slot)

    def locks(self, slot: str) -> tuple[CardLock, ...]:
        """The cards that are locked for a slot."""
        return self._grants[slot].locks if slot in self._grants else ()

    def held_by(self, slot: str) -> int | None:
        """The descriptor that holds a slot that is shared with other studies, to be inherited by its attempt."""
        return self._held.get(slot)

    def asked(self, slot: str) -> Mapping[str, Any]:
        """What a worker said of itself when it asked; empty for a slot of this machine."""
        return self._asking[slot].content if slot in self._asking else {}

    def ask(self, request: Request) -> bool:
        """A worker asks for a trial. Returns whether it is still there to get one, as far as this host can tell."""
        who = Identity.from_json(request.content.get("worker", {}))
        if who.here and not is_running(who):
            return False
        self._asking[self.name_of(request)] = request
        return True

    def forget(self, slot: str) -> Request | None:
        """A worker's request is done with; the request, if there was one."""
        return self._asking.pop(slot, None)

    @staticmethod
    def name_of(request: Request) -> str:
        """What the slot of a worker's request is called: there is one for each request."""
        who = Identity.from_json(request.content.get("worker", {}))
        return f"{_WORKER}{who.host}:{who.pid}:{request.key[-8:]}"

    def hand_over(self, paths: StudyPaths, slot: str, attempt: str, *, grace: float, judges: bool) -> None:
        """Answer a worker with its attempt.

        Args:
            attempt: ``0007.2``.
            grace: Seconds that its training may take to stop when the worker is asked to leave.
            judges: Whether a pruner waits for what it reports.
        """
        request = self._asking.pop(slot, None)
        if request is not None:
            answer(paths, request, attempt=attempt, grace=grace, judges=judges)

    def let_wait(self, paths: StudyPaths, *, soon: bool, lacking: str = "") -> None:
        """Nothing for the others now: they ask again; a task of an array only if a trial that waits will be its own soon.

        Args:
            soon: Whether one does.
            lacking: What the disk lacks, where nothing begins before there is room.
        """
        for slot in [slot for slot in self._asking if slot not in self._taken]:
            request = self._asking.pop(slot)
            if request.content.get("task") and not soon:
                answer(paths, request, done=True)
            elif lacking:
                answer(paths, request, wait=_WAIT_FOR_ROOM, lacking=lacking)
            else:
                answer(paths, request, wait=_WAIT)

    def send_away(self, paths: StudyPaths) -> None:
        """The run comes to rest: workers need not ask again."""
        for slot in [slot for slot in self._asking if slot not in self._taken]:
            answer(paths, self._asking.pop(slot), done=True)


def job_slots(settings: Settings, kind: str) -> Slots:
    """Room for as many jobs as the study wants in a scheduler's queue at once, waiting ones included."""
    many = _JOBS if settings.parallel == "auto" else int(settings.parallel)
    name = kind.replace(":", ".")  # of a class's path: what begins with ``worker:`` is a worker's
    return Slots(tuple(f"{name}:{at}" for at in range(many)), cpus_per_trial=settings.resources.cpus)


def local_slots(settings: Settings, sharing: Sharing | None = None) -> Slots:
    """This machine's slots for a study: as many as `parallel` says, or as CPUs, GPUs and memory allow.

    Args:
        sharing: How it shares them with the other studies of its campaign, which may say how many there are in all. If not, an
            attempt takes the part of the machine that it needs; the study's own `parallel` is only its own limit.

    Raises:
        UsageError: A trial needs more GPUs than this session may ever use.
        OSError: Nothing can be shared in the campaign's folder.
    """
    news: list[str] = []
    pool = gpu_pool(settings, news.append)
    if pool is not None:
        pool.check()
    parts = count = _count(settings, pool)
    if sharing is not None:
        parts = _held_by_machine(settings, pool) if sharing.parallel is None else sharing.parallel
        count = parts if settings.parallel == "auto" else min(count, parts)
    prefix = KEPT if settings.isolation.mode == "kept" else "local:"
    names = tuple(f"{prefix}{i}" for i in range(count))
    cpus_per_trial = settings.resources.cpus or max(1, cpus() // parts)
    return Slots(names, pool, cpus_per_trial, None if sharing is None else _shared(sharing, parts), news)


def _shared(sharing: Sharing, parts: int) -> SharedSlots:
    from outlast.executors.shared_slots import SharedSlots

    return SharedSlots(sharing, parts)


def slot_count(settings: Settings) -> int:
    """How many attempts would run side by side here."""
    return _count(settings, gpu_pool(settings, lambda _: None) if settings.parallel == "auto" else None)


def count_on_machine(settings: Settings) -> int:
    """How many attempts of the study this machine holds, whatever its `parallel` says."""
    return _held_by_machine(settings, gpu_pool(settings, lambda _: None))


def gpu_pool(settings: Settings, say: Callable[[str], object]) -> GpuPool | None:
    """The cards for the study's attempts; ``None`` where they need none, or where there is no trace of a card."""
    if not settings.resources.gpus:
        return None
    from outlast.executors.gpu_pool import GpuPool

    visible = settings.env.get(_VISIBLE, os.environ.get(_VISIBLE))
    pool = GpuPool(settings.resources.gpus, say, visible=visible)
    if not pool.is_empty_handed:
        return pool
    say("no GPU can be seen here (no NVIDIA driver): trials run one at a time, without a card of their own")
    return None


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _count(settings: Settings, pool: GpuPool | None) -> int:
    return _held_by_machine(settings, pool) if settings.parallel == "auto" else int(settings.parallel)


def _held_by_machine(settings: Settings, pool: GpuPool | None) -> int:
    need = settings.resources
    most = [cpus() // (need.cpus or 1)]
    if need.gpus:
        most.append(pool.need.fits(len(pool.pool)) if pool is not None else 1)
    memory = machine_memory() if need.memory else None
    if memory is not None and need.memory:
        most.append(memory // need.memory)
    return max(1, min(most))
