"""What an attempt that ran out of GPU memory means for its trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.faults import NEGLIGIBLE_GPU_MEMORY, Decision, Policy, decide
from outlast.core.fold import fold
from outlast.core.records import (
    Attempt,
    AttemptEnded,
    AttemptOpened,
    Trial,
    TrialCreated,
    TrialRetried,
    from_json,
    to_json,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.outcome import cards_to_avoid, outcome_of, smaller_values
from outlast.errors import StudyFileError

MESSAGE = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB"
)
OUT = Evidence(exit_code=1, tail=(MESSAGE, "[rank0]: Traceback of a consequence"))
LITTLE, MUCH = NEGLIGIBLE_GPU_MEMORY, 11 * 2**30
POLICY = Policy(("acc",))


def judge(evidence: Evidence, *earlier: AttemptEnded, policy: Policy = POLICY) -> Decision:
    trial = Trial(0)
    for number, outcome in enumerate(earlier, 1):
        fold_into(trial, number, outcome)
    return decide(evidence, trial, policy)


def fold_into(trial: Trial, number: int, outcome: AttemptEnded) -> None:
    trial.attempts.append(Attempt(number, "", outcome=replace(outcome, attempt=number)))


def ended(cause: Cause = Cause.GPU_OUT_OF_MEMORY, **more: Any) -> AttemptEnded:
    return AttemptEnded(0, 1, "", TrialState.INTERRUPTED, cause, **more)


@pytest.mark.parametrize(
    ("start", "end", "state"),
    [
        (None, None, TrialState.INFEASIBLE),
        (0, 0, TrialState.INFEASIBLE),
        (0, None, TrialState.INFEASIBLE),
        (LITTLE, LITTLE, TrialState.INFEASIBLE),
        (LITTLE + 1, 0, TrialState.INTERRUPTED),
        (MUCH, None, TrialState.INTERRUPTED),
        (None, MUCH, TrialState.INTERRUPTED),
        (0, MUCH, TrialState.INTERRUPTED),
    ],
)
def test_others_on_the_card_excuse_the_configuration(start: int | None, end: int | None, state: TrialState) -> None:
    decision = judge(replace(OUT, foreign_gpu_memory=start, foreign_gpu_memory_end=end))
    assert (decision.state, decision.cause) == (state, Cause.GPU_OUT_OF_MEMORY)
    assert decision.reason.startswith(MESSAGE) and ("another card" in decision.reason) == (
        state is TrialState.INTERRUPTED
    )


def test_the_third_time_beside_others_fails_and_says_nothing_of_the_configuration() -> None:
    beside = replace(OUT, foreign_gpu_memory=MUCH)
    assert judge(beside, ended(), ended(Cause.LOST)).state is TrialState.INTERRUPTED
    decision = judge(beside, ended(), ended())
    assert decision.state is TrialState.FAILED and decision.reason.endswith("others held 11.0 GB there, 3 times")


@pytest.mark.parametrize("restart", [True, False])
def test_alone_on_the_card_a_smaller_configuration_is_tried_once(restart: bool) -> None:
    policy = replace(POLICY, smaller={"batch": 32}, restart_interrupted=restart)
    decision = judge(OUT, policy=policy)
    assert decision.state is TrialState.INTERRUPTED and decision.instead == {"batch": 32}
    assert decision.reason == f"{MESSAGE}; once more with batch=32"


def test_beside_others_nothing_is_made_smaller() -> None:
    assert judge(replace(OUT, foreign_gpu_memory=MUCH), policy=replace(POLICY, smaller={"batch": 32})).instead == {}


def test_cards_of_earlier_records_are_read_back() -> None:
    opened = AttemptOpened(0, 1, "", gpus=("GPU-a", "GPU-b"))
    out = ended(instead={"batch": 32})
    assert from_json(to_json(opened)) == opened and from_json(to_json(out)) == out
    old = {key: value for key, value in to_json(opened).items() if key != "gpus"}
    assert from_json(old) == AttemptOpened(0, 1, "")


def test_only_cards_with_others_on_them_are_avoided() -> None:
    study = fold(
        [
            TrialCreated(0, ""),
            AttemptOpened(0, 1, "", gpus=("GPU-a",)), ended(),
            AttemptOpened(0, 2, "", gpus=("GPU-b",)), replace(ended(Cause.LOST), attempt=2),
            AttemptOpened(0, 3, "", gpus=("GPU-c",)), replace(ended(instead={"batch": 1}), attempt=3),
        ]
    )  # fmt: skip
    assert cards_to_avoid(study.trials[0]) == {"GPU-a"}
    events = study.trials[0].events()
    assert fold(events).trials[0] == study.trials[0]  # trial.json keeps it


def settings(folder: Path, oom: Any) -> Settings:
    return settings_from_resolved(
        {
            "name": "s", "command": ["train", "${args}"], "metric": {"name": "acc", "goal": "maximize"}, "budget": {"trials": 1},
            "parameters": {
                "lr": {"min": 0.0, "max": 1.0}, "batch": {"values": [1, 64]}, "model": {"value": "big"}, "steps": {"value": 9},
            },
            "trial": {"oom": oom},
        },
        str(folder),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("oom", "params", "smaller"),
    [
        ("infeasible", {"batch": 64}, {}),
        ({"shrink": "batch"}, {"batch": 64}, {"batch": 32}),
        ({"shrink": "batch"}, {"batch": 1}, {}),
        ({"shrink": "model"}, {"batch": 64}, {}),
        ({"shrink": "steps"}, {"batch": 64}, {"steps": 4}),
        ({"shrink": ["batch", "lr"], "factor": 0.25}, {"batch": 64, "lr": 0.5}, {"batch": 16, "lr": 0.125}),
    ],
)
def test_which_values_are_made_smaller(
    tmp_path: Path, oom: Any, params: dict[str, Any], smaller: dict[str, Any]
) -> None:
    trial = Trial(0, params={"lr": 0.5, **params})
    assert smaller_values(trial, settings(tmp_path, oom)) == smaller


def test_a_person_s_retry_makes_it_smaller_once_more(tmp_path: Path) -> None:
    study_file = settings(tmp_path, {"shrink": "batch"})
    study = fold([TrialCreated(0, "", {"lr": 0.5, "batch": 64}), AttemptOpened(0, 1, "")])
    trial = study.trials[0]
    study.apply(outcome_of(OUT, trial, 1, study_file, ""))
    assert trial.instead == {"batch": 32} and trial.state is TrialState.INTERRUPTED
    study.apply(AttemptOpened(0, 2, ""))
    second = outcome_of(OUT, trial, 2, study_file, "")
    assert second.state is TrialState.INFEASIBLE and second.reason == f"{MESSAGE}; ran with batch=32"
    study.apply(second)
    study.apply(TrialRetried(0, ""))
    assert smaller_values(trial, study_file) == {"batch": 16}


@pytest.mark.parametrize(
    ("oom", "fact"),
    [
        ({"shrink": "bach"}, "`bach` is not a parameter"),
        ({"shrink": "batch", "factor": 1}, "must be below 1"),
        ({"shrink": "batch", "factor": 0}, "above 0"),
        ({"shrink": "batch", "by": 2}, "unknown key"),
        ({"factor": 0.5}, "needs `shrink`"),
    ],
)
def test_a_wrong_shrink_is_refused(tmp_path: Path, oom: Any, fact: str) -> None:
    with pytest.raises(StudyFileError, match=fact):
        settings(tmp_path, oom)
