"""How many attempts run side by side, with which cards; what a runner records about them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from lab.fake_driver import GB, STRANGER, Driver
from outlast._system.card_locks import UNITS, CardLock, holders_of, make_lock_directory
from outlast._system.memory import machine_memory
from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.engine.attempts import slots as slots_module
from outlast.engine.attempts.slots import Slots, local_slots, slot_count
from outlast.engine.check.quick import quick_check
from outlast.errors import UsageError
from outlast.executors.shared_slots import Sharing
from outlast.runner.attempt_gpus import (
    cards_for_runner,
    foreign_memory,
    shared_cards_for_runner,
    sign_locks,
    with_cards,
)
from outlast.runner.environment import training_environment
from outlast.runner.spec import RunnerSpec

SPEC = RunnerSpec(0, 1, ("train",), ".", "trials/0000", "trials/0000/attempts/1", "checkpoints", ())


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Settings]:
    def make(**more: Any) -> Settings:
        whole = {
            "name": "s", "command": ["train", "${args}"], "metric": {"name": "acc", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 9}, "resources": {"gpus": 1}, **more,
        }  # fmt: skip
        return settings_from_resolved(whole, str(tmp_path))

    return make


@pytest.fixture
def slots_of() -> Iterator[Callable[..., Slots]]:
    made: list[Slots] = []

    def make(settings: Settings, sharing: Sharing | None = None) -> Slots:
        made.append(local_slots(settings, sharing))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "cpus", lambda: 16)
    monkeypatch.setattr(slots_module, "machine_memory", lambda: 64 * GB)


# -- how many -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "count"),
    [
        ({"gpus": 1}, 4), ({"gpus": 2}, 2), ({"gpus": 0.5}, 8), ({"gpus": 0.25}, 16), ({"gpus": 0.1}, 16), ({}, 16),
        ({"gpus": 1, "cpus": 8}, 2), ({"cpus": 32}, 1), ({"gpus": 1, "memory": "30G"}, 2), ({"memory": "16G"}, 4),
        ({"memory": "100G"}, 1),
    ],
)  # fmt: skip
def test_auto_is_as_many_as_cards_cpus_and_memory_hold(
    driver: Driver,
    study: Callable[..., Settings],
    slots_of: Callable[..., Slots],
    resources: dict[str, Any],
    count: int,
) -> None:
    driver.cards(4)
    assert len(slots_of(study(resources=resources)).local) == count == slot_count(study(resources=resources))


def test_a_number_of_slots_that_is_asked_for_is_taken(driver: Driver, study: Callable[..., Settings]) -> None:
    driver.cards(2)
    assert slot_count(study(parallel=5)) == 5


def test_the_study_file_s_environment_limits_the_cards(
    driver: Driver, study: Callable[..., Settings], slots_of: Callable[..., Slots]
) -> None:
    driver.cards(4)
    slots = slots_of(study(env={"CUDA_VISIBLE_DEVICES": "2"}))
    assert slots.available(4) == ["local:0"] and [lock.uuid for lock in slots.locks("local:0")] == ["GPU-2222"]


def test_check_looks_for_cards_as_a_run_does(
    driver: Driver, study: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.cards(4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")

    def said(**settings: Any) -> list[tuple[str, str]]:
        return [(f.level, f.text) for f in quick_check(study(**settings), "studies/s") if f.about == "GPUs"]

    assert said(resources={"gpus": 2}) == [("ok", "2 for a trial, 2 here")]
    assert said(resources={"gpus": 2}, env={"CUDA_VISIBLE_DEVICES": "3"}) == [
        ("error", "a trial needs 2 GPUs; this session may use only 1 (CUDA_VISIBLE_DEVICES=3)")
    ]


def test_a_need_that_can_never_be_met_is_refused(driver: Driver, study: Callable[..., Settings]) -> None:
    driver.cards(1)
    with pytest.raises(UsageError, match="needs 2 GPUs"):
        local_slots(study(resources={"gpus": 2}))


def test_without_any_trace_of_a_card_one_trial_runs_at_a_time_and_that_is_said(
    no_driver: None, study: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.executors.gpu_pool.os.listdir", lambda _: ["nvidiactl", "null"])
    slots = local_slots(study())
    assert slots.available(9) == ["local:0"] and slots.locks("local:0") == ()
    assert slots.news == [
        "no GPU can be seen here (no NVIDIA driver): trials run one at a time, without a card of their own"
    ]


# -- with which cards -----------------------------------------------------------------------------------------------------


def test_cards_are_locked_for_what_is_wanted_and_given_back_if_not_used(
    driver: Driver, study: Callable[..., Settings], slots_of: Callable[..., Slots]
) -> None:
    cards = driver.cards(4)
    slots = slots_of(study())
    assert slots.most == 4 and slots.available(2) == ["local:0", "local:1"]
    assert [bool(holders_of(str(driver.locks), card)) for card in cards] == [True, True, False, False]
    slots.take("local:0")
    slots.give_back()
    assert [bool(holders_of(str(driver.locks), card)) for card in cards] == [True, False, False, False]
    slots.started("local:0")
    assert slots.locks("local:0") == () and slots.most == 3


def begin(slots: Slots, wanted: int) -> dict[str, list[int]]:
    """Take what can be had. Returns what holds the cards and the slot of each attempt, as its processes would."""
    held = {}
    for slot in slots.available(wanted):
        lock = slots.held_by(slot)
        assert lock is not None
        held[slot] = [os.dup(fd) for fd in (*(card.fd for card in slots.locks(slot)), lock)]
        slots.take(slot)
        slots.started(slot)
    slots.give_back()
    return held


def end(slots: Slots, slot: str, fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
    slots.free(slot)


@pytest.mark.parametrize(("gpus", "parts"), [(1, 4), (0.5, 8), (2, 2)])
def test_in_a_campaign_an_attempt_takes_the_part_of_the_machine_that_its_cards_are(
    driver: Driver,
    study: Callable[..., Settings],
    slots_of: Callable[..., Slots],
    tmp_path: Path,
    gpus: float,
    parts: int,
) -> None:
    driver.cards(4)
    shared = slots_of(study(resources={"gpus": gpus}), Sharing(str(tmp_path / "slots"), "a")).shared
    assert shared is not None and shared.parts == parts


def test_studies_of_a_campaign_pass_cards_and_slots_on_together(
    driver: Driver, study: Callable[..., Settings], slots_of: Callable[..., Slots], tmp_path: Path
) -> None:
    driver.cards(2)
    a, b = (slots_of(study(), Sharing(str(tmp_path / "slots"), name)) for name in "ab")
    running = begin(a, 2)
    assert len(running) == 2 and begin(b, 2) == {}
    end(a, *running.popitem())
    assert begin(a, 1) == {}, "it is the other's turn"
    theirs = begin(b, 2)
    assert len(theirs) == 1
    for fds in (*running.values(), *theirs.values()):
        for fd in fds:
            os.close(fd)


def test_a_study_without_a_card_leaves_its_turn_for_a_slot_to_one_that_needs_none(
    driver: Driver, study: Callable[..., Settings], slots_of: Callable[..., Slots], tmp_path: Path
) -> None:
    driver.cards(1)
    folder = str(tmp_path / "slots")
    cards = slots_of(study(), Sharing(folder, "cards", share="priority", priority=1, parallel=3))
    plain = slots_of(study(resources={}), Sharing(folder, "plain", share="priority", parallel=3))
    held = begin(cards, 3)
    assert len(held) == 1 and begin(cards, 2) == {}
    theirs = begin(plain, 3)
    assert len(theirs) == 2
    for fds in (*held.values(), *theirs.values()):
        for fd in fds:
            os.close(fd)


def test_the_attempt_sees_its_cards_whatever_else_the_study_file_says(tmp_path: Path) -> None:
    spec = RunnerSpec.from_json(
        {**asdict(SPEC), "gpus": ["GPU-a", "GPU-b"], "gpu_locks": [[7, 0, UNITS]], "env": {"CUDA_VISIBLE_DEVICES": "0"}}
    )
    assert training_environment(spec, tmp_path, {}, "")["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert spec.gpu_locks == ((7, 0, UNITS),)
    without = RunnerSpec.from_json({**asdict(SPEC)})
    assert training_environment(without, tmp_path, {"CUDA_VISIBLE_DEVICES": "1"}, "")["CUDA_VISIBLE_DEVICES"] == "1"


# -- what a runner records ------------------------------------------------------------------------------------------------


def spec_of(*locks: CardLock) -> RunnerSpec:
    return with_cards(SPEC, cards_for_runner(locks))


@pytest.fixture
def lock_of(driver: Driver) -> Iterator[Callable[..., CardLock]]:
    make_lock_directory(str(driver.locks))
    made: list[CardLock] = []

    def take(card: str, units: int = UNITS) -> CardLock:
        lock = CardLock.take(str(driver.locks), card, units)
        assert lock is not None
        made.append(lock)
        return lock

    yield take
    for lock in made:
        lock.close()


def test_foreign_memory_is_summed_over_the_attempt_s_cards(driver: Driver, lock_of: Callable[..., CardLock]) -> None:
    cards = driver.used(3, {0: (STRANGER, 3 * GB), 1: (0, 2 * GB), 2: (STRANGER, 40 * GB)})
    assert foreign_memory(spec_of(lock_of(cards[0]), lock_of(cards[1]))) == 5 * GB


def test_foreign_memory_is_unknown_where_the_driver_does_not_tell(
    driver: Driver, lock_of: Callable[..., CardLock]
) -> None:
    [card] = driver.cards(1)
    lock = lock_of(card)
    driver.cards(1, "fail nvmlDeviceGetCount_v2 999")
    assert foreign_memory(spec_of(lock)) is None
    driver.say()
    assert foreign_memory(spec_of(lock)) is None


def test_cards_that_a_job_s_trials_share_are_found_under_the_job_s_names_for_them(driver: Driver) -> None:
    cards = driver.used(3, {1: (STRANGER, 3 * GB), 2: (0, 2 * GB)})
    assert foreign_memory(with_cards(SPEC, shared_cards_for_runner(("1", cards[2])))) == 5 * GB
    assert foreign_memory(with_cards(SPEC, shared_cards_for_runner(("7",)))) is None


def test_an_attempt_without_cards_knows_of_no_foreign_memory(driver: Driver) -> None:
    driver.used(1, {0: (STRANGER, GB)})
    assert foreign_memory(SPEC) is None


@pytest.mark.parametrize(
    ("quarters", "neighbour", "foreign"),
    [(2, 30, 0), (2, 40, 0), (2, 50, 10), (1, 50, 0), (1, 60, 0), (1, 70, 10), (3, 20, 0), (3, 30, 10)],
)
def test_a_neighbour_on_the_same_card_is_foreign_beyond_what_our_share_leaves_it(
    driver: Driver, lock_of: Callable[..., CardLock], quarters: int, neighbour: int, foreign: int
) -> None:
    [card] = driver.used(1, {0: (os.getppid(), neighbour * GB)})
    ours, theirs = lock_of(card, quarters * UNITS // 4), lock_of(card, UNITS // 4)
    os.pwrite(theirs.fd, f"{os.getppid():<31}\n".encode(), 32 * theirs.start)
    assert foreign_memory(spec_of(ours)) == foreign * GB


def test_a_runner_signs_its_locks(driver: Driver, lock_of: Callable[..., CardLock]) -> None:
    lock = lock_of("GPU-0000")
    child = os.fork()
    if child == 0:
        sign_locks(spec_of(lock))
        os._exit(0)
    os.waitpid(child, 0)
    assert [holder.pid for holder in holders_of(str(driver.locks), "GPU-0000")] == [child]


# -- memory ---------------------------------------------------------------------------------------------------------------


def machine(root: Path, groups: str, **limits: int | str) -> int | None:
    """The memory of a machine of 64 GB with these limits; ``a__b`` is group a/b, of the newer version."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:       67108864 kB\nMemFree: 1 kB\n")
    (root / "proc/self/cgroup").write_text(groups)
    for name, limit in limits.items():
        folder = root / "sys/fs/cgroup" / ("" if name == "top" else name.replace("__", "/"))
        folder.mkdir(parents=True, exist_ok=True)
        old = folder.is_relative_to(root / "sys/fs/cgroup/memory")
        (folder / ("memory.limit_in_bytes" if old else "memory.max")).write_text(f"{limit}\n")
    return machine_memory(str(root))


def test_memory_is_the_machine_s_where_nothing_limits_it(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/user\n", user="max") == 64 * GB


def test_the_tightest_of_the_groups_around_us_counts(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/a/b\n", a__b=32 * GB, a=8 * GB) == 8 * GB


def test_the_first_version_s_limit_counts_too(tmp_path: Path) -> None:
    assert machine(tmp_path, "9:name=systemd:/x\n4:cpu,memory:/job\n0::/\n", memory__job=4 * GB) == 4 * GB


def test_inside_a_container_the_visible_top_counts(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/docker/abc\n", top=2 * GB) == 2 * GB
