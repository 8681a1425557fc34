"""Several studies that one command runs: what happens to one, or to the one who looks after them, is nothing to the others."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.campaign import CampaignLab, hurt

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CampaignLab]:
    lab = CampaignLab(tmp_path / "place")
    yield lab
    lab.close()


def test_two_finish_exactly_beside_one_that_cannot_start_one_that_breaks_and_supervisors_that_are_killed(
    lab: CampaignLab,
) -> None:
    code = hurt(lab, random.Random(7))
    assert code == 2, lab.said
    for name in lab.good:
        assert lab.verify(name).faults == []
    log = lab.log
    assert "broken: cannot start: camp.yaml" in log
    assert "half: has halted" in log
    assert len(re.findall(r"runs already \(pid \d+\): taken over, not begun again", log)) >= 4
    assert re.search(
        r"share: its coordinator \(pid \d+\) is stopped \(SIGSTOP or Ctrl-Z\): it is ended and replaced", log
    )
    assert re.search(r"joint: its coordinator was ended by SIGKILL|joint: its coordinator is gone", log)
    assert re.search(r"joint: begun again \(pid \d+\)", log)
    end = lab.look()
    assert {sight.name: sight.state for sight in end.sights} == {
        "share": "done", "joint": "done", "half": "halted", "broken": "unreadable",
    }  # fmt: skip
