"""Runners that are told their attempts over a socket: what is said, what is left in files, and whatever of both ends dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Raw

from outlast._system import line_socket
from outlast._system.line_socket import LineSocket
from outlast._system.processes import identity_of, is_running
from outlast.core.evidence import Evidence
from outlast.core.file_names import AttemptPaths, attempt_name
from outlast.executors.heard import EndRequest
from outlast.executors.local import LocalExecutor
from outlast.runner.lane import Lane
from outlast.runner.spec import RunnerSpec
from outlast.runner.supervise import SETTLES_AFTER
from outlast.study.attempts import Life, inspect, open_attempt
from outlast.study.layout import StudyPaths


@pytest.fixture
def ends() -> Iterator[tuple[LineSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ends = LineSocket(ours), theirs
    yield ends
    ends[0].close()
    theirs.close()


def test_a_line_that_its_writer_did_not_finish_is_none(ends: tuple[LineSocket, socket.socket]) -> None:
    reader, writer = ends
    writer.sendall(b'{"op": "claimed"}\n{"op": "ov')
    assert reader.heard() == [{"op": "claimed"}] and reader.open
    writer.close()
    assert reader.heard() == [] and not reader.open
    assert not reader.say({"op": "settled"})


def test_a_line_comes_in_pieces(ends: tuple[LineSocket, socket.socket]) -> None:
    reader, writer = ends
    heard = []
    for piece in (b'{"op": ', b'"stop"', b'}\n{"op"', b': "settled"}\n'):
        writer.sendall(piece)
        heard += reader.heard()
    assert heard == [{"op": "stop"}, {"op": "settled"}]


def test_nobody_waits_for_a_reader_that_is_stopped(ends: tuple[LineSocket, socket.socket]) -> None:
    writer, reader = ends[0], LineSocket(ends[1])
    lines = [{"lines": "x" * 50_000, "number": number} for number in range(40)]
    assert all(writer.say(line) for line in lines) and writer.waiting
    heard = []
    while len(heard) < len(lines):
        heard += reader.heard()
        writer.flush()
    assert heard == lines and not writer.waiting


def test_a_reader_that_is_stopped_for_too_long_is_done_without(
    ends: tuple[LineSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_socket, "_MOST_UNSENT", 1 << 20)
    told = [ends[0].say({"lines": "x" * 100_000}) for _ in range(40)]
    assert told[0] and not told[-1] and not ends[0].open


def test_descriptors_travel_with_their_message(ends: tuple[LineSocket, socket.socket]) -> None:
    writer, reader = ends[0], LineSocket(ends[1])
    read, write = os.pipe()
    assert writer.say({"op": "run", "fds": [write]}, [write])
    os.close(write)
    assert reader.heard() == [{"op": "run", "fds": [write]}]
    (theirs,) = reader.take_fds(1)
    os.write(theirs, b"!")
    os.close(theirs)
    assert os.read(read, 9) == b"!" and os.read(read, 9) == b"", "no copy is left"
    os.close(read)
    assert writer.say({"op": "run", "fds": [1]}, [1])
    assert reader.heard()
    reader.close()  # with the ones that nobody took


def test_names_that_are_no_utf_8_travel_as_any_other(ends: tuple[LineSocket, socket.socket]) -> None:
    writer, reader = ends[0], LineSocket(ends[1])
    name, wrong = os.fsdecode(b"caf\xe9"), json.dumps({"error": os.fsdecode(b"caf\xe9")})
    assert writer.say({"marker": name}) and writer.say({"evidence": Raw(wrong.encode()), "of": name})
    assert writer.say({"evidence": Raw(wrong.encode())})
    assert reader.heard() == [
        {"marker": name},
        {"evidence": {"error": name}, "of": name},
        {"evidence": {"error": name}},
    ]


@pytest.mark.parametrize("line", [b"{\n", b"3\n", b"\xff\n"])
def test_an_end_that_says_what_is_no_message_is_done_without(
    ends: tuple[LineSocket, socket.socket], line: bytes
) -> None:
    ends[1].sendall(line)
    assert ends[0].heard() == [] and not ends[0].open


def test_an_end_that_a_child_has_inherited_hangs_up_all_the_same(ends: tuple[LineSocket, socket.socket]) -> None:
    inherited, reader = os.dup(ends[0].fileno()), LineSocket(ends[1])
    ends[0].close()
    assert reader.heard() == [] and not reader.open
    os.close(inherited)


def test_a_request_that_comes_with_its_order_is_not_lost() -> None:
    ours, theirs = socket.socketpair()
    coordinator, lane = LineSocket(ours), Lane(theirs.detach())
    for name in ("0001.1", "0002.1"):
        coordinator.say({"op": "run", "name": name, "marker": "m", "log": "l", "told": "{}", "fds": []})
    coordinator.say({"op": "stop", "name": "0002.1", "reason": "user", "grace": 1.0})
    assert lane.next() and lane.asked is None
    assert lane.next() and lane.asked == {"reason": "user", "grace": 1.0}
    coordinator.close()
    assert lane.next() is None


def test_what_is_said_of_an_earlier_attempt_is_not_taken_for_this_one() -> None:
    ours, theirs = socket.socketpair()
    coordinator, lane = LineSocket(ours), Lane(theirs.detach())
    run = {"op": "run", "marker": "m", "log": "l", "told": "{}", "fds": []}
    coordinator.say({**run, "name": "0001.1"})
    first = lane.next()
    assert first is not None and first.name == "0001.1"
    coordinator.say({"op": "stop", "name": "0001.1", "reason": "user", "grace": 1.0})
    lane.look()
    assert lane.asked == {"reason": "user", "grace": 1.0}
    assert not lane.wait_settled(0.01), "a coordinator that is stopped"
    coordinator.say({**run, "name": "0002.1"})
    second = lane.next()
    assert second is not None and second.name == "0002.1" and lane.asked is None
    coordinator.say({"op": "settled", "name": "0001.1"})
    coordinator.say({"op": "stop", "name": "0001.1", "reason": "user", "grace": 1.0})
    lane.look()
    assert lane.asked is None and not lane.settled
    coordinator.close()
    assert lane.next() is None and not lane.open


class Talk:
    """A study folder, and an executor whose runners speak."""

    def __init__(self, place: Path) -> None:
        self.paths = StudyPaths.at(place / "study")
        self.paths.ledger.mkdir(parents=True)
        self.executor = LocalExecutor()
        self.evidence: dict[str, Evidence] = {}
        self.reports = b""
        self._trial = 0

    def begin(self, script: str, *arguments: str) -> tuple[str, AttemptPaths]:
        """Run a shell script as the next trial."""
        name, files, told = self.lay_out(script, *arguments)
        self.executor.submit(name, str(self.marker), str(files.runner_log), told=told)
        return name, files

    @property
    def marker(self) -> Path:
        """Of the attempt that was laid out last."""
        return self.paths.open_marker(self._trial, 1)

    def lay_out(self, script: str, *arguments: str) -> tuple[str, AttemptPaths, str]:
        """Open an attempt of the next trial, which nobody begins. Returns also what its marker says."""
        self._trial += 1
        files = self.paths.attempt(self._trial, 1)
        spec = RunnerSpec(
            trial=self._trial, attempt=1, argv=("sh", "-c", script, *arguments), cwd=str(self.paths.root),
            trial_dir=os.path.relpath(self.paths.trial(self._trial).folder, self.paths.root),
            attempt_dir=os.path.relpath(files.folder, self.paths.root),
            checkpoint_dir=os.path.relpath(self.paths.trial(self._trial).checkpoints, self.paths.root),
            objectives=({"name": "score", "goal": "maximize"},), grace=2.0, shared=True,
        )  # fmt: skip
        open_attempt(self.paths, self._trial, 1, told := spec.to_json(), {}, polled=False)
        return attempt_name(self._trial, 1), files, told

    def until_heard(self, fact: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 60
        while not fact():
            assert time.monotonic() < deadline, what
            self.executor.wait(0.05)
            for name, heard in self.executor.hear().items():
                self.reports += heard.reports
                if heard.evidence is not None:
                    self.evidence[name] = heard.evidence

    def over(self, name: str) -> Evidence:
        self.until_heard(lambda: name in self.evidence, f"{name} is over")
        return self.evidence[name]

    def short(self, script: str) -> tuple[str, AttemptPaths]:
        """Run trials until one was so short that its evidence need not be written: on a busy machine not each is."""
        for _ in range(50):
            name, files = self.begin(script)
            if self.over(name).seconds < SETTLES_AFTER:
                return name, files
            self.executor.settled([name])
            self.executor.forget(name)
        raise AssertionError("none was short")

    def run(self, script: str, *, spoilt: bool = False) -> tuple[Evidence, int]:
        """Run it to its end, put that on record. Returns its evidence and its runner's pid."""
        name, files = self.begin(script)
        evidence = self.over(name)
        pid = json.loads(files.started.read_text())["pid"]
        self.executor.settled([name])
        self.executor.forget(name, spoilt=spoilt)
        return evidence, pid


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    made = Talk(tmp_path)
    yield made
    made.executor.close()


@pytest.mark.slow
def test_a_runner_takes_one_attempt_after_the_other_and_carries_nothing_over(talk: Talk) -> None:
    look = "echo $OUTLAST_TRIAL; ls /proc/self/fd; pwd; echo $OUTLAST_TOKEN > token; echo score=$OUTLAST_TRIAL"
    first, runner = talk.run(f"dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; export LEFT=1; cd /; {look}")
    second, same = talk.run(f"echo left=$LEFT; {look}")
    third, again = talk.run(look)
    assert runner == same == again
    assert [dict(each.scores) for each in (first, second, third)] == [{"score": 1}, {"score": 2}, {"score": 3}]
    assert (second.tail[:2], third.tail[0]) == (("left=", "2"), "3")
    assert second.tail[2:-1] == third.tail[1:-1], "as many descriptors, the same folder"
    assert second.peak_memory < 32 * 2**20 < 64 * 2**20 < first.peak_memory
    assert Path(talk.paths.root, "token").read_text().endswith(":3.1;\n")
    assert not list(talk.paths.trials.glob("*/attempts/*/runner.log")), "nobody had anything to say"


@pytest.mark.slow
def test_what_is_on_record_in_time_is_not_written_and_what_is_not_is(talk: Talk) -> None:
    first, in_time = talk.short("echo score=1")
    talk.executor.settled([first])
    talk.executor.forget(first)
    _, files = talk.short("echo score=2")
    assert not in_time.exit.exists() and not files.exit.exists()
    assert inspect(files).life is Life.RUNNING, "whoever takes over waits for the evidence"
    talk.executor.close()  # before it could say that the outcome is on record
    deadline = time.monotonic() + 60
    while inspect(files).life is not Life.OVER:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert dict(inspect(files).evidence.scores) == {"score": 2}  # type: ignore[union-attr]
    assert not in_time.exit.exists()
    talk.executor = LocalExecutor()


@pytest.mark.slow
def test_a_runner_that_is_killed_before_its_outcome_is_on_record_is_not_missed(talk: Talk) -> None:
    name, files = talk.begin("echo score=1")
    evidence = talk.over(name)
    runner = inspect(files).runner
    assert runner is not None and talk.executor.speaks(name)
    os.kill(runner.pid, signal.SIGKILL)
    talk.until_heard(lambda: not talk.executor.speaks(name), "it has hung up")
    talk.executor.settled([name])
    talk.executor.forget(name)
    assert dict(evidence.scores) == {"score": 1} and talk.executor.ended(name) is None
    assert talk.run("echo score=2")[1] != runner.pid


@pytest.mark.slow
def test_a_runner_that_waits_or_trains_again_and_is_killed_is_replaced(talk: Talk) -> None:
    _, pid = talk.run("echo score=1")
    os.kill(pid, signal.SIGKILL)
    talk.until_heard(lambda: identity_of(pid) is None, "it is gone")
    name, files = talk.begin("sleep 60")
    talk.until_heard(lambda: files.started.exists(), "it was begun by another one")
    runner = inspect(files).runner
    assert runner is not None and runner.pid != pid
    os.kill(runner.pid, signal.SIGKILL)
    while is_running(runner):
        time.sleep(0.005)
    assert talk.executor.ended(name), "known without listening"
    talk.until_heard(lambda: not talk.executor.speaks(name), "it has hung up")
    assert inspect(files).life is Life.GONE
    talk.executor.forget(name, spoilt=True)
    assert talk.run("echo score=2")[0].exit_code == 0


@pytest.mark.slow
def test_a_spoilt_runner_gets_no_other_attempt(talk: Talk) -> None:
    _, first = talk.run("exit 3", spoilt=True)
    _, second = talk.run("echo score=1")
    assert first != second
    name, files = talk.begin("trap 'exit 0' TERM; echo score=1; while :; do sleep 0.01; done")
    talk.until_heard(lambda: files.log.exists() and files.log.read_bytes(), "its signal is waited for")
    talk.executor.pass_on(name, EndRequest("user", 30.0))
    talk.over(name)
    talk.executor.settled([name])
    talk.executor.forget(name)
    assert talk.run("echo score=1")[1] != second, "its training had to be told by a signal"


@pytest.mark.slow
def test_a_request_to_end_is_heard_at_once_and_points_are_told(talk: Talk) -> None:
    name, files = talk.begin("echo epoch 1 score=0.25; sleep 60")
    talk.until_heard(lambda: files.started.exists(), "it has begun")
    assert talk.executor.pass_on(name, EndRequest("user", 1.0, now=True))
    evidence = talk.over(name)
    assert (evidence.stop_reason, evidence.signal) == ("user", signal.SIGKILL)
    assert not talk.executor.pass_on("0099.1", EndRequest("user", 1.0)), "nobody runs that"


@pytest.mark.slow
def test_what_is_reported_is_told_while_the_training_goes_on(talk: Talk) -> None:
    line = '{"v": 1, "step": 1, "metrics": {"score": 0.5}}'
    reports, answer = "$OUTLAST_TRIAL_DIR/attempts/1/reports.jsonl", talk.paths.root / "answer"
    ask = f"echo '{line}' >> {reports}; until test -e {answer}; do sleep 0.01; done; rm {answer}"
    name, _ = talk.begin(f"sleep 0.2; for i in 1 2 3 4 5; do {ask}; done; echo score=1")
    for count in range(1, 6):
        talk.until_heard(lambda count=count: talk.reports.count(b"step") == count, f"line {count} is heard")  # type: ignore[misc]
        answer.touch()
        talk.until_heard(lambda: not answer.exists(), "it goes on")
    assert [report.step for report in talk.over(name).reports] == [1]


@pytest.mark.slow
def test_a_coordinator_that_hears_nothing_holds_up_no_training(talk: Talk) -> None:
    line = json.dumps({"v": 1, "step": 1, "metrics": {"score": 0.5}, "note": "x" * 1000})
    hundred = f"for k in $(seq 100); do echo '{line}'; done >> $OUTLAST_TRIAL_DIR/attempts/1/reports.jsonl"
    name, files = talk.begin(f"for i in 1 2 3 4 5 6 7; do {hundred}; sleep 0.12; done; echo score=1")
    deadline = time.monotonic() + 60
    while not files.exit.exists():  # nobody reads the socket, which has no room for as much
        assert time.monotonic() < deadline
        time.sleep(0.02)
    talk.over(name)
    assert talk.reports == files.reports.read_bytes() and len(talk.reports) > 700_000


@pytest.mark.slow
def test_an_order_that_the_socket_has_no_room_for_is_sent_as_it_is_read(talk: Talk) -> None:
    much = ["x" * 100_000] * 4
    _, runner = talk.run("echo score=1")
    os.kill(runner, signal.SIGSTOP)
    name, _ = talk.begin("echo score=$#", *much)
    os.kill(runner, signal.SIGCONT)
    assert dict(talk.over(name).scores) == {"score": 3}, "the first of four is the script's name"


@pytest.mark.slow
def test_a_runner_that_is_found_to_be_gone_by_what_it_is_told_is_watched_as_one_that_never_speaks(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = talk.begin("sleep 60")
    monkeypatch.setattr(line_socket, "_MOST_UNSENT", 1)
    assert not talk.executor.pass_on(name, EndRequest("user", 1.0))
    talk.executor.poll()
    assert name in talk.executor._watched
    talk.executor.cancel(name)


@pytest.mark.slow
def test_evidence_that_comes_late_is_not_left_to_another_study(talk: Talk) -> None:
    name, files = talk.begin("echo score=1")
    talk.over(name)
    runner = inspect(files).runner
    assert runner is not None
    talk.paths.root.rename(talk.paths.root.with_name("aside"))
    files.folder.mkdir(parents=True)
    files.alive.touch()
    talk.executor.close()  # before it could say that the outcome is on record
    deadline = time.monotonic() + 60
    while is_running(runner):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [path.name for path in files.folder.iterdir()] == ["alive"]
    talk.executor = LocalExecutor()


@pytest.mark.slow
def test_a_runner_whose_parent_waits_for_no_child_waits_for_its_training(talk: Talk) -> None:
    _, files, _ = talk.lay_out("echo score=1; exit 3")
    command = [sys.executable, "-m", "outlast.runner", str(talk.marker)]
    subprocess.run(command, timeout=120, check=True, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    evidence = inspect(files).evidence
    assert evidence is not None and evidence.exit_code == 3


@pytest.mark.slow
def test_what_there_is_no_room_for_is_told_all_the_same(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that was full before there was a reserve: neither it nor the evidence can be written."""
    monkeypatch.setenv("OUTLAST_OBSERVER", "outlast.testing.fault_injection:install_from_environment")
    refused = {"op": "write", "path": "*/attempts/1/.[er]*", "times": 1000, "errno": 28}
    monkeypatch.setenv("OUTLAST_FAULTS", json.dumps({"role": "runner", "fail_on": refused}))
    evidence, runner = talk.run("sleep 0.2; echo score=1")
    assert dict(evidence.scores) == {"score": 1}
    assert talk.run("echo score=2")[1] == runner, "it has taken no harm"
    assert not list(talk.paths.trials.glob("*/attempts/*/exit.json"))
