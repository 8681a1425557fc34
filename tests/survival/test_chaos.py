"""At least two hundred kills at random moments, whatever trials are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.chaos import Campaign, chosen_seed
from lab.survival import Zygote

pytestmark = pytest.mark.slow
_KILLS = 42


@pytest.mark.parametrize(("part", "isolation"), list(enumerate(["command", "command", "process", "worker", "kept"])))
def test_nothing_is_lost_and_nothing_is_run_twice_under_random_kills(
    part: int, isolation: str, zygote: Zygote, tmp_path: Path
) -> None:
    seed = chosen_seed() + part
    print(f"OUTLAST_CHAOS_SEED={seed - part}, part {part}")
    tally = Campaign(tmp_path, zygote, kills=_KILLS, seed=seed, isolation=isolation).run()
    print(tally.table())
    assert tally.kills.total() >= _KILLS
    assert not tally.faults, "\n".join(tally.faults)
