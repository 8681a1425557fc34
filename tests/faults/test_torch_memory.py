"""Out of memory in torch's own words, raised by its own class and by its own allocator."""

from __future__ import annotations

import pytest

from lab.faults import FaultLab
from outlast.core.states import Cause, TrialState

pytestmark = [pytest.mark.slow, pytest.mark.foreign]


@pytest.mark.parametrize(
    ("fault", "cause", "said"),
    [
        (
            "cuda_memory",
            Cause.GPU_OUT_OF_MEMORY,
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        ),
        ("cpu_allocator", Cause.HOST_OUT_OF_MEMORY, "DefaultCPUAllocator: can't allocate memory"),
        ("loader_worker", Cause.HOST_OUT_OF_MEMORY, "MemoryError"),
    ],
)
def test_a_trial_that_does_not_fit_is_infeasible_and_the_search_goes_on(
    lab: FaultLab, fault: str, cause: Cause, said: str
) -> None:
    lab.write_study_file(fault, [1, 4])
    lab.settings["command"] = [word for word in lab.settings["command"] if word not in ("-S", "-E")]
    lab.write()
    lab.run()
    lab.check(dict.fromkeys((1, 4), (TrialState.INFEASIBLE, cause)))
    assert said in lab.trial(1).reason
    assert said in lab.trial(4).reason
