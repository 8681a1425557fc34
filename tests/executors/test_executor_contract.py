"""Every executor keeps the contract of `outlast.executors.base`. The same tests run on a real cluster in `tests/slurm`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast._system.files import write_once
from outlast.errors import StorageError
from outlast.executors.base import Executor
from outlast.executors.local import LocalExecutor
from outlast.executors.slurm.controller import SlurmExecutor
from outlast.executors.slurm.listing import SlurmJobs
from outlast.executors.slurm.script import JobScript
from outlast.testing.executors import ExecutorContract, Lab
from outlast.testing.fake_slurm import LocalSlurm

pytestmark = pytest.mark.slow


class _Spoken(LocalExecutor):
    """Tells its runners what their markers say, so that they speak; puts on record what they say, and tells them so."""

    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        self._root = Path(marker).parent.parent
        super().submit(name, marker, log, told=told or Path(marker).read_text(), keep_fds=keep_fds)

    def poll(self) -> None:
        super().poll()
        for name, heard in self._lanes.heard().items():
            if heard.evidence is not None:
                trial, _, attempt = name.partition(".")
                exit_file = self._root / "trials" / trial / "attempts" / attempt / "exit.json"
                write_once(exit_file, json.dumps(heard.evidence.to_json()))
                self.settled([name])


class TestRunnersThatSpeak(ExecutorContract):
    def executor(self, lab: Lab) -> Executor:
        return _Spoken()


class TestLocalExecutor(ExecutorContract):
    def executor(self, lab: Lab) -> Executor:
        return LocalExecutor()

    def test_a_runner_that_cannot_be_started_is_said_so(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        executor, attempt = lab.executor(), lab.attempt()
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(StorageError, match="cannot start a runner"):
            executor.submit(attempt.name, attempt.marker, attempt.log)

    def test_a_machine_without_room_for_another_process_is_said_so_twice(self) -> None:
        script = (
            "import errno, os, socket\n"
            "from outlast.executors.fork_request import request; from outlast.runner.fork_server import serve\n"
            "def full(): raise OSError(errno.EAGAIN, 'no more processes')\n"
            "ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "if os.fork() == 0:\n"
            "    os.fork = full\n"
            "    ours.close()\n"
            "    os._exit(serve(theirs, lambda argv: 0))\n"
            "for _ in range(2):\n"
            "    try: request(ours, 'marker', 'log', ())\n"
            "    except OSError as error: print(error.strerror)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout == "Resource temporarily unavailable\n" * 2 and not done.stderr

    def test_submit_survives_the_end_of_its_fork_server(self, lab: Lab) -> None:
        executor = lab.executor()
        assert isinstance(executor, LocalExecutor)
        first = lab.begun(executor, 1)
        assert executor._fork_server is not None
        executor._fork_server.process.kill()
        executor._fork_server.process.wait()
        lab.begun(executor, 2)
        executor.poll()
        assert executor.ended(first.name) is False


class TestSlurmExecutorWithoutACluster(ExecutorContract):
    @pytest.fixture(autouse=True)
    def slurm(self) -> Iterator[LocalSlurm]:
        self.commands = LocalSlurm()
        yield self.commands
        self.commands.close()

    def executor(self, lab: Lab) -> Executor:
        def script(name: str, marker: str, log: str) -> JobScript:
            command = [sys.executable, "-m", "outlast.runner", marker]
            return JobScript(f"attempt {name}", f"trial_{name}", log, command, str(lab.paths.root))

        jobs = SlurmJobs(self.commands, every=2.0, now=fast)
        return SlurmExecutor(jobs, "outlast:1.2:", script, say=lambda _: None, now=fast)


def fast() -> float:
    """The pauses between two questions to SLURM are for people's clusters."""
    return time.monotonic() * 50


def test_the_contract_is_public_and_any_executor_can_be_held_against_it(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        ExecutorContract().executor(Lab(None, lambda lab: LocalExecutor()))  # type: ignore[arg-type]
