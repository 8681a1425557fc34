"""A machine that is taken away with everything on it, again and again, is no trial's doing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.survival import Lab
from outlast.core.states import Cause

pytestmark = pytest.mark.slow


def test_no_trial_fails_because_its_machine_is_taken_away_before_its_first_step(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(trials=1, epochs=1, seconds=600)
    for attempt in range(1, 5):
        lab.start()
        lab.wait_for_epoch(0, 0, attempt)
        lab.end()
    assert [(o.cause, o.together) for o in lab.study().trials[0].ended] == [(Cause.LOST, True)] * 3
