"""Studies of eight trials some of which suffer a fault, run by the real command in this process, and what must hold of them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.study import TRAININGS, StudyFolder
from lab.waiting import until
from outlast._system.processes import identity_of
from outlast.cli.main import run_cli
from outlast.core.records import AttemptEnded, AttemptOpened, Trial, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.study.segments import read_ledger

SCRIPT = TRAININGS / "suffering.py"
TRIALS = 8
SLOTS = 2
MARK = "FAULT_LAB_MARK"


@dataclass
class FaultLab(StudyFolder):
    """One study in a folder of its own."""

    place: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        self.monkeypatch.chdir(self.place)
        self.monkeypatch.setenv(MARK, self.mark)
        self.monkeypatch.setenv("OUTLAST_BACKOFF_SECONDS", "0.02")

    @property
    def audit_path(self) -> Path:
        return self.place / "audit"

    def write_study_file(
        self, fault: str, sick: Sequence[int], *, times: int | None = None, done: bool = False, **more: Any
    ) -> None:
        """A study of eight trials of ``suffering.py``; `more` goes over it."""
        command = [
            sys.executable, "-S", "-E", str(SCRIPT), "${args}", "--checkpoint-dir", "${checkpoint_dir}", "--fault", fault,
            "--sick", ",".join(map(str, sick)), "--coordinator", str(os.getpid()), "--audit", str(self.audit_path),
            "--healed", str(self.place / "healed"),
        ]  # fmt: skip
        command += [] if times is None else ["--times", str(times)]
        command += ["--done"] if done else []
        self.settings = {
            "name": "lab",
            "command": command,
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": TRIALS},
            "parallel": SLOTS,
            "sampler": {"name": "random", "seed": 7},
            **more,
            "trial": {"resume_args": ["--resume"], "grace": "5s", **more.get("trial", {})},
        }
        self.write()

    def heal(self) -> None:
        """Mend the script: no trial suffers any more."""
        (self.place / "healed").touch()

    def outlast(self, *arguments: str, code: int = 0) -> str:
        """Run a command of Outlast to its end. Returns what it said."""
        ended, said = self.outlast_code(*arguments)
        assert ended == code, f"exit {ended} instead of {code}:\n{said}"
        return said

    def outlast_code(self, *arguments: str) -> tuple[int, str]:
        """Run a command of Outlast to whatever end. Returns its exit code and what it said."""
        self.capsys.readouterr()
        ended = run_cli(list(arguments))
        return ended, "".join(self.capsys.readouterr())

    def run(self, *, code: int = 0) -> str:
        return self.outlast("run", "study.yaml", code=code)

    # -- looking ------------------------------------------------------------------------------------------------------

    def causes(self, number: int) -> list[str]:
        """What each attempt of a trial ended for."""
        return [outcome.cause.value for outcome in self.trial(number).ended]

    def processes(self) -> list[int]:
        """Whatever still runs of this study."""
        needle = f"{MARK}={self.mark}".encode()
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if needle in _environment(pid)]
        if self.audit_path.exists():  # processes that took everything off
            found += [pid for pid in map(int, self.audit_path.read_text().split()) if _is_stubborn(pid)]
        return sorted({pid for pid in found if pid != os.getpid() and identity_of(pid) is not None})

    def end(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self, expected: Mapping[int, tuple[TrialState, Cause]], *, trials: int | None = None) -> None:
        """The study is done with its exact budget; these trials ended like this, all others well; nothing is lost or left.

        Args:
            expected: Trial → state and cause.
            trials: In all; by default as many as there are with those that do not count.
        """
        study = self.study()
        ended = {number: (trial.state, trial.cause) for number, trial in study.trials.items()}
        well = dict.fromkeys(ended, (TrialState.COMPLETE, Cause.COMPLETED))
        assert ended == {**well, **expected}
        counting = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE)
        assert sum(study.counts()[state] for state in counting) == TRIALS
        uncounted = sum(state not in counting for state, _ in expected.values())
        assert sorted(study.trials) == list(range(trials or TRIALS + uncounted))
        assert study.ended is not None and study.ended.state == "done"
        self._check_ledger()
        self.check_no_orphans()
        for trial in study.trials.values():
            self._check_files(trial)

    def check_no_orphans(self) -> None:
        until(
            lambda: not self.processes(), lambda: f"{self.processes()} end", 60.0
        )  # runners that have left their evidence

    def _check_ledger(self) -> None:
        """No number twice; every decision that is not plain success has its reason."""
        events = list(read_ledger(self.paths.ledger).events)
        created = Counter(event.trial for event in events if isinstance(event, TrialCreated))
        assert max(created.values()) == 1
        for trial in self.study().trials.values():
            for outcome in trial.ended:
                assert outcome.reason or outcome.cause is Cause.COMPLETED

    def check_slots(self, sick: Sequence[int]) -> None:
        """The slots in which these trials suffered were used again, if enough was left to do.

        Only the study's first trials that are well always wait for a slot: a retry may wait for its time, and the
        trial in place of a failed one is not there before.
        """
        events = list(read_ledger(self.paths.ledger).events)
        for at, ended in enumerate(events):
            if isinstance(ended, AttemptEnded) and ended.trial in sick:
                slot = next(a.slot for a in self.trial(ended.trial).attempts if a.number == ended.attempt)
                later = [event for event in events[at:] if isinstance(event, AttemptOpened)]
                waiting = {event.trial for event in later if event.trial < TRIALS and event.trial not in sick}
                assert len(waiting) < SLOTS or slot in {event.slot for event in later}

    def _check_files(self, trial: Trial) -> None:
        files = self.paths.trial(trial.number)
        names = {entry.name for entry in files.folder.iterdir()} - {"checkpoints"}
        wanted = {"trial.json", "output.log"}
        if trial.state is TrialState.FAILED:
            wanted.add("error.log")
            text = files.error_log.read_text()
            last = trial.last
            assert last is not None
            assert text.startswith(f"trial: {trial.number}\ntime: {last.at}\ncause: {last.cause}\nreason: ")
        assert wanted <= names and len(names) + 1 <= 4
        assert list(self.paths.open.iterdir()) == []


def _environment(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "environ").read_bytes()
    except OSError:
        return b""


def _is_stubborn(pid: int) -> bool:
    try:
        return b"signal.SIG_IGN" in Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return False
