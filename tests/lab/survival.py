"""Small fast studies that are killed and started again, and the comparison with one that nobody touched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.comparison import Verdict, verify
from lab.study import TRAININGS, StudyFolder
from lab.waiting import state_of, until
from outlast._system.processes import identity_of
from outlast.config.load import load_study_file
from outlast.engine.hold.opening import open_study
from outlast.engine.record.recorded import study_paths

__all__ = [
    "ZYGOTE",
    "Command",
    "Lab",
    "Verdict",
    "Zygote",
    "begin",
    "reference_of",
    "verify",
]

#: The training of a command, as a function.
_FUNCTION = """
import os, runpy, sys
import outlast

def run(x):
    resume = ["--resume"] if os.environ.get("OUTLAST_RESUME") else []
    place = str(outlast.current_trial().checkpoint_dir)
    program, *said = {argv}
    sys.argv[:] = [program, *said, "--audit", "audit.jsonl", "--x", str(x), "--checkpoint-dir", place, *resume]
    runpy.run_path(program)
"""
ZYGOTE = Path(__file__).with_name("zygote.py")


class Zygote:
    """A process that forks commands of Outlast (`zygote.py`).

    Args:
        source: The folder that ``outlast`` is imported from, instead of the installed one.
    """

    def __init__(self, source: Path | None = None) -> None:
        env = {**os.environ, **({} if source is None else {"PYTHONPATH": str(source)})}
        program = [sys.executable, str(ZYGOTE)]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)
        self._process.stdout.close()


@dataclass
class Command:
    """One command of Outlast, running."""

    pid: int
    log: Path
    zygote: Zygote
    code: int | None = None  # negative: the signal that ended it

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.zygote.ask({"poll": self.pid})
        return self.code

    def wait(self, timeout: float = 120.0) -> int:
        until(lambda: self.poll() is not None, lambda: f"command {self.pid} ends; it said:\n{self.said}", timeout)
        assert self.code is not None
        return self.code

    def signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    @property
    def stopped(self) -> bool:
        return self.poll() is None and state_of(self.pid) == "T"

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Lab(StudyFolder):
    """A study, and the means to hurt it."""

    place: Path
    zygote: Zygote
    settings: dict[str, Any]
    epochs: int
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    commands: list[Command] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        place: Path,
        zygote: Zygote,
        *,
        trials: int = 3,
        epochs: int = 3,
        seconds: float = 0.02,
        parallel: int = 1,
        shadow: bool = False,
        fail_below: float = -1.0,
        isolation: str = "command",
        **more: Any,
    ) -> Lab:
        """A study file in `place`; `more` goes over it. With another `isolation` than a command's, a function trains the same."""
        place.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-S", "-E", str(TRAININGS / "survival.py"), "${args}", "--epochs", str(epochs),
            "--seconds", str(seconds),
            "--audit", "audit.jsonl", "--checkpoint-dir", "${checkpoint_dir}", "--fail-below", str(fail_below),
        ]  # fmt: skip
        settings: dict[str, Any] = {
            "name": "lab",
            "command": command + (["--shadow"] if shadow else []),
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": trials},
            "parallel": parallel,
            "sampler": {"name": "random", "seed": 7},
            "trial": {"resume_args": ["--resume"], "grace": "2s"},
        }
        if isolation != "command":
            (place / "training.py").write_text(_FUNCTION.format(argv=command[3:4] + command[5:9]))
            del settings["command"], settings["trial"]["resume_args"]
            settings |= {"function": "training:run", "isolation": isolation}
        lab = cls(place, zygote, settings, epochs)
        lab.write(**more)
        return lab

    def copy_from(self, other: Lab) -> None:
        """Take over the study of another lab as it is now. What goes while it is copied is left out."""
        try:
            shutil.copytree(other.place / "studies", self.place / "studies", symlinks=True)
        except shutil.Error as error:
            assert all("No such file" in why for _, _, why in error.args[0]), error
        for name in ("study.yaml", "audit.jsonl"):
            if (other.place / name).exists():
                shutil.copyfile(other.place / name, self.place / name)

    def leave_out_what_came_later(self) -> None:
        """Of a study that was copied while it ran: what it trained while the copying lasted is none of the copy's."""

        def reached(number: int) -> int:
            state = self.paths.trial(number).checkpoints / "state.json"
            known = number in self.study().trials
            return -1 if not known else 0 if not state.exists() else int(json.loads(state.read_text())["epoch"]) + 1

        lines = [line for line in self.audit if line["epoch"] <= reached(line["trial"])]
        (self.place / "audit.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    # -- commands -----------------------------------------------------------------------------------------------------

    def start(
        self,
        *arguments: str,
        faults: Mapping[str, Any] | None = None,
        lease: float | None = None,
        patch: str = "",
        judge: str = "",
    ) -> Command:
        """Start ``outlast ARGUMENTS`` (default: run study.yaml)."""
        env = {
            "LAB_MARK": self.mark,
            "OUTLAST_BACKOFF_SECONDS": "0.05",
            "OUTLAST_PLOTS": "0",  # drawn behind a search that has ended, they would be one that is left
            "OUTLAST_JUDGE_SECONDS": judge,
            "OUTLAST_OBSERVER": "outlast.testing.fault_injection:install_from_environment",
            "OUTLAST_FAULTS": "" if faults is None else json.dumps(faults),
        }
        if lease is not None:
            env["OUTLAST_LEASE_SECONDS"] = str(lease)
        log = self.place / f"command.{len(self.commands)}.out"
        run = list(arguments or ("run", "study.yaml"))
        request = {"run": run, "cwd": str(self.place), "env": env, "log": str(log), "patches": [patch] if patch else []}
        command = Command(self.zygote.ask(request), log, self.zygote)
        self.commands.append(command)
        return command

    def run(self, *arguments: str, code: int | None = 0, **more: Any) -> Command:
        """Run a command to its end and look at its exit code."""
        command = self.start(*arguments, **more)
        ended = command.wait()
        assert code is None or ended == code, f"exit {ended} instead of {code}:\n{command.said}"
        return command

    def hold(self, trial: int, epoch: int) -> None:
        """A training that comes to this epoch stays in it until `let_go`: what is done to it there is neither early nor late."""
        (self.place / f"held.{trial}.{epoch}").touch()

    def let_go(self, trial: int) -> None:
        for held in self.place.glob(f"held.{trial}.*"):
            held.unlink()

    # -- looking ------------------------------------------------------------------------------------------------------

    def runner_of(self, trial: int, attempt: int) -> int:
        """The pid of the runner that claimed an attempt."""
        claim = json.loads(self.paths.attempt(trial, attempt).started.read_text())
        return int(claim["pid"])

    def processes(self) -> list[int]:
        """Whatever still runs of this study: fork servers, runners, trainings and their descendants."""
        needle = f"LAB_MARK={self.mark}".encode()
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                environment = Path("/proc", name, "environ").read_bytes()
            except OSError:
                continue
            if needle in environment and identity_of(int(name)) is not None:
                found.append(int(name))
        return found

    def end(self) -> None:
        """End everything that was started, whatever state it is in."""
        for command in self.commands:
            if command.poll() is None:
                os.kill(command.pid, signal.SIGKILL)
                command.wait()
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


# -- small things ------------------------------------------------------------------------------------------------------


def begin(lab: Lab) -> None:
    """Create the study, and leave it: somebody wants it to be run, nobody holds it."""
    settings = load_study_file(str(lab.place / "study.yaml"))
    with open_study(study_paths(lab.folder, settings), settings):
        pass


def reference_of(place: Path, zygote: Zygote, trials: int) -> dict[int, float]:
    """The parameters that an uninterrupted run draws."""
    lab = Lab.make(place, zygote, trials=trials, epochs=1, seconds=0.0, parallel=2)
    lab.run()
    return {t.number: t.params["x"] for t in lab.study().trials.values()}
