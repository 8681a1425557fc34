"""How a trial ends, over every combination of evidence and history: the first rule that fits decides."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.core.evidence import Evidence, JobEnd, Report
from outlast.core.faults import Policy, decide
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.core.symptoms import Symptom, signature_of, symptom_of, told_story

POLICY = Policy(objectives=("acc",))
ENDS = {
    "exit 0": {"exit_code": 0},
    "exit 1": {"exit_code": 1},
    "exit 75": {"exit_code": 75},
    "exit 130": {"exit_code": 130},
    "SIGTERM": {"signal": 15},
    "SIGKILL": {"signal": 9},
    "SIGSEGV": {"signal": 11},
    "no start": {"error": "Permission denied: train.py"},
    "lost": {"lost": "its runner died"},
}
STORIES = {
    "nothing": "",
    "crash": "ValueError: bad value",
    "GPU memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    "host memory": "MemoryError",
    "disk full": "OSError: [Errno 28] No space left on device: 'model.pt'",
    "transient": "urllib.error.HTTPError: HTTP Error 429: Too Many Requests",
}
STOPS = ("", "user", "pruned", "timeout", "hang", "walltime", "preempted", "diverged")
REACHED = ("not", "acknowledged", "terminated")
SCORES = {"none": {}, "finite": {"acc": 0.5}, "nan": {"acc": float("nan")}}
HISTORIES: dict[str, tuple[Cause, ...]] = {
    "none": (),
    "3 transient": (Cause.TRANSIENT,) * 3,
    "1 bad checkpoint": (Cause.BAD_CHECKPOINT,),
    "2 bad checkpoints": (Cause.BAD_CHECKPOINT,) * 2,
    "1 hang": (Cause.HANG,),
    "2 losses": (Cause.LOST, Cause.PREEMPTED),
}


@dataclass(frozen=True)
class Case:
    """One combination."""

    end: str
    story: str
    stop: str
    reached: str
    score: str
    done: bool
    resumed: bool
    moved: bool  # it saved a checkpoint
    history: str

    @property
    def asked(self) -> bool:
        """Whether a request to stop decides: it reached the training, or nobody can tell any more."""
        return bool(self.stop) and (self.reached != "not" or self.end in ("SIGTERM", "SIGKILL", "lost"))

    @property
    def crashed(self) -> bool:
        return self.end in ("exit 1", "SIGKILL", "SIGSEGV", "no start")

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            **ENDS[self.end], tail=tuple(STORIES[self.story].splitlines()), stop_reason=self.stop,
            acknowledged=self.reached == "acknowledged", terminated=self.reached == "terminated",
            scores=SCORES[self.score], done=self.done, resumed=self.resumed, new_steps=False, saved=self.moved,
        )  # fmt: skip

    @property
    def trial(self) -> Trial:
        found = Trial(0)
        for number, cause in enumerate(HISTORIES[self.history], 1):
            ended = AttemptEnded(0, number, "", TrialState.INTERRUPTED, cause)
            found.attempts.append(Attempt(number, "", outcome=ended))
        return found


COMPLETE, PRUNED, FAILED, INFEASIBLE, INTERRUPTED = (
    TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.INFEASIBLE, TrialState.INTERRUPTED,
)  # fmt: skip
When = Callable[[Case], bool]


def leaves(c: Case) -> bool:
    return c.done or c.end == "exit 0"


def third_loss(c: Case) -> bool:
    return c.history == "2 losses" and not c.moved


def preempted(c: Case) -> bool:
    return (c.asked and c.stop == "preempted") or c.end in ("exit 75", "exit 130", "SIGTERM")


ROWS: list[tuple[str, When, TrialState, Cause]] = [
    ("done, well", lambda c: c.done and c.score == "finite", COMPLETE, Cause.COMPLETED),
    ("done, no number", lambda c: c.done and c.score == "nan", FAILED, Cause.DIVERGED),
    ("done, no score", lambda c: c.done, FAILED, Cause.NO_SCORE),
    ("pruned", lambda c: c.stop == "pruned", PRUNED, Cause.PRUNED),
    ("timeout", lambda c: c.asked and c.stop == "timeout", FAILED, Cause.TIMEOUT),
    ("second hang", lambda c: c.asked and c.stop == "hang" and c.history == "1 hang", FAILED, Cause.HANG),
    ("hang", lambda c: c.asked and c.stop == "hang", INTERRUPTED, Cause.HANG),
    ("ended as diverged", lambda c: c.asked and c.stop == "diverged", FAILED, Cause.DIVERGED),
    ("walltime", lambda c: c.asked and c.stop == "walltime" and c.moved, INTERRUPTED, Cause.WALLTIME),
    ("no step fits", lambda c: c.asked and c.stop == "walltime", FAILED, Cause.WALLTIME),
    ("stopped", lambda c: c.asked and c.stop == "user", INTERRUPTED, Cause.STOPPED),
    ("lost again", lambda c: c.end == "lost" and not c.asked and third_loss(c), FAILED, Cause.LOST),
    ("lost", lambda c: c.end == "lost" and not c.asked, INTERRUPTED, Cause.LOST),
    ("preempted again", lambda c: preempted(c) and third_loss(c), FAILED, Cause.PREEMPTED),
    ("preempted", preempted, INTERRUPTED, Cause.PREEMPTED),
    ("no score", lambda c: leaves(c) and c.score == "none", FAILED, Cause.NO_SCORE),
    ("diverged", lambda c: leaves(c) and c.score == "nan", FAILED, Cause.DIVERGED),
    ("well", leaves, COMPLETE, Cause.COMPLETED),
    ("GPU memory", lambda c: c.story == "GPU memory", INFEASIBLE, Cause.GPU_OUT_OF_MEMORY),
    ("host memory", lambda c: c.story == "host memory", INFEASIBLE, Cause.HOST_OUT_OF_MEMORY),
    ("disk full", lambda c: c.story == "disk full", INTERRUPTED, Cause.DISK_FULL),
    ("transient", lambda c: c.story == "transient" and c.history != "3 transient", INTERRUPTED, Cause.TRANSIENT),
    ("crashed on what is no number", lambda c: c.score == "nan", FAILED, Cause.DIVERGED),
    (
        "bad checkpoint",
        lambda c: c.resumed and not c.moved and c.end in ("exit 1", "SIGSEGV")
        and c.history != "2 bad checkpoints" and c.story != "transient",
        INTERRUPTED, Cause.BAD_CHECKPOINT,
    ),
    ("crash", lambda c: c.crashed, FAILED, Cause.CRASH),
]  # fmt: skip


def cases() -> Iterator[Case]:
    flags = (False, True)
    for values in itertools.product(ENDS, STORIES, STOPS, REACHED, SCORES, flags, flags, flags, HISTORIES):
        case = Case(*values)
        if not case.moved or case.history in ("none", "2 losses"):  # where it can make a difference
            yield case


def test_every_combination_is_decided_as_the_table_says() -> None:
    seen: Counter[str] = Counter()
    for case in cases():
        name, _, state, cause = next(row for row in ROWS if row[1](case))
        decision = decide(case.evidence, case.trial, POLICY)
        assert (decision.state, decision.cause) == (state, cause), (name, case, decision.reason)
        assert decision.reason or decision.state is COMPLETE, case
        assert (decision.values is not None) == (decision.state is COMPLETE), case
        seen[name] += 1
    assert set(seen) == {name for name, *_ in ROWS}


def crash(**more: object) -> Evidence:
    return Evidence(**{"exit_code": 1, "resumed": True, "tail": ("EOFError: Ran out of input",), **more})  # type: ignore[arg-type]


def after(*causes: Cause, signature: str = "") -> Trial:
    found = Trial(0)
    for number, cause in enumerate(causes, 1):
        ended = AttemptEnded(0, number, "", TrialState.INTERRUPTED, cause, signature=signature)
        found.attempts.append(Attempt(number, "", outcome=ended))
    return found


@pytest.mark.parametrize("end", [{"exit_code": 0}, {"exit_code": 1, "done": True}])
def test_a_score_that_had_no_room_on_the_disk_is_no_fault_of_the_trial(end: dict[str, Any]) -> None:
    decision = decide(Evidence(**end, disk_full=True), Trial(0), POLICY)
    assert (decision.state, decision.cause) == (INTERRUPTED, Cause.DISK_FULL)
    scored = decide(Evidence(**end, disk_full=True, scores={"acc": 0.5}), Trial(0), POLICY)
    assert (scored.state, scored.values) == (COMPLETE, (0.5,))


def test_each_way_out_of_a_bad_checkpoint_is_tried_once() -> None:
    first = decide(crash(), after(Cause.PREEMPTED), POLICY)
    second = decide(crash(), after(Cause.PREEMPTED, Cause.BAD_CHECKPOINT), POLICY)
    third = decide(crash(), after(Cause.PREEMPTED, Cause.BAD_CHECKPOINT, Cause.BAD_CHECKPOINT), POLICY)
    assert "newest checkpoint is set aside and the one before tried" in first.reason
    assert "starts from scratch" in second.reason
    assert (third.state, third.cause) == (FAILED, Cause.CRASH)


@pytest.mark.parametrize(
    ("evidence", "trial"),
    [
        (crash(reports=(Report(3, {"acc": 0.5}),)), after(Cause.PREEMPTED)),
        (crash(saved=True), after(Cause.PREEMPTED)),
        (crash(resumed=False), after(Cause.PREEMPTED)),
        (crash(), after(Cause.CRASH, signature=signature_of("EOFError: Ran out of input"))),
    ],
    ids=["reported a step", "saved a checkpoint", "began from scratch", "died like that before"],
)
def test_a_checkpoint_is_not_to_blame_for(evidence: Evidence, trial: Trial) -> None:
    assert decide(evidence, trial, POLICY).cause is Cause.CRASH


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        (Evidence(signal=9, oom_killed=True), INFEASIBLE),
        (Evidence(exit_code=137, oom_killed=True), INFEASIBLE),
        (
            Evidence(exit_code=1, oom_killed=True, tail=("DataLoader worker (pid 5) is killed by signal: Killed. ",)),
            INFEASIBLE,
        ),
        (Evidence(exit_code=1, oom_killed=True, tail=("ValueError: of its own",)), FAILED),
        (Evidence(signal=9, host_oom=True, peak_memory=60, machine_memory=100), INFEASIBLE),
        (Evidence(signal=9, host_oom=True, peak_memory=5, machine_memory=100), INTERRUPTED),
        (Evidence(signal=9), FAILED),
    ],
)
def test_whose_doing_it_is_that_memory_ran_out(evidence: Evidence, state: TrialState) -> None:
    assert decide(evidence, Trial(0), POLICY).state is state


@pytest.mark.parametrize(
    ("symptom", "line"),
    [
        (Symptom.GPU_MEMORY, "torch.cuda.OutOfMemoryError: CUDA out of memory."),
        (Symptom.GPU_MEMORY, "torch.AcceleratorError: CUDA error: out of memory"),
        (Symptom.GPU_MEMORY, "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        (Symptom.GPU_MEMORY, "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
        (Symptom.GPU_MEMORY, "tensorflow.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape"),
        (Symptom.HOST_MEMORY, "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array"),
        (Symptom.HOST_MEMORY, "terminate called after throwing an instance of 'std::bad_alloc'"),
        (Symptom.HOST_MEMORY, "OSError: [Errno 12] Cannot allocate memory"),
        (Symptom.HOST_MEMORY, "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch."),
        (Symptom.DISK_FULL, "OSError: [Errno 122] Disk quota exceeded"),
        (Symptom.DISK_FULL, "RuntimeError: PytorchStreamWriter failed writing file data/3: file write failed"),
        (Symptom.DISK_FULL, "sqlite3.OperationalError: database or disk is full"),
        (Symptom.TRANSIENT, "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://…"),
        (Symptom.TRANSIENT, "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://…"),
        (Symptom.TRANSIENT, "httpx.HTTPStatusError: Server error '502 Bad Gateway' for url 'https://…'"),
        (Symptom.TRANSIENT, "urllib.error.HTTPError: HTTP Error 504: Gateway Timeout"),
        (Symptom.TRANSIENT, "OSError: [Errno 116] Stale file handle"),
        (Symptom.TRANSIENT, "OSError: [Errno 98] Address already in use"),
        (Symptom.TRANSIENT, "[rank0]:[E] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=12)"),
        (Symptom.TRANSIENT, "RuntimeError: CUDA error: uncorrectable ECC error encountered"),
        (None, "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://…"),
        (None, "ValueError: expected 429 rows, got 503"),
        (None, "RuntimeError: CUDA error: device-side assert triggered"),
    ],
)  # fmt: skip
def test_what_messages_of_the_frameworks_speak_of(symptom: Symptom | None, line: str) -> None:
    assert symptom_of(line) is symptom


def test_a_line_of_code_that_mentions_a_fault_is_none() -> None:
    text = (
        'Traceback (most recent call last):\n  File "train.py", line 3, in main\n'
        '    raise ValueError(f"CUDA out of memory? {x}")\n                     ^^^^\nValueError: 7\n'
    )
    assert symptom_of(text) is None


def test_a_traceback_that_was_survived_is_not_what_ended_the_training() -> None:
    told = "HTTPError: HTTP Error 429: Too Many Requests"
    retried = f'Traceback (most recent call last):\n  File "hub.py", line 3, in get\n{told}'
    later = ("epoch 7: acc=0.5", "epoch 8: acc=0.6")
    assert told_story(retried, later) == "\n".join(later)
    assert told_story(retried, (*later, told)) == retried
    evidence = Evidence(signal=11, traceback=retried, tail=later)
    assert decide(evidence, Trial(0), POLICY).cause is Cause.CRASH


JOB_ENDS = {
    JobEnd.CANCELLED: (INTERRUPTED, Cause.STOPPED),
    JobEnd.WALLTIME: (INTERRUPTED, Cause.WALLTIME),
    JobEnd.PREEMPTED: (INTERRUPTED, Cause.PREEMPTED),
    JobEnd.HOST_LOST: (INTERRUPTED, Cause.LOST),
    JobEnd.OUT_OF_MEMORY: (INFEASIBLE, Cause.HOST_OUT_OF_MEMORY),
}


@pytest.mark.parametrize("end", JOB_ENDS)
@pytest.mark.parametrize(
    "seen",
    [
        {"lost": "no heartbeat for 60 s"},
        {"signal": signal.SIGKILL},
        {"signal": signal.SIGTERM},
        {"exit_code": 143, "outside_signal": signal.SIGTERM},
        {"exit_code": 0, "stop_reason": "preempted", "terminated": True},  # it saved in good time, and left
        {"exit_code": 0, "stop_reason": "preempted", "acknowledged": True},
    ],
)
def test_the_scheduler_s_word_decides_why_others_ended_a_training(seen: dict[str, Any], end: JobEnd) -> None:
    evidence = Evidence(**seen, job_end=end, saved=True)
    decision = decide(evidence, Trial(0), POLICY)
    assert (decision.state, decision.cause) == JOB_ENDS[end]
    assert decide(replace(evidence, job_end=JobEnd.UNTOLD), Trial(0), POLICY).state is not TrialState.COMPLETE
