"""Which cards a search may use, which it gets, and what it says about the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.fake_driver import GB, STRANGER, Driver
from outlast._system.card_locks import UNITS, CardLock, make_lock_directory
from outlast._system.nvml import Card, CardProcess, Reading
from outlast.core.sharing import Claim
from outlast.errors import StorageError, UsageError
from outlast.executors.card_queue import PATIENCE, Standing
from outlast.executors.gpu_pool import GpuPool, Grant, Need, visible_cards

A, B, C, D = "GPU-0000", "GPU-1111", "GPU-2222", "GPU-3333"


class Time:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class Search(GpuPool):
    """A pool that keeps what it says and what it was granted."""

    def __init__(self, gpus: float, clock: Time, visible: str | None) -> None:
        self.said: list[str] = []
        self.held: list[Grant] = []
        self.standing: Standing | None = None
        super().__init__(gpus, self.said.append, visible=visible, clock=clock)

    def want(self, wanted: int, avoid: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        """Ask; what is granted counts as running."""
        got = self.take(wanted, running=len(self.held), avoid=avoid, standing=self.standing)
        self.held += got
        return [tuple(lock.uuid for lock in grant.locks) for grant in got]

    def end(self, at: int = 0) -> None:
        """An attempt ends."""
        self.held.pop(at).close()


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def search(clock: Time, driver: Driver) -> Iterator[Callable[..., Search]]:
    made: list[Search] = []

    def make(gpus: float = 1, visible: str | None = None) -> Search:
        made.append(Search(gpus, clock, visible))
        return made[-1]

    yield make
    for one in made:
        for grant in one.held:
            grant.close()
        one.close()


# -- which cards ----------------------------------------------------------------------------------------------------------

CARDS = [Card("0", "GPU-aaaa"), Card("1", "GPU-abbb"), Card("2:0", "MIG-c", mig=True), Card("2:1", "MIG-d", mig=True)]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["0", "1", "2:0", "2:1"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1,0", ["1", "0"]),
        (" 0 , 1 ", ["0", "1"]),
        ("0,0", ["0"]),
        ("0,-1,1", ["0"]),
        ("0,7,1", ["0"]),
        ("GPU-abbb", ["1"]),
        ("GPU-ab", ["1"]),
        ("GPU-a", []),
        ("MIG-d", ["2:1"]),
        ("2", ["2:0", "2:1"]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(visible: str | None, expected: list[str]) -> None:
    assert [card.index for card in visible_cards(CARDS, visible)] == expected


@pytest.mark.parametrize(
    ("gpus", "need", "on_four"),
    [
        (0.5, Need(1, UNITS // 2), 8), (0.25, Need(1, UNITS // 4), 16), (0.3, Need(1, 252), 12), (0.33, Need(1, 278), 12),
        (1 / 7, Need(1, UNITS // 7), 28), (0.1, Need(1, 84), 40), (0.9, Need(1, 756), 4),
        (1.0, Need(1, UNITS), 4), (1.5, Need(2, UNITS), 2), (2.0, Need(2, UNITS), 2), (3.0, Need(3, UNITS), 1),
        (8, Need(8, UNITS), 0),
    ],
)  # fmt: skip
def test_what_an_attempt_needs_and_how_many_fit(gpus: float, need: Need, on_four: int) -> None:
    assert Need.of(gpus) == need and need.fits(4) == on_four


def test_indices_become_uuids(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(4)
    assert search(visible="2,0").want(4) == [(C,), (A,)]


def test_a_need_beyond_what_may_be_used_is_refused(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(4)
    search(4).check()
    with pytest.raises(
        UsageError, match=r"a trial needs 2 GPUs; this session may use only 1 \(CUDA_VISIBLE_DEVICES=3\)"
    ):
        search(2, visible="3").check()
    with pytest.raises(UsageError, match=r"a trial needs a GPU; this session may use none \(CUDA_VISIBLE_DEVICES=\)"):
        search(0.5, visible="").check()


def test_without_a_driver_the_named_cards_are_given_out_all_the_same(no_driver: None) -> None:
    pool = GpuPool(1, lambda _: None, visible="1,MIG-x")
    grants = pool.take(3)
    assert [tuple(lock.uuid for lock in grant.locks) for grant in grants] == [
        ("1",),
        ("MIG-x",),
    ] and not pool.is_empty_handed
    for grant in grants:
        grant.close()
    pool.close()


def test_several_cards_are_not_taken_from_mig_devices(driver: Driver, search: Callable[..., Search]) -> None:
    driver.say(
        f"card GPU-a {GB} 0", f"mig MIG-a {GB} 0", f"mig MIG-b {GB} 0", f"card GPU-b {GB} 0", f"card GPU-c {GB} 0"
    )
    assert search(2).want(2) == [("GPU-b", "GPU-c")]
    assert search(1).want(3) == [("MIG-a",), ("MIG-b",)]


# -- who gets them --------------------------------------------------------------------------------------------------------


def test_two_searches_never_get_the_same_card(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(4)
    one, two = search(), search()
    assert one.want(3) == [(A,), (B,), (C,)] and two.want(3) == [(D,)]
    assert one.want(1) == [] and two.want(2) == []


def test_a_card_is_free_again_when_its_attempt_ended(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(1)
    one = search()
    assert one.want(1) == [(A,)] and one.want(1) == []
    one.end()
    assert one.want(1) == [(A,)]


def test_shares_pack_a_card_before_the_next_is_begun(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(2)
    halves = search(0.5)
    assert halves.want(1) == [(A,)] and halves.want(2) == [(A,), (B,)]
    whole = search(1)
    assert whole.want(1) == [] and whole.want(0) == []
    assert search(0.25).want(9) == [(B,), (B,)]


def test_several_cards_are_given_together_or_not_at_all(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(3)
    pairs, single = search(2), search()
    assert pairs.want(2) == [(A, B)]
    assert single.want(1) == [(C,)]  # was not kept by half a pair


def test_a_card_to_be_avoided_is_taken_last(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(2)
    one = search()
    assert one.want(1, avoid=(A,)) == [(B,)] and one.want(1, avoid=(A,)) == [(A,)]


# -- others ---------------------------------------------------------------------------------------------------------------


def test_a_card_used_by_others_is_skipped_said_once_and_taken_when_free(
    driver: Driver, search: Callable[..., Search], clock: Time
) -> None:
    driver.used(2, {1: (STRANGER, 11 * GB)})
    one = search()
    assert one.want(2) == [(A,)]
    assert one.said == [f"GPU 1 is used by others (pid {STRANGER}, 11 GB): skipped; taken when free"]
    clock.pass_(1)
    assert one.want(1) == [] and len(one.said) == 1
    driver.cards(2)
    assert one.want(1) == []  # the driver is not asked again at once
    clock.pass_(1)
    assert one.want(1) == [(B,)]
    one.end(1)
    driver.used(2, {1: (STRANGER, 11 * GB)})
    clock.pass_(1)
    assert one.want(1) == [] and len(one.said) == 2


def test_a_little_memory_of_others_is_not_in_the_way(driver: Driver, search: Callable[..., Search]) -> None:
    driver.used(1, {0: (STRANGER, GB // 2)})
    assert search().want(1) == [(A,)]


def test_memory_without_a_process_is_somebody_s_once_it_stays(
    driver: Driver, search: Callable[..., Search], clock: Time
) -> None:
    driver.used(1, {0: (0, 3 * GB)})
    one = search()
    assert one.want(1) == [] and one.said == []  # may be what a process leaves that is just ending
    clock.pass_(1)
    assert one.want(1) == [] and one.said == ["GPU 0 is used by others (3.0 GB): skipped; taken when free"]


def test_what_cannot_be_read_is_never_free(driver: Driver, search: Callable[..., Search], clock: Time) -> None:
    driver.cards(2, "fail nvmlDeviceGetHandleByIndex_v2 15 0")
    one = search()
    assert one.want(2) == [(B,)]
    assert one.said == ["GPU 0 cannot be read (GPU is lost): skipped; taken when it answers"]
    driver.cards(2)
    clock.pass_(1)
    assert one.want(1) == [(A,)]


@pytest.mark.parametrize("function", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetComputeRunningProcesses_v2"])
def test_a_card_whose_use_is_unknown_is_not_free(driver: Driver, search: Callable[..., Search], function: str) -> None:
    driver.say("old", f"card {A} {80 * GB} 0", "fail nvmlDeviceGetMemoryInfo 999", f"fail {function} 999")
    one = search()
    assert one.want(1) == [] and one.said == [
        f"GPU 0 cannot be read ({'; '.join(['Unknown Error'] * len({function, 'nvmlDeviceGetMemoryInfo'}))}): "
        "skipped; taken when it answers"
    ]


def test_a_driver_that_does_not_answer_stops_starts_and_is_asked_again(
    driver: Driver, search: Callable[..., Search], clock: Time
) -> None:
    driver.cards(1, "fail nvmlDeviceGetCount_v2 999")
    one = search()
    one.check()
    assert one.want(1) == []
    clock.pass_(1)
    assert one.want(1) == []
    assert one.said == ["the GPUs cannot be read (Unknown Error): no trial is started until they answer"]
    driver.cards(1)
    clock.pass_(1)
    assert one.want(1) == [(A,)]


def test_attempts_that_share_a_card_are_no_strangers_to_it(clock: Time, driver: Driver) -> None:
    cards = Card("0", A, 80 * GB, 40 * GB, (CardProcess(os.getpid(), 40 * GB),))
    make_lock_directory(str(driver.locks))
    neighbour = CardLock.take(str(driver.locks), A, UNITS // 2)  # signed by this process, which uses the card
    assert neighbour is not None
    pool = GpuPool(0.5, lambda _: None, read=lambda: Reading((cards,)), clock=clock)
    [grant] = pool.take(1)
    assert grant.locks[0].start == UNITS // 2
    grant.close()
    neighbour.close()
    clock.pass_(1)
    assert pool.take(1) == []  # the same process without a lock is a stranger
    pool.close()


def test_a_machine_that_cannot_be_locked_on_is_refused_with_the_cure(
    driver: Driver, search: Callable[..., Search], tmp_path: Path
) -> None:
    driver.cards(1)
    one = search()
    driver.locks.write_text("not a folder")
    with pytest.raises(StorageError, match=f"cannot lock GPUs in {driver.locks}: Not a directory") as error:
        one.want(1)
    assert "OUTLAST_GPU_LOCK_DIR" in (error.value.cure or "")


# -- turns ----------------------------------------------------------------------------------------------------------------


def test_who_holds_everything_leaves_what_is_freed_to_who_waits_until_both_have_as_many(
    driver: Driver, search: Callable[..., Search]
) -> None:
    driver.cards(4)
    first, second = search(), search()
    assert len(first.want(4)) == 4 and second.want(4) == []
    for _ in range(2):
        first.end()
        assert first.want(1) == [] and len(second.want(4)) == 1
    first.end()
    assert len(first.want(1)) == 1 and second.want(2) == []  # it would have fewer now
    assert (len(first.held), len(second.held)) == (2, 2)


def test_two_searches_take_turns_on_one_card(driver: Driver, search: Callable[..., Search], clock: Time) -> None:
    driver.cards(1)
    one, two = search(), search()
    order = []
    assert one.want(1) and not two.want(1)
    for _ in range(4):
        clock.pass_(1)
        for search_ in (one, two):
            if search_.held:
                search_.end()
        for name, search_ in (("one", one), ("two", two)):
            if search_.want(1):
                order.append(name)
    assert order == ["two", "one", "two", "one"]


def test_a_card_is_left_to_somebody_who_does_not_come_only_for_a_while(
    driver: Driver, search: Callable[..., Search], clock: Time
) -> None:
    driver.cards(1)
    one, stopped = search(), search()
    assert one.want(1) and not stopped.want(1)
    clock.pass_(1)
    one.end()
    assert one.want(1) == []
    clock.pass_(PATIENCE - 0.1)
    assert one.want(1) == []
    clock.pass_(0.2)
    assert one.want(1) == [(A,)]


def test_nobody_waits_for_a_search_that_is_gone_or_wants_nothing(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(2)
    one, gone, idle = search(), search(), search()
    assert len(one.want(2)) == 2
    assert gone.want(1) == [] and idle.want(1) == []
    gone.close()
    assert idle.want(0) == []
    one.end()
    assert len(one.want(1)) == 1


def test_a_search_that_cannot_use_the_card_is_not_waited_for(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(2)
    one, other = search(), search(visible="1")
    assert len(one.want(2)) == 2 and other.want(1) == []
    one.end(0)
    assert one.want(1) == [(A,)]


def test_a_campaign_of_several_studies_gets_no_more_than_a_search_of_its_own(
    driver: Driver, search: Callable[..., Search]
) -> None:
    driver.cards(4)
    alone, one, two = search(), search(), search()
    one.standing = Standing("campaign", "weight", Claim("one"))
    two.standing = Standing("campaign", "weight", Claim("two", charged=5.0))
    assert len(alone.want(4)) == 4 and one.want(2) == two.want(2) == []
    alone.end()
    assert alone.want(1) == two.want(2) == [] and len(one.want(2)) == 1  # of a campaign the one that had less
    alone.end()
    one.standing = Standing("campaign", "weight", Claim("one", charged=6.0))
    assert one.want(2) == [] and len(two.want(2)) == 1
    alone.end()
    assert len(alone.want(1)) == 1  # one against two
    assert one.want(2) == two.want(2) == []


def test_within_a_campaign_priority_decides_about_cards_as_about_slots(
    driver: Driver, search: Callable[..., Search]
) -> None:
    driver.cards(1)
    low, high = search(), search()
    low.standing = Standing("campaign", "priority", Claim("low"))
    high.standing = Standing("campaign", "priority", Claim("high", priority=1, charged=1e6))
    assert len(low.want(1)) == 1 and high.want(1) == []
    low.end()
    assert low.want(1) == [] and len(high.want(1)) == 1


def test_a_search_with_nothing_says_once_that_it_waits(driver: Driver, search: Callable[..., Search]) -> None:
    driver.cards(2)
    one, two = search(), search()
    assert len(one.want(2)) == 2
    assert two.want(1) == [] and two.want(1) == []
    assert two.said == ["waiting for a GPU: other searches have GPU 0, 1, or are next in turn"]
