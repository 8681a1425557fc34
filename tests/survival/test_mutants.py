"""The campaign of random kills can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.mutants import MUTANTS, Mutant, noticed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_source_and_is_python(mutant: Mutant) -> None:
    for name, text in mutant.changed().items():
        compile(text, name, "exec")


@pytest.mark.slow
def test_trials_that_start_over_despite_their_checkpoints_are_noticed(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if "starts over" in mutant.name)
    faults = noticed(mutant.write(tmp_path), kills=48, seed=3)
    assert any("repeated epochs" in fault for fault in faults), faults
