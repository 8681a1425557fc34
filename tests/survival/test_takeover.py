"""A coordinator that is stopped, superseded and woken again steps down and does no harm."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.survival import Lab, Verdict, verify
from lab.waiting import line_of, until
from outlast._system.processes import parent_of

pytestmark = pytest.mark.slow
_LEASE = 1.5

#: Stops the process before the second call of a function: what no file operation marks. The signal is the thread's own: sent to
#: the process, it may be taken by another thread, while this one goes on until that one has been given the processor.
_STOP = """
import signal, threading
from {module} import {owner} as owner
original, calls = owner.{name}, []
def hooked(*args, **kwargs):
    calls.append(1)
    if {after}:
        answer = original(*args, **kwargs)
    if len(calls) == {nth}:
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    return answer if {after} else original(*args, **kwargs)
owner.{name} = hooked
"""


def _before(module: str, owner: str, name: str, nth: int = 2) -> dict[str, Any]:
    return {"patch": _STOP.format(module=module, owner=owner, name=name, nth=nth, after=False)}


def _after(module: str, owner: str, name: str, nth: int = 2) -> dict[str, Any]:
    return {"patch": _STOP.format(module=module, owner=owner, name=name, nth=nth, after=True)}


def _at(match: str, nth: int = 1, later: int = 0) -> dict[str, Any]:
    return {"faults": {"role": "coordinator", "stop_on": {"match": match, "nth": nth, "later": later}}}


MOMENTS = {
    "before a ledger line": _at("append .*/ledger/.*", nth=4),
    "a ledger line written, not synced": _at("append .*/ledger/.*", nth=4, later=1),
    "a ledger line durable": _after("outlast.study.ledger", "Ledger", "append", nth=4),
    "between claim and seal": _at("append .*/ledger/.*", nth=1),
    "while an attempt is laid out": _at(r"write .*/trials/0001/attempts/1/params.*"),
    "before the marker appears": _at("rename .*/open/0001.1"),
    "right before the runner is started": _before("outlast.executors.local", "LocalExecutor", "submit"),
    "before a finished trial is put away": _at(r"write .*/trials/0001/\.trial\.json.*"),
    "while a finished trial is put away": _at("rename .*/trials/0001/.attempts"),
    "before its marker goes": _at("unlink .*/open/0001.1"),
    "before trials.csv is written": _at(r"write .*/\.trials\.csv.*", nth=2),
    "before trials.csv appears": _at("rename .*/trials.csv", nth=2),
    "before the best checkpoint's link appears": _at("rename .*/best_checkpoint"),
    "before a transaction of the index": _before("outlast.optimizer.index.index_sql", "Tables", "write", nth=1),
    "inside a transaction of the index": _after("outlast.optimizer.index.index_sql", "Tables", "write", nth=1),
    "before an old index is set aside": _before("outlast.optimizer.index", "index_build", "set_aside", nth=1),
    "while the index is built": _at("rename .*/study.db"),
    "right before a kept worker is given a trial": _before("outlast.executors.kept_workers", "KeptExecutor", "train"),
}
#: What is stopped while trials are of another kind: what then runs on in processes of theirs is another's to end, or to adopt.
_OF_OTHERS = {
    "process": ["right before the runner is started", "before a finished trial is put away"],
    "worker": ["a ledger line durable", "while an attempt is laid out", "before the marker appears",
        "right before the runner is started", "before a finished trial is put away"],
    "kept": ["before a ledger line", "a ledger line written, not synced", "a ledger line durable", "between claim and seal",
        "before a finished trial is put away", "before trials.csv appears", "right before a kept worker is given a trial"],
}  # fmt: skip
_CASES = [
    ("command", moment, wake) for moment in MOMENTS if "kept" not in moment for wake in ("meanwhile", "afterwards")
]
_CASES += [(isolation, moment, "meanwhile") for isolation, moments in _OF_OTHERS.items() for moment in moments]
_CASES += [("kept", moment, "while it trains") for moment in _OF_OTHERS["kept"][2::4]]


def _of_kept_workers(lab: Lab) -> list[int]:
    """Whose they are."""
    return [parent_of(pid) for pid in lab.processes() if b"kept_worker" in line_of(pid)]


def _await_silence(lab: Lab) -> None:
    until(lambda: time.time() - os.stat(lab.paths.lease).st_mtime > 0.7 * _LEASE, "its lease goes stale")


def _supersede(lab: Lab, moment: dict[str, Any], *, wake: str) -> tuple[Verdict, str, int]:
    first = lab.start(lease=_LEASE, **moment)
    until(lambda: first.stopped or first.poll() is not None, "the first coordinator stops")
    assert first.stopped, first.said
    _await_silence(lab)
    second = lab.start(lease=_LEASE)
    if wake == "meanwhile":
        until(lambda: len(list(lab.paths.ledger.glob("*.jsonl"))) == 2, f"the second takes over: {second.said}")
        time.sleep(0.05)
        first.signal(signal.SIGCONT)
    if wake == "while it trains":
        until(lambda: second.pid in _of_kept_workers(lab), lambda: f"the second has a worker: {second.said}")
        first.signal(signal.SIGCONT)
        first.wait()
    assert second.wait() == 0, second.said
    first.signal(signal.SIGCONT)
    code = first.wait()
    verdict = verify(lab, {}, trials=3, interruptions=2, set_aside=True)
    if wake == "while it trains" and any(len(trial.attempts) > 2 for trial in lab.study().trials.values()):
        verdict.fault("what the second trained was cut off by the first")
    return verdict, first.said, code


@pytest.mark.parametrize(("isolation", "moment", "wake"), _CASES)
def test_a_coordinator_that_was_stopped_and_superseded_steps_down(
    isolation: str, moment: str, wake: str, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(seconds=0.2 if wake == "while it trains" else 0.05, isolation=isolation)
    verdict, said, code = _supersede(lab, MOMENTS[moment], wake=wake)
    assert verdict.faults == [], said
    ended_before = "done: all 3 trials are finished" in said  # only files that are derived were left to write
    assert code == 4 or (code == 0 and ended_before), said
    assert ended_before or "took this study over" in said


@pytest.mark.parametrize("isolation", ["command", "worker", "process", "kept"])
def test_who_was_superseded_before_it_took_over_what_runs_leaves_it_to_its_successor(
    isolation: str, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(trials=1, isolation=isolation)
    lab.hold(0, 1)
    first = lab.start(lease=_LEASE, **_at("unlink .*/behind"))
    until(lambda: first.stopped, lambda: f"the first coordinator stops: {first.said}")
    _await_silence(lab)
    second = lab.start(lease=_LEASE)
    lab.wait_for_epoch(0, 1)
    first.signal(signal.SIGCONT)
    assert first.wait() == 4, first.said
    lab.let_go(0)
    assert second.wait() == 0, second.said
    assert verify(lab, {}, trials=1, interruptions=0, hits={}, set_aside=True).faults == [], second.said


def test_a_stopped_holder_is_not_superseded_before_its_lease_is_up(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(seconds=0.1)
    lab.hold(0, 1)
    first = lab.start()
    lab.wait_for_epoch(0, 1)
    first.signal(signal.SIGSTOP)
    lab.let_go(0)
    second = lab.run(code=4)
    assert f"pid {first.pid}" in second.said
    assert "outlast worker" in second.said
    first.signal(signal.SIGCONT)
    assert first.wait() == 0
    assert verify(lab, {}, trials=3, interruptions=0).faults == []


#: Dies in the place of putting the first trial away, as soon as the second has begun.
_DIES_BEHIND = """
import os, signal, time
from outlast.engine.coordinator.putting_behind import PuttingBehind as owner
def hooked(self, over, trial, evidence):
    while not os.path.exists("studies/lab/trials/0001/attempts/1/started.json"):
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGKILL)
owner.put = hooked
"""


def test_a_training_goes_on_whose_runner_had_served_a_trial_that_was_not_put_away(make_lab: Callable[..., Lab]) -> None:
    trains = 'test "$OUTLAST_TRIAL" = 0 || sleep 1.5; echo score=1'
    lab = make_lab(trials=2, command=["sh", "-c", trains, "sh", "${args}"])
    assert lab.start(patch=_DIES_BEHIND).wait() == -signal.SIGKILL
    assert not lab.paths.attempt(0, 1).exit.exists(), "its outcome is on record"
    assert lab.runner_of(0, 1) == lab.runner_of(1, 1)
    said = lab.run().said
    ended = [(trial.state.value, len(trial.attempts)) for trial in lab.study().trials.values()]
    assert ended == [("complete", 1)] * 2, said
    assert not any(lab.paths.open.iterdir())
