"""Every row of the table "How a trial ends", by a study in which it really happens to some of eight trials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.faults import FaultLab
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow

COMPLETE = (TrialState.COMPLETE, Cause.COMPLETED)
SICK = (1, 4)


@dataclass(frozen=True)
class Row:
    """A fault and what comes of it.

    Attributes:
        fault: Its name in ``suffering.py``.
        causes: What each attempt of a trial that suffers it ends for.
        state: Of the trial in the end.
        said: Part of the reason of its first attempt's outcome.
        times: In how many attempts it strikes.
        trial: Settings of the study file.
    """

    fault: str
    causes: tuple[Cause, ...]
    state: TrialState
    said: str
    times: int | None = None
    trial: dict[str, Any] = field(default_factory=dict)


FAILED, INFEASIBLE, WELL = TrialState.FAILED, TrialState.INFEASIBLE, TrialState.COMPLETE
TIMEOUT = {"timeout": 2.0, "grace": 0.3}
ROWS = [
    Row("crash", (Cause.CRASH,), FAILED, "ValueError: hidden size"),
    Row("crash", (Cause.CRASH, Cause.COMPLETED), WELL, "(retry 1 of 1)", 1, {"retries": 1}),
    Row("silent_crash", (Cause.CRASH,), FAILED, "exit code 3"),
    Row("segfault", (Cause.CRASH,), FAILED, "SIGSEGV"),
    Row("killed", (Cause.CRASH,), FAILED, "SIGKILL"),
    Row("rlimit", (Cause.HOST_OUT_OF_MEMORY,), INFEASIBLE, "MemoryError"),
    Row("nan", (Cause.DIVERGED,), FAILED, "score = nan"),
    Row("nan_early", (Cause.DIVERGED,), FAILED, "score = nan at step 1; ended at once"),
    Row("infinity", (Cause.DIVERGED,), FAILED, "score = -inf"),
    Row("no_score", (Cause.NO_SCORE,), FAILED, "train_loss"),
    Row("resume_me", (Cause.PREEMPTED, Cause.COMPLETED), WELL, "exit code 75", 1),
    Row("interrupted", (Cause.PREEMPTED, Cause.COMPLETED), WELL, "exit code 130", 1),
    Row("terminated", (Cause.PREEMPTED, Cause.COMPLETED), WELL, "SIGTERM", 1),
    Row("resume_me", (Cause.PREEMPTED,) * 3, FAILED, "exit code 75"),
    Row("hang", (Cause.HANG, Cause.COMPLETED), WELL, "silent", 1, {"hang_after": 1.5}),
    Row("hang_busily", (Cause.HANG, Cause.HANG), FAILED, "silent", None, {"hang_after": 1.5}),
    Row("too_slow", (Cause.TIMEOUT,), FAILED, "trial.timeout", None, TIMEOUT),
    Row("too_slow", (Cause.TIMEOUT,), WELL, "last report counts", None, {**TIMEOUT, "timeout_counts": True}),
    Row("stubborn", (Cause.TIMEOUT,), FAILED, "trial.timeout", None, TIMEOUT),
    Row("too_many_requests", (Cause.TRANSIENT, Cause.TRANSIENT, Cause.COMPLETED), WELL, "HTTP Error 429", 2),
    Row("too_many_requests", (*[Cause.TRANSIENT] * 3, Cause.CRASH), FAILED, "HTTP Error 429"),
    Row("service_unavailable", (Cause.TRANSIENT, Cause.COMPLETED), WELL, "HTTP Error 503", 1),
    Row("port_in_use", (Cause.TRANSIENT, Cause.COMPLETED), WELL, "Address already in use", 1),
    Row("stale_handle", (Cause.TRANSIENT, Cause.COMPLETED), WELL, "Stale file handle", 1),
    Row("broken_card", (Cause.TRANSIENT, Cause.COMPLETED), WELL, "ECC", 1),
    Row("torn_checkpoint", (Cause.PREEMPTED, Cause.BAD_CHECKPOINT, Cause.COMPLETED), WELL, "exit code 75", 1),
    Row("torn_folder", (Cause.PREEMPTED, Cause.BAD_CHECKPOINT, Cause.COMPLETED), WELL, "exit code 75", 1),
    Row("torn_checkpoints", (Cause.PREEMPTED, *[Cause.BAD_CHECKPOINT] * 2, Cause.COMPLETED), WELL, "exit code 75", 1),
    Row("children", (Cause.COMPLETED,), WELL, "", None, {"grace": 0.2}),
    Row("mumble", (Cause.COMPLETED,), WELL, ""),
]


def test_where_the_study_file_wants_new_trials_for_interrupted_ones_they_take_their_place(lab: FaultLab) -> None:
    lab.write_study_file("resume_me", SICK, faults={"interrupted": "new"})
    lab.run()
    lab.check(dict.fromkeys(SICK, (FAILED, Cause.PREEMPTED)))
    assert [lab.causes(number) for number in SICK] == [["preempted"]] * 2
    assert lab.trial(SICK[0]).reason == "exit code 75; a new trial takes its place"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.fault}-{row.causes[-1].value}-{len(row.causes)}")
def test_a_study_in_which_some_trials_suffer_it(lab: FaultLab, row: Row) -> None:
    lab.write_study_file(row.fault, SICK, times=row.times, trial=row.trial)
    lab.run()
    lab.check(dict.fromkeys(SICK, (row.state, row.causes[-1])))
    lab.check_slots(SICK)
    for number in SICK:
        assert lab.causes(number) == [cause.value for cause in row.causes]
        first = lab.trial(number).ended[0]
        assert row.said in first.reason
        shown = " ".join(lab.outlast("show", str(lab.folder), str(number)).split())
        assert first.cause is Cause.COMPLETED or first.cause.value in shown
        assert all(" ".join(o.reason.split())[:40] in shown for o in lab.trial(number).ended)
