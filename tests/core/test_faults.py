"""Every row of the table "How a trial ends"."""

from __future__ import annotations

import signal

import pytest
from msgspec.structs import replace

from outlast.core.evidence import Evidence, JobEnd, Report
from outlast.core.faults import Policy, decide, diverged_at
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.core.symptoms import signature_of
from outlast.engine.coordinator.coming_to_rest import ComingToRest

POLICY = Policy(objectives=("acc",))
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/a/train.py", line {line}, in main\nValueError: bad value {value}'
)


def trial(*causes: Cause, steps: tuple[int | None, ...] = (), saved: tuple[int, ...] = ()) -> Trial:
    """A trial whose earlier attempts ended for these causes; those whose numbers are in `saved` left a checkpoint."""
    found = Trial(0)
    for number, cause in enumerate(causes, 1):
        step = steps[number - 1] if number <= len(steps) else None
        ended = AttemptEnded(0, number, "", TrialState.INTERRUPTED, cause, last_step=step, saved=number in saved)
        found.attempts.append(Attempt(number, "", outcome=ended))
    return found


@pytest.mark.parametrize(
    ("evidence", "state", "cause"),
    [
        (Evidence(exit_code=0, scores={"acc": 0.5}), TrialState.COMPLETE, Cause.COMPLETED),
        (Evidence(exit_code=0), TrialState.FAILED, Cause.NO_SCORE),
        (Evidence(exit_code=0, scores={"acc": float("nan")}), TrialState.FAILED, Cause.DIVERGED),
        (Evidence(exit_code=0, scores={"acc": float("inf")}), TrialState.FAILED, Cause.DIVERGED),
        (Evidence(exit_code=1, scores={"acc": 0.5}), TrialState.FAILED, Cause.CRASH),
        (Evidence(signal=signal.SIGSEGV), TrialState.FAILED, Cause.CRASH),
        (Evidence(signal=signal.SIGKILL), TrialState.FAILED, Cause.CRASH),
        (Evidence(error="Permission denied: train.py"), TrialState.FAILED, Cause.CRASH),
        (Evidence(exit_code=75, scores={"acc": 0.5}), TrialState.INTERRUPTED, Cause.PREEMPTED),
        (Evidence(exit_code=130), TrialState.INTERRUPTED, Cause.PREEMPTED),
        (Evidence(signal=signal.SIGTERM), TrialState.INTERRUPTED, Cause.PREEMPTED),
        (Evidence(exit_code=0, scores={"acc": 1.0}, outside_signal=15), TrialState.INTERRUPTED, Cause.PREEMPTED),
        (Evidence(lost="its runner died"), TrialState.INTERRUPTED, Cause.LOST),
        (Evidence(never_started=True), TrialState.INTERRUPTED, Cause.NEVER_STARTED),
        (Evidence(stop_reason="user", signal=15), TrialState.INTERRUPTED, Cause.STOPPED),
        (Evidence(stop_reason="user", acknowledged=True, exit_code=0, scores={"acc": 1}), TrialState.INTERRUPTED, Cause.STOPPED),
        (Evidence(stop_reason="user", exit_code=0, scores={"acc": 1.0}), TrialState.COMPLETE, Cause.COMPLETED),
        (Evidence(stop_reason="user", exit_code=0, scores={"acc": 1.0}, done=True), TrialState.COMPLETE, Cause.COMPLETED),
        (Evidence(stop_reason="pruned", exit_code=0, scores={"acc": 1.0}), TrialState.PRUNED, Cause.PRUNED),
        (Evidence(stop_reason="pruned", signal=9), TrialState.PRUNED, Cause.PRUNED),
        (Evidence(pruned=True, exit_code=0), TrialState.PRUNED, Cause.PRUNED),
        (Evidence(stop_reason="timeout", signal=15), TrialState.FAILED, Cause.TIMEOUT),
        (Evidence(stop_reason="walltime", signal=15, reports=(Report(1, {"acc": 0.1}),)), TrialState.INTERRUPTED, Cause.WALLTIME),
        (Evidence(stop_reason="walltime", signal=15, saved=True, new_steps=False), TrialState.INTERRUPTED, Cause.WALLTIME),
        (Evidence(stop_reason="walltime", signal=15, new_steps=False), TrialState.FAILED, Cause.WALLTIME),
        (Evidence(stop_reason="walltime", signal=15), TrialState.FAILED, Cause.WALLTIME),  # its first attempt, and no step
        (Evidence(stop_reason="hang", signal=9), TrialState.INTERRUPTED, Cause.HANG),
        (Evidence(exit_code=1, tail=("torch.OutOfMemoryError: CUDA",)), TrialState.INFEASIBLE, Cause.GPU_OUT_OF_MEMORY),
        (Evidence(exit_code=1, tail=("MemoryError",)), TrialState.INFEASIBLE, Cause.HOST_OUT_OF_MEMORY),
        (Evidence(signal=9, oom_killed=True), TrialState.INFEASIBLE, Cause.HOST_OUT_OF_MEMORY),
        (Evidence(exit_code=1, tail=("OSError: [Errno 28] No space left on device",)), TrialState.INTERRUPTED, Cause.DISK_FULL),
        (Evidence(exit_code=1, tail=("requests: 429 Client Error: Too Many Requests",)), TrialState.INTERRUPTED, Cause.TRANSIENT),
        (Evidence(exit_code=1, tail=("OSError: [Errno 116] Stale file handle",)), TrialState.INTERRUPTED, Cause.TRANSIENT),
        (Evidence(exit_code=1, tail=("OSError: [Errno 98] Address already in use",)), TrialState.INTERRUPTED, Cause.TRANSIENT),
    ],
)  # fmt: skip
def test_what_each_evidence_means(evidence: Evidence, state: TrialState, cause: Cause) -> None:
    decision = decide(evidence, trial(), POLICY)
    assert (decision.state, decision.cause) == (state, cause)


@pytest.mark.parametrize(
    ("reason", "words"),
    [("user", "stopped on request"), ("halted", "stopped because the search halted"), ("preempted", "preempted"),
     ("budget", "stopped because the search came to its end"), ("walltime", "out of walltime")],
)  # fmt: skip
def test_an_interruption_says_who_asked_for_it(reason: str, words: str) -> None:
    evidence = Evidence(stop_reason=reason, signal=15, reports=(Report(1, {"acc": 0.1}),))
    decision = decide(evidence, trial(), POLICY)
    assert (decision.state, decision.reason) == (TrialState.INTERRUPTED, words)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["halted"], "halted"),
        (["budget"], "budget"),
        (["user"], "user"),
        (["halted", "user"], "user"),
        (["paused"], "user"),
    ],
)
def test_only_a_person_stops_a_trial_as_a_person_does(asked: list[str], told: str) -> None:
    stopping = ComingToRest()
    for reason in asked:
        stopping.ask(reason, drain=False, now=False)
    assert stopping.told_as == told


@pytest.mark.parametrize(
    ("evidence", "state", "cause", "values"),
    [
        (Evidence(exit_code=0), TrialState.COMPLETE, Cause.COMPLETED, None),
        (Evidence(exit_code=0, notes=("no acc",), metrics={"loss": 1.0}), TrialState.COMPLETE, Cause.COMPLETED, None),
        (Evidence(exit_code=0, scores={"acc": 0.5}), TrialState.COMPLETE, Cause.COMPLETED, (0.5,)),
        (Evidence(done=True), TrialState.COMPLETE, Cause.COMPLETED, None),
        (Evidence(exit_code=0, disk_full=True), TrialState.INTERRUPTED, Cause.DISK_FULL, None),
        (Evidence(exit_code=0, scores={"acc": float("nan")}), TrialState.FAILED, Cause.DIVERGED, None),
        (Evidence(exit_code=1), TrialState.FAILED, Cause.CRASH, None),
        (Evidence(stop_reason="user", terminated=True, exit_code=0), TrialState.INTERRUPTED, Cause.STOPPED, None),
        (Evidence(lost="its runner died"), TrialState.INTERRUPTED, Cause.LOST, None),
    ],
)
def test_where_no_score_is_needed_it_is_enough_to_end_well(
    evidence: Evidence, state: TrialState, cause: Cause, values: tuple[float, ...] | None
) -> None:
    decision = decide(evidence, trial(), replace(POLICY, needs_score=False))
    assert (decision.state, decision.cause, decision.values) == (state, cause, values)


def test_a_failure_without_score_lists_the_names_that_were_seen() -> None:
    assert "acc2, loss" in decide(Evidence(exit_code=0, metrics={"loss": 1.0, "acc2": 0.5}), trial(), POLICY).reason


def test_the_third_loss_in_a_row_without_a_step_fails_the_trial() -> None:
    lost = Evidence(lost="its runner died", new_steps=False)
    assert decide(lost, trial(Cause.LOST), POLICY).state is TrialState.INTERRUPTED
    decision = decide(lost, trial(Cause.LOST, Cause.PREEMPTED), POLICY)
    assert decision.state is TrialState.FAILED and "lost 3 times before its first step" in decision.reason


@pytest.mark.parametrize(
    ("history", "evidence", "said"),
    [
        (trial(Cause.LOST, Cause.LOST), Evidence(lost="gone"), "3 times before its first step or checkpoint"),
        (trial(Cause.LOST, Cause.LOST, steps=(4, 4)), Evidence(lost="gone", new_steps=False), "3 times at step 4 "),
        (trial(Cause.LOST, Cause.LOST, saved=(1,)), Evidence(lost="gone"), "3 times after its last checkpoint"),
        (
            trial(Cause.STOPPED, *[Cause.PREEMPTED] * 2),
            Evidence(lost="gone", resumed=True),
            "3 times after its last checkpoint",
        ),
        (
            trial(Cause.STOPPED, *[Cause.LOST] * 2, steps=(4, None)),
            Evidence(signal=15, new_steps=False, reports=(Report(4, {"acc": 0.1}),)),
            "3 times at step 4 ",
        ),
    ],
)
def test_what_is_said_of_a_trial_that_is_lost_again_and_again_is_true(
    history: Trial, evidence: Evidence, said: str
) -> None:
    decision = decide(evidence, history, POLICY)
    assert decision.state is TrialState.FAILED and f"lost {said}" in decision.reason


def test_losses_with_everything_on_the_host_are_nobody_s_fault_until_they_are_ten() -> None:
    lost = Evidence(lost="gone", new_steps=False, together=True)

    def lost_before(times: int, *, alone: tuple[int, ...] = ()) -> Trial:
        found = trial(*[Cause.LOST] * times)
        for attempt in found.attempts:
            assert attempt.outcome is not None
            attempt.outcome = replace(attempt.outcome, together=attempt.number not in alone)
        return found

    assert decide(lost, lost_before(8), POLICY).state is TrialState.INTERRUPTED
    decision = decide(lost, lost_before(9), POLICY)
    assert decision.state is TrialState.FAILED and "lost 10 times" in decision.reason
    assert "10 of them with all that ran on its host" in decision.reason
    assert decide(replace(lost, together=False), lost_before(5), POLICY).state is TrialState.INTERRUPTED
    assert decide(replace(lost, together=False), lost_before(5, alone=(2, 4)), POLICY).state is TrialState.FAILED
    assert decide(replace(lost, saved=True), lost_before(9), POLICY).state is TrialState.INTERRUPTED
    node = Evidence(lost="no heartbeat", job_end=JobEnd.HOST_LOST, new_steps=False)
    assert decide(node, trial(*[Cause.LOST] * 1), POLICY).state is TrialState.INTERRUPTED
    assert decide(node, lost_before(5), POLICY).state is TrialState.INTERRUPTED


WHOLE = Evidence(
    stop_reason="user", terminated=True, exit_code=0, scores={"acc": 0.5}, reports=(Report(8, {}), Report(9, {}))
)


@pytest.mark.parametrize(
    ("evidence", "length", "state"),
    [
        (WHOLE, 9, TrialState.COMPLETE),
        (replace(WHOLE, acknowledged=True), 9, TrialState.COMPLETE),
        (replace(WHOLE, stop_reason="walltime"), 9, TrialState.COMPLETE),
        (replace(WHOLE, stop_reason="preempted", outside_signal=15), 9, TrialState.COMPLETE),
        (replace(WHOLE, stop_reason="", outside_signal=15), 9, TrialState.COMPLETE),
        (WHOLE, None, TrialState.INTERRUPTED),  # nobody knows how long such a training is
        (WHOLE, 19, TrialState.INTERRUPTED),  # the score of an early stop
        (WHOLE, 8, TrialState.INTERRUPTED),  # it is longer than the others: what they tell is not about it
        (replace(WHOLE, reports=()), 9, TrialState.INTERRUPTED),
        (replace(WHOLE, exit_code=75), 9, TrialState.INTERRUPTED),
        (replace(WHOLE, exit_code=None, signal=15), 9, TrialState.INTERRUPTED),
        (replace(WHOLE, scores={}), 9, TrialState.INTERRUPTED),
        (replace(WHOLE, scores={"acc": float("nan")}), 9, TrialState.FAILED),
        (replace(WHOLE, stop_reason="pruned"), 9, TrialState.PRUNED),
        (replace(WHOLE, stop_reason="timeout"), 9, TrialState.FAILED),
        (replace(WHOLE, stop_reason="hang"), 9, TrialState.INTERRUPTED),
    ],
)
def test_only_a_training_that_reached_the_last_step_of_all_has_ended_although_it_was_asked_to_stop(
    evidence: Evidence, length: int | None, state: TrialState
) -> None:
    assert decide(evidence, trial(), replace(POLICY, length=length)).state is state


@pytest.mark.parametrize(
    ("evidence", "values"),
    [
        (Evidence(exit_code=0, resumed=True), (0.7,)),
        (Evidence(exit_code=0, resumed=True, metrics={"loss": 1.0}), (0.7,)),
        (Evidence(exit_code=0, resumed=True, scores={"acc": 0.9}), (0.9,)),
        (Evidence(exit_code=0, resumed=False), None),  # it began from scratch, and scored nothing
        (Evidence(exit_code=0, resumed=True, traceback="Traceback …"), None),  # a wrapper that hides a crash
        (Evidence(exit_code=1, resumed=True), None),
        (Evidence(exit_code=0, resumed=True, stop_reason="user", terminated=True), None),
    ],
)
def test_a_resumed_attempt_with_nothing_left_to_do_ends_with_what_the_earlier_ones_reported(
    evidence: Evidence, values: tuple[float, ...] | None
) -> None:
    history = trial(Cause.STOPPED, Cause.LOST)
    first, second = (attempt.outcome for attempt in history.attempts)
    assert first is not None and second is not None
    history.attempts[0].outcome = replace(first, curves=(((8, 0.6), (9, 0.7)),))
    assert decide(evidence, history, POLICY).values == values
    history.attempts[1].outcome = replace(second, scores={"acc": 0.8}, part=1)
    assert decide(evidence, history, POLICY).values == values, "another part's"
    history.attempts[1].outcome = replace(second, scores={"acc": 0.8})
    assert decide(evidence, history, POLICY).values == (values if values != (0.7,) else (0.8,))
    history.anew_after = 2
    assert decide(evidence, history, POLICY).values == (values if evidence.scores else None)


def test_a_script_that_keeps_its_state_elsewhere_had_nothing_left_to_do_where_the_steps_say_so() -> None:
    history = trial(Cause.STOPPED, steps=(9,))
    assert history.attempts[0].outcome is not None
    history.attempts[0].outcome = replace(history.attempts[0].outcome, scores={"acc": 0.8})
    for length, state in ((9, TrialState.COMPLETE), (19, TrialState.FAILED), (None, TrialState.FAILED)):
        assert decide(Evidence(exit_code=0), history, replace(POLICY, length=length)).state is state


def test_losses_of_an_attempt_that_moved_on_are_not_counted_together() -> None:
    moved = Evidence(lost="its runner died", reports=(Report(7, {"acc": 0.1}),))
    assert decide(moved, trial(Cause.LOST, Cause.LOST, Cause.LOST), POLICY).state is TrialState.INTERRUPTED


def test_losses_before_an_attempt_that_saved_a_checkpoint_do_not_count() -> None:
    stuck = Evidence(lost="its runner died", new_steps=False)
    assert decide(stuck, trial(Cause.LOST, Cause.PREEMPTED, saved=(1, 2)), POLICY).state is TrialState.INTERRUPTED
    assert decide(stuck, trial(Cause.LOST, Cause.PREEMPTED, saved=(1,)), POLICY).state is TrialState.FAILED
    assert decide(replace(stuck, saved=True), trial(*[Cause.LOST] * 3), POLICY).state is TrialState.INTERRUPTED


def test_a_later_part_that_starts_at_step_0_again_moves_on_by_its_own_steps() -> None:
    history = trial(Cause.PART, Cause.LOST, Cause.LOST, steps=(19, 5, 8))
    for attempt, part in zip(history.attempts, (0, 1, 1), strict=True):
        assert attempt.outcome is not None
        attempt.outcome = replace(attempt.outcome, part=part)
    stuck = Evidence(lost="its runner died", new_steps=False)
    assert decide(stuck, history, POLICY).state is TrialState.INTERRUPTED


def test_starts_that_never_were_do_not_count_as_losses() -> None:
    lost = Evidence(lost="its runner died", new_steps=False)
    history = trial(Cause.LOST, Cause.NEVER_STARTED, Cause.NEVER_STARTED)
    assert decide(lost, history, POLICY).state is TrialState.INTERRUPTED


def test_a_person_s_retry_forgives_earlier_losses() -> None:
    lost = Evidence(lost="its runner died", new_steps=False)
    history = trial(Cause.LOST, Cause.LOST)
    history.retried_at_attempt = 2
    assert decide(lost, history, POLICY).state is TrialState.INTERRUPTED


def test_a_second_hang_fails() -> None:
    assert decide(Evidence(stop_reason="hang"), trial(Cause.HANG), POLICY).state is TrialState.FAILED


def test_a_transient_fault_is_tried_three_times() -> None:
    fault = Evidence(exit_code=1, tail=("429 Client Error: Too Many Requests",))
    assert decide(fault, trial(*[Cause.TRANSIENT] * 2), POLICY).state is TrialState.INTERRUPTED
    assert decide(fault, trial(*[Cause.TRANSIENT] * 3), POLICY).state is TrialState.FAILED


def test_retries_give_a_crashed_trial_further_attempts() -> None:
    policy = Policy(("acc",), retries=1)
    assert decide(Evidence(exit_code=1), trial(), policy).state is TrialState.INTERRUPTED
    assert decide(Evidence(exit_code=1), trial(Cause.CRASH), policy).state is TrialState.FAILED


def test_a_timed_out_trial_counts_by_its_last_report_only_where_that_is_set() -> None:
    timed_out = Evidence(stop_reason="timeout", signal=15, scores={"acc": 0.4})
    assert decide(timed_out, trial(), POLICY).state is TrialState.FAILED
    counted = decide(timed_out, trial(), Policy(("acc",), timeout_counts=True))
    assert (counted.state, counted.values) == (TrialState.COMPLETE, (0.4,))


def test_several_objectives_need_all_their_values() -> None:
    policy = Policy(("acc", "loss"))
    assert decide(Evidence(exit_code=0, scores={"acc": 1.0}), trial(), policy).cause is Cause.NO_SCORE
    assert decide(Evidence(exit_code=0, scores={"loss": 2.0, "acc": 1.0}), trial(), policy).values == (1.0, 2.0)


def test_equal_failures_have_equal_signatures_whatever_the_values() -> None:
    a, b = TRACEBACK.format(line=3, value=1.5), TRACEBACK.format(line=3, value=99)
    assert signature_of(a) == signature_of(b) != ""
    assert signature_of(a) != signature_of(TRACEBACK.format(line=4, value=1.5))
    assert signature_of("") == ""


def test_interrupted_trials_are_replaced_where_the_study_file_asks_for_new_ones() -> None:
    policy = Policy(("acc",), restart_interrupted=False)
    assert decide(Evidence(lost="its runner died"), trial(), policy).state is TrialState.FAILED
    assert decide(Evidence(never_started=True), trial(), policy).state is TrialState.INTERRUPTED
    crash = Evidence(exit_code=1)
    assert decide(crash, trial(), replace(policy, retries=1)).state is TrialState.INTERRUPTED, "retries are asked for"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.5, float("inf"), 0.5), "acc = inf at step 1"),
        ((0.5, float("-inf"), float("inf")), "acc = -inf at step 1"),
        (
            (float("inf"), 0.5, float("nan")),
            "acc = nan at step 2",
        ),  # what is not infinite but no number at all says more
        ((0.5, 1e308, -1e308), None),
        ((), None),
    ],
)
def test_where_a_training_diverged_is_its_first_nan_or_else_its_first_infinity(
    values: tuple[float, ...], expected: str | None
) -> None:
    reports = [Report(step, {"acc": value, "other": float("nan")}) for step, value in enumerate(values)]
    assert diverged_at(reports, ["acc"]) == expected
    assert diverged_at(reports, ["absent"]) is None


def test_a_crash_after_infinite_scores_says_where_they_began() -> None:
    reports = (Report(3, {"acc": 0.5}), Report(4, {"acc": float("inf")}))
    decision = decide(Evidence(exit_code=1, scores={"acc": float("inf")}, reports=reports), trial(), POLICY)
    assert (decision.cause, decision.signature) == (Cause.DIVERGED, "diverged")
    assert "acc = inf at step 4" in decision.reason
