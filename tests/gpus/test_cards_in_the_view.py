"""What the cards do, as somebody sees it who watches a search in a terminal: a real one, with a fake driver."""

from __future__ import annotations

import os
import sys

import pytest
from tests.cli_live.tmux import Tmux

from lab.box import Box
from lab.fake_driver import GB
from lab.waiting import until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=str)
def test_each_slot_says_how_busy_its_card_is_and_how_full(box: Box, size: tuple[int, int]) -> None:
    driver, end = box.driver, box.place / "end"
    names = driver.cards(2)
    run = box.start("seen", trials=2, parallel=2, arguments=("--until", str(end)))
    until(lambda: len(box.audit) == 2, "both cards are taken")
    driver.say(f"card {names[0]} {80 * GB} {8 * GB}", "busy 87", f"card {names[1]} {80 * GB} 0")
    tmux = Tmux(box.place / "seen", *size)
    try:
        variables = " ".join(f"{name}={os.environ[name]}" for name in driver.environment(""))
        tmux.run(["env", variables, sys.executable, "-m", "outlast", "status", "-w", "studies/seen"])
        lines = tmux.waits_for("GPU 0 87% 12.0/80 GB")  # 8 GB beside the 4 of the training
        assert any("GPU 1 4.0/80 GB" in line for line in lines)  # how busy, this one cannot tell
        driver.say(f"card {names[0]} {80 * GB} {40 * GB}", "busy 5", f"card {names[1]} {80 * GB} 0", "busy 100")
        lines = tmux.waits_for("GPU 0 5% 44.0/80 GB")
        assert any("GPU 1 100% 4.0/80 GB" in line for line in lines)
        assert all(len(line) <= size[0] for line in lines)
        end.touch()
        box.finish(run)
    finally:
        tmux.close()
