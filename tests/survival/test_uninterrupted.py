from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.survival import Lab, verify


@pytest.mark.slow
def test_a_run_that_nobody_touches_stands_the_comparison(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab()
    lab.run()
    assert verify(lab, reference, trials=3, interruptions=0).faults == []
