"""A worker's parts, each by itself: when it asks, what answers and ends mean for it, when it takes a turn, why it leaves."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast._system.clock import say_with_time
from outlast._system.job_environment import JobFacts
from outlast.engine.hold import asking as asking_module
from outlast.engine.hold.asking import Asking
from outlast.engine.hold.children import Child, Children, share
from outlast.engine.hold.turn_taking import TurnTaking
from outlast.engine.hold.workplace import Leaving, Workplace
from outlast.errors import LeaseLost, OutlastError, SegmentLost, StorageError, UsageError
from outlast.study import requests
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease


class Job:
    """The job that a worker is, on a cluster where tasks were lost, or were not."""

    def __init__(self, facts: JobFacts, *, lost: bool = False) -> None:
        self.facts, self.lost, self.looks = facts, lost, 0

    def something_was_lost(self) -> bool:
        self.looks += 1
        return self.lost

    def top_up(self, *_: object) -> None:
        """There is nothing to submit to."""

    def requeue(self) -> str:
        return "it goes back into the queue"


@pytest.fixture
def job() -> Job:
    return Job(JobFacts("7_1", "8", node="n1", gpus=("a", "b", "c", "d")))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Workplace]:
    """A workplace; what is said is kept in its `said`."""

    def workplace(**more: object) -> Workplace:
        said: list[str] = []
        made = Workplace(StudyPaths.at(tmp_path / "study"), said.append, **more)  # type: ignore[arg-type]
        made.said = said  # type: ignore[attr-defined]
        return made

    return workplace


# -- cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "places", "shares"),
    [
        ("abcd", 1, ["abcd"]),
        ("abcd", 2, ["ab", "cd"]),
        ("abcde", 2, ["ab", "cd"]),
        ("ab", 4, ["a", "a", "b", "b"]),
        ("a", 3, ["a", "a", "a"]),
        ("", 2, ["", ""]),
    ],
)
def test_cards_of_a_job_are_split_evenly(cards: str, places: int, shares: list[str]) -> None:
    assert ["".join(share(cards, place, places)) for place in range(places)] == shares


# -- ends -------------------------------------------------------------------------------------------------------------

DONE, ASKED, WALLTIME = {"exit_code": 0}, {"exit_code": 143}, {"exit_code": 143, "stop_reason": "walltime"}


@pytest.mark.parametrize(
    ("evidence", "traces", "pressed", "is_job", "finished", "leaves", "requeue", "waited_for"),
    [
        pytest.param(DONE, "marker", 0, False, 1, False, False, True, id="as far as it went"),
        pytest.param({"exit_code": 1}, "marker", 0, False, 1, False, False, True, id="failed"),
        pytest.param(ASKED, "marker", 0, False, 0, False, False, True, id="asked to stop, and goes on elsewhere"),
        pytest.param(WALLTIME, "marker", 0, True, 0, True, True, True, id="the job is out of walltime"),
        pytest.param(ASKED, "marker", 1, True, 0, True, False, False, id="the job was told to leave"),
        pytest.param(ASKED, "marker", 1, False, 0, True, False, True, id="Ctrl-C by hand"),
        pytest.param(None, "", 0, False, 1, False, False, True, id="put away already"),
        pytest.param(None, "marker", 0, False, 0, True, False, True, id="died before it began: no place for another"),
        pytest.param(None, "marker", 1, False, 0, True, False, True, id="sent away before it began"),
        pytest.param(None, "marker started", 0, False, 0, False, False, True, id="its runner died"),
    ],
)
def test_what_an_end_means_for_the_worker(
    make: Callable[..., Workplace], job: Job, evidence: dict[str, object] | None, traces: str, pressed: int, is_job: bool,
    finished: int, leaves: bool, requeue: bool, waited_for: bool,
) -> None:  # fmt: skip
    workplace = make(job=job if is_job else None)
    children, attempt = Children(workplace), workplace.paths.attempt(3, 1)
    if "marker" in traces:
        open_attempt(workplace.paths, 3, 1, "{}", {})
    if "started" in traces:
        attempt.started.write_text(json.dumps({"host": "n1", "pid": 1, "boot": "b", "start": "1"}))
    if evidence is not None:
        attempt.exit.write_text(json.dumps(evidence))
    for _ in range(pressed):
        workplace.leaving.press(requeue=False)
    children.running[3, 1] = over()
    assert children.reap() and not children.running
    assert (children.finished, workplace.leaving.begun, workplace.leaving.requeue) == (finished, leaves, requeue)
    assert ((3, 1) in children.ended) == waited_for
    given_up = evidence is None and "marker" in traces and not pressed
    assert attempt.exit.exists() == (evidence is not None or given_up)


def over() -> Child:
    """A process that has ended, and was not reaped."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return Child(pid, 0, 1.0, "/nowhere")


def test_an_attempt_is_waited_for_until_its_marker_is_gone(make: Callable[..., Workplace]) -> None:
    workplace = make()
    children = Children(workplace)
    open_attempt(workplace.paths, 3, 1, "{}", {})
    children.ended[3, 1] = time.monotonic()
    children.forget_taken_in()
    assert (3, 1) in children.ended
    children.ended[3, 1] -= 10.0  # whoever holds the study is slow; where the walltime is almost over that is too long
    children.forget_taken_in()
    assert (3, 1) in children.ended
    workplace.leaving.press(requeue=True)
    children.forget_taken_in()
    assert not children.ended
    children.ended[3, 1] = time.monotonic()
    workplace.paths.open_marker(3, 1).unlink()
    children.forget_taken_in()
    assert not children.ended


def test_reports_are_news_once(tmp_path: Path) -> None:
    child = Child(1, 0, 1.0, str(tmp_path / "reports"))
    assert not child.has_reported()
    (tmp_path / "reports").write_text("one")
    assert [child.has_reported(), child.has_reported()] == [True, False]


def test_a_log_on_a_full_disk_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    begun: list[str] = []
    monkeypatch.setattr("outlast.runner.fork_server.fork_runner", lambda marker, *_, **__: begun.append(marker) or 1)
    children = Children(Workplace(StudyPaths.at(tmp_path), full))
    children.start("0003.1", 1.0)
    assert (3, 1) in children.running and len(begun) == 1


def test_a_line_with_its_time_is_said_as_far_as_the_disk_allows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say_with_time("a task")
    assert re.fullmatch(r"....-..-..T..:..:..Z a task\n", capsys.readouterr().out)
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        say_with_time("another")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()


# -- asking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "finished", "more", "asks", "leaves"),
    [
        pytest.param(0, 0, {}, True, False, id="a free place"),
        pytest.param(1, 0, {}, False, False, id="none"),
        pytest.param(1, 0, {"parallel": 2}, True, False, id="one of two"),
        pytest.param(0, 2, {"most": 2}, False, True, id="as many as it may"),
        pytest.param(1, 1, {"most": 2, "parallel": 2}, False, False, id="the last one runs still"),
        pytest.param(0, 1, {"left": 59.0}, False, True, id="too little walltime for another"),
        pytest.param(0, 0, {"left": 59.0}, True, False, id="the first one in any case"),
        pytest.param(0, 1, {"left": 600.0}, True, False, id="walltime enough"),
    ],
)
def test_when_it_asks_for_another_trial(
    make: Callable[..., Workplace], running: int, finished: int, more: dict[str, object], asks: bool, leaves: bool
) -> None:
    left = more.pop("left", None)
    workplace = make(**more, job=Job(JobFacts("7_1", "8", node="n1", gpus=("a", "b"), seconds=left)) if left else None)
    children = Children(workplace)
    children.running, children.finished = {(at, 1): Child(1, at, 1.0, "") for at in range(running)}, finished
    asking = Asking(workplace, children)
    assert asking.ask() == asking.waits == asks and workplace.leaving.begun == leaves
    found = requests.pending(workplace.paths)
    assert len(found) == asks
    if asks and left:
        assert (found[0].content["job"], found[0].content["gpus"]) == ("7_1", ["n1:a", "n1:b"])


def test_a_worker_that_was_asked_to_leave_while_it_reckons_leaves(make: Callable[..., Workplace]) -> None:
    class Told(JobFacts):
        """Its signal comes in the middle."""

        def seconds_left(self) -> float | None:
            workplace.leaving.press(requeue=False)
            return None

    workplace = make(job=Job(Told("7_1", "8")), most=1, parallel=2)
    children = Children(workplace)
    children.running[0, 1] = Child(1, 0, 1.0, "")
    assert not Asking(workplace, children).ask() and workplace.leaving.begun


def answered(asking: Asking, paths: StudyPaths, **answer: object) -> None:
    """Ask, and have it answered so."""
    assert asking.ask() and not asking.read_answer()
    requests.answer(paths, requests.pending(paths)[0], **answer)
    assert asking.read_answer() and not asking.waits


def test_what_an_answer_means(make: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch) -> None:
    workplace = make()
    asking = Asking(workplace, Children(workplace))
    answered(asking, workplace.paths, wait=0.0, judges=True, lacking="only 0.4 MB are free")
    answered(asking, workplace.paths, wait=0.0, judges=False, lacking="only 0.4 MB are free")
    assert workplace.said == ["only 0.4 MB are free: no trial begins before there is room"]  # type: ignore[attr-defined]
    assert not workplace.leaving.begun and not asking.judges
    monkeypatch.setattr(asking_module, "_NO_ROOM_FOR", -1.0)
    answered(asking, workplace.paths, wait=0.0, lacking="only 0.4 MB are free")
    assert workplace.leaving.begun, "a machine that stands idle for long is left to others"
    workplace = make()
    asking = Asking(workplace, Children(workplace))
    answered(asking, workplace.paths, wait=60.0)
    assert not asking.ask() and not workplace.leaving.begun
    workplace = make()
    asking = Asking(workplace, Children(workplace))
    answered(asking, workplace.paths, done=True)
    assert workplace.leaving.begun and not asking.ask()


def test_a_request_that_a_disk_refused_is_laid_out_again(make: Callable[..., Workplace]) -> None:
    workplace = make()
    asking = Asking(workplace, Children(workplace))
    workplace.paths.root.mkdir()
    workplace.paths.requests.write_text("no folder can be made here")
    with pytest.raises(OSError):
        asking.ask()
    workplace.paths.requests.unlink()
    assert not asking.ask() and len(requests.pending(workplace.paths)) == 1


# -- turns ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_wants_nothing_touches_no_lease(make: Callable[..., Workplace]) -> None:
    workplace = make()
    children = Children(workplace)
    children.running[0, 1] = Child(1, 0, 1.0, "")
    assert not TurnTaking(workplace, Asking(workplace, children), children).take()
    assert not workplace.paths.root.exists()


@pytest.mark.parametrize(
    ("lost", "others_looked", "looks", "due"),
    [(True, False, 1, True), (False, False, 1, False), (True, True, 0, False)],
)
def test_one_task_looks_for_lost_ones_on_behalf_of_all(
    make: Callable[..., Workplace], job: Job, monkeypatch: pytest.MonkeyPatch, lost: bool, others_looked: bool, looks: int,
    due: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("OUTLAST_LOOK_SECONDS", "0")
    job.lost, workplace = lost, make(job=job)
    workplace.paths.jobs.mkdir(parents=True)
    children = Children(workplace)
    children.running[0, 1] = Child(1, 0, 1.0, "")
    turns = TurnTaking(workplace, Asking(workplace, children), children)
    if others_looked:
        monkeypatch.setenv("OUTLAST_LOOK_SECONDS", "300")
        turns._look_at = 0.0
        (workplace.paths.jobs / "looked").touch()
    assert turns._is_due() == due and job.looks == looks


@pytest.mark.parametrize(("error", "is_borne"), [(LeaseLost("quicker"), True), (SegmentLost("cut"), False)])
def test_a_turn_that_somebody_else_was_quicker_to_take_is_theirs(
    make: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch, error: OutlastError, is_borne: bool
) -> None:
    def take_turn(_folder: object, lease: Lease, *_: object, **__: object) -> None:
        lease.release()
        raise error

    monkeypatch.setattr("outlast.engine.hold.turn.take_turn", take_turn)
    workplace = make()
    workplace.paths.ledger.mkdir(parents=True)
    children = Children(workplace)
    children.ended[3, 1] = time.monotonic()
    turns = TurnTaking(workplace, Asking(workplace, children), children)
    with contextlib.nullcontext() if is_borne else pytest.raises(SegmentLost):
        assert turns.take()


def test_a_turn_that_cannot_be_loaded_gives_the_lease_back(
    make: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace = make()
    children = Children(workplace)
    children.ended[3, 1] = time.monotonic()
    turns = TurnTaking(workplace, Asking(workplace, children), children)
    with monkeypatch.context() as patch, pytest.raises(ImportError):
        patch.setitem(sys.modules, "outlast.engine.hold.turn", None)
        turns.take()
    assert not workplace.paths.lease.exists()


# -- leaving ----------------------------------------------------------------------------------------------------------

PASSES, STAYS = StorageError("the disk is full"), UsageError("this machine lacks base.yaml")


@pytest.mark.parametrize(
    ("errors", "running", "fails", "said"),
    [
        pytest.param([PASSES, PASSES], False, None, ["the disk is full; trying again"], id="said once"),
        pytest.param([OSError(28, "No space left on device", "f")], True, None, 1, id="what a disk says, in our words"),
        pytest.param([STAYS], False, STAYS, [], id="raised: nothing need be said"),
        pytest.param(
            [STAYS], True, STAYS, ["this machine lacks base.yaml; leaving once what runs here has ended"],
            id="what runs here is not to blame",
        ),
    ],
)  # fmt: skip
def test_what_a_worker_bears(
    errors: list[OutlastError | OSError], running: bool, fails: OutlastError | None, said: list[str] | int
) -> None:
    heard: list[str] = []
    leaving = Leaving(heard.append)
    for error in errors:
        leaving.bear(error, running=running)
    assert leaving.failure is fails and leaving.begun == (fails is not None)
    assert len(heard) == said if isinstance(said, int) else heard == said


def test_a_disk_that_stays_away_ends_an_idle_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.engine.hold.workplace._REFUSED_FOR", -1.0)
    leaving = Leaving(lambda text: None)
    leaving.bear(PASSES, running=True)
    assert leaving.failure is None
    leaving.bear(PASSES, running=False)
    assert leaving.failure is PASSES
