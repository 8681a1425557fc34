"""What is read from the driver, through the real bindings."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lab.fake_driver import GB, Driver
from outlast._system import nvml
from outlast._system.nvml import CardProcess, read_cards


def test_a_machine_without_the_library_has_no_cards_and_no_error(no_driver: None) -> None:
    assert read_cards() == nvml.Reading()


def test_a_driver_that_is_not_loaded_is_no_error(driver: Driver) -> None:
    driver.say("fail nvmlInitWithFlags 9")
    assert read_cards() == nvml.Reading()


def test_a_driver_that_does_not_fit_its_library_is_unknown_not_absent(driver: Driver) -> None:
    driver.say("card GPU-a 100 0", "fail nvmlInitWithFlags 18")
    assert read_cards() == nvml.Reading(error="RM has detected an NVML/RM version mismatch.")


@pytest.mark.parametrize("code", [9, 12, 999])  # not loaded, library not found, unknown
def test_a_driver_that_answered_once_and_fails_then_is_unknown_not_absent(driver: Driver, code: int) -> None:
    driver.cards(1, f"fail nvmlDeviceGetCount_v2 {code}")
    assert read_cards().error
    driver.cards(1)
    assert [card.uuid for card in read_cards().cards] == ["GPU-0000"]


@pytest.mark.parametrize("age", [(), ("old",)])
def test_cards_are_read_with_memory_and_processes_from_new_and_old_drivers(
    driver: Driver, age: tuple[str, ...]
) -> None:
    driver.say(*age, f"card GPU-a {80 * GB} {GB}", "process 41 100", "process 42 unknown", f"card GPU-b {40 * GB} 0")
    first, second = read_cards().cards
    assert (first.index, first.uuid, first.total, first.used) == ("0", "GPU-a", 80 * GB, GB + 100)
    assert first.processes == (CardProcess(41, 100), CardProcess(42, None))
    assert (second.index, second.uuid, second.processes, second.error) == ("1", "GPU-b", (), "")


def test_more_processes_than_expected_are_all_listed(driver: Driver) -> None:
    driver.say(f"card GPU-a {GB} 0", *(f"process {pid} 1" for pid in range(1000, 1050)))
    assert [p.pid for p in read_cards().cards[0].processes or ()] == list(range(1000, 1050))


def test_a_changed_state_is_seen_by_the_next_reading(driver: Driver) -> None:
    driver.cards(1)
    assert read_cards().cards[0].used == 0
    driver.say(f"card GPU-a {GB} 7")
    assert read_cards().cards[0].used == 7


def test_a_card_whose_handle_fails_has_no_uuid_and_says_why(driver: Driver) -> None:
    driver.cards(2, "fail nvmlDeviceGetHandleByIndex_v2 15 0")
    lost, fine = read_cards().cards
    assert (lost.uuid, lost.error) == ("", "GPU is lost") and fine.uuid == "GPU-1111"


def test_a_card_that_is_not_ours_to_open_is_left_out(driver: Driver) -> None:
    driver.cards(2, "fail nvmlDeviceGetHandleByIndex_v2 4 0")
    assert [card.index for card in read_cards().cards] == ["1"]


@pytest.mark.parametrize("function", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetComputeRunningProcesses_v2"])
def test_a_failed_question_leaves_its_answer_unknown(driver: Driver, function: str) -> None:
    driver.cards(1, "old", f"fail {function} 999")
    card = read_cards().cards[0]
    unknown = card.used if "Memory" in function else card.processes
    assert unknown is None and card.error == "Unknown Error"


def test_a_driver_that_cannot_list_processes_is_no_error(driver: Driver) -> None:
    driver.cards(1, "fail nvmlDeviceGetComputeRunningProcesses_v3 3")
    card = read_cards().cards[0]
    assert card.processes is None and card.error == "" and card.used == 0


def test_processes_that_an_ancient_driver_has_no_list_of_are_unknown_not_absent(driver: Driver) -> None:
    driver.say("ancient", f"card GPU-a {GB} 7", "process 41 100")
    card = read_cards().cards[0]
    assert card.processes is None and card.error == "" and card.used == 107


def test_mig_devices_take_the_place_of_their_card(driver: Driver) -> None:
    driver.say(
        f"card GPU-a {80 * GB} 0", f"mig MIG-a {10 * GB} 5", "process 9 1", f"mig MIG-b {20 * GB} 0", "card GPU-b 1 0"
    )
    cards = read_cards().cards
    assert [(card.index, card.uuid, card.mig) for card in cards] == [
        ("0:0", "MIG-a", True), ("0:1", "MIG-b", True), ("1", "GPU-b", False),
    ]  # fmt: skip
    assert cards[0].processes == (CardProcess(9, 1),)


def test_a_lost_card_answers_again_after_the_driver_was_opened_anew(driver: Driver) -> None:
    driver.cards(1, "fail nvmlDeviceGetUUID 15")
    assert read_cards().cards[0].uuid == ""
    driver.cards(1)
    assert read_cards().cards[0].uuid == "GPU-0000"


def test_a_driver_that_hangs_is_unknown_and_is_not_waited_for(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver.cards(1)
    hangs = tmp_path / "hangs"  # as long as that is there
    hangs.touch()
    monkeypatch.setenv("FAKE_NVML_HANGS", str(hangs))
    began = time.monotonic()
    assert read_cards(timeout=0.05).error == "the driver does not answer"
    assert read_cards(timeout=60.0).error == "the driver does not answer"
    assert time.monotonic() - began < 30
    assert nvml._reading is not None and nvml._reading.is_alive()
    hangs.unlink()
    nvml._reading.join()


def test_a_forked_process_opens_the_driver_for_itself(driver: Driver) -> None:
    driver.cards(1)
    assert read_cards().cards
    child = os.fork()
    if child == 0:
        os._exit(0 if read_cards().cards and nvml._opened is not None and nvml._opened[0] == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
