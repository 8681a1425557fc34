"""A campaign that is hurt: one study broken from the start, one that breaks midway, a supervisor killed, a coordinator stopped.

    python -m lab.campaign [--trials 600] [--parallel 4] [--seconds 0.02] [--seed N]

The exit code is 0 if every other study finished exactly, and every look on the way agreed with the folders.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.comparison import Verdict, verify
from lab.study import TRAININGS, lines_of
from lab.survival import Lab
from lab.waiting import until
from outlast._system.tokens import processes_with
from outlast.core.budget import counted
from outlast.engine.record.look_many import ManyLooker
from outlast.monitor.overview import Overview
from outlast.study.supervision import Supervision, live_supervision, read_supervision

__all__ = ["CampaignLab"]

#: Fails as soon as somebody has put the file `poison` there.
_BRITTLE = (
    "import os, sys, time; time.sleep(0.1); sys.exit('poisoned') if os.path.exists('poison') else print('score: 0.5')"
)
#: Whoever is told: puts on record when, and what.
_TOLD = (
    "import json, sys, time; "
    "print(json.dumps({**json.load(sys.stdin), 'told_at': time.time()}), file=open('told.jsonl', 'a'))"
)


@dataclass
class _Member(Lab):
    """A study of the campaign that is to finish exactly."""

    name: str = ""

    @property
    def folder(self) -> Path:
        return self.place / "studies" / "camp" / self.name

    @property
    def audit(self) -> list[dict[str, Any]]:
        return lines_of(self.place / f"{self.name}.jsonl")


@dataclass
class CampaignLab:
    """A campaign of `good` studies, one that cannot start (`broken`) and one that is brittle (`half`), and means to hurt it.

    Attributes:
        trials: Of each study.
        pace: Seconds before a supervisor begins a dead coordinator again.
    """

    place: Path
    good: tuple[str, ...] = ("share", "joint")
    trials: int = 30
    seconds: float = 0.08
    parallel: int = 3  # of all studies together
    pace: float = 0.02
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    commands: list[subprocess.Popen[bytes]] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        half = {
            "command": [sys.executable, "-S", "-E", "-c", _BRITTLE, "${args}"],
            "budget": {"trials": 10_000, "max_failures": 3},
        }
        studies: dict[str, Any] = {name: {"command": self._command(name)} for name in self.good}
        studies |= {"half": half, "broken": {"metric": {"name": "score", "goal": "upwards"}}}
        base = {
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": self.trials},
            "sampler": {"name": "random", "seed": 7},
            "trial": {"resume_args": ["--resume"], "grace": "2s"},
            "parallel": self.parallel,
        }
        notify = {"command": [sys.executable, "-S", "-E", "-c", _TOLD]}
        campaign = {"parallel": self.parallel, "notify": notify, "base": base, "studies": studies}
        (self.place / "camp.yaml").write_text(json.dumps(campaign))

    def _command(self, name: str) -> list[str]:
        training = [sys.executable, "-S", "-E", str(TRAININGS / "survival.py"), "${args}", "--epochs", "1"]
        audit = ["--audit", f"{name}.jsonl", "--checkpoint-dir", "${checkpoint_dir}"]
        return [*training, "--seconds", str(self.seconds), *audit]

    # -- commands -----------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self.place / "studies" / "camp"

    @property
    def env(self) -> Mapping[str, str]:
        often = {"OUTLAST_RESTART_SECONDS": str(self.pace), "OUTLAST_TELL_SECONDS": "1"}
        return {**os.environ, "LAB_MARK": self.mark, **often}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin ``outlast ARGUMENTS``, by default to run the campaign."""
        with open(self.place / "run.out", "ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "outlast", *(arguments or ("run", "camp.yaml"))], cwd=self.place, env=self.env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self.commands.append(process)
        return process

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        argv = [sys.executable, "-m", "outlast", *arguments]
        return subprocess.run(
            argv, cwd=self.place, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )

    @property
    def said(self) -> str:
        return (self.place / "run.out").read_text(errors="replace")

    @property
    def log(self) -> str:
        path = self.folder / "campaign.log"
        return path.read_text() if path.exists() else ""

    @property
    def told(self) -> list[dict[str, Any]]:
        """What people were told, in order."""
        return lines_of(self.place / "told.jsonl")

    def supervision(self) -> Supervision | None:
        return live_supervision(self.folder / "supervisor.json")

    def await_running(self, process: subprocess.Popen[bytes], *names: str) -> Supervision:
        """Wait until this supervisor has these studies in hand."""

        def there() -> Supervision | None:
            found = self.supervision()
            if found is None or found.process.pid != process.pid:
                return None
            running = [each.study for each in found.charges if each.condition == "running"]
            return found if set(names) <= set(running) else None

        found = until(there, lambda: f"{names} run; it said:\n{self.said}\n{self.log}")
        assert found is not None
        return found

    def count(self, name: str) -> int:
        """Trials of a study that count by now."""
        study = self.member(name).study()
        return counted(study, ("complete", "pruned", "infeasible"))

    def member(self, name: str) -> _Member:
        settings: dict[str, Any] = {"name": name}
        return _Member(self.place, None, settings, 1, self.mark, [], name)  # type: ignore[arg-type]

    def coordinator(self, name: str) -> int:
        """The pid of a study's coordinator."""
        found = read_supervision(self.folder / "supervisor.json")
        charge = None if found is None else found.of(name)
        assert charge is not None and charge.process is not None
        return charge.process.pid

    # -- looking ------------------------------------------------------------------------------------------------------

    def look(self) -> Overview:
        """Look at all of it, and hold what is seen against the folders."""
        before = {name: self.count(name) for name in self.good}
        found = ManyLooker(self.folder).look()
        self.looks += 1
        seen = {sight.name: sight.snapshot for sight in found.sights}
        for name, least in before.items():
            snapshot = seen[name]
            if snapshot is None:  # not begun yet
                assert least == 0, name
                continue
            assert least <= snapshot.counted <= self.count(name), (name, least, snapshot.counted)
            reached = {each.percent for each in snapshot.milestones if each.reached}
            should = {each.percent for each in snapshot.milestones if snapshot.counted >= each.trials}
            assert reached == should, (name, snapshot.counted, snapshot.milestones)
        assert found.counted == sum(each.counted for each in found.snapshots)
        return found

    def keep_looking(self, fact: Callable[[], bool], what: str) -> None:
        """Wait for a fact, looking all the while."""

        def looked() -> bool:
            if (self.folder / "campaign.json").exists():
                self.look()
            return fact()

        until(looked, lambda: f"{what}; it said:\n{self.said}\n{self.log}", 600.0)

    def verify(self, name: str) -> Verdict:
        """Whether a study finished exactly."""
        return verify(self.member(name), {}, trials=self.trials, interruptions=0)

    def close(self) -> None:
        """End what still runs."""
        for pid in processes_with(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.commands:
            process.wait()


def hurt(lab: CampaignLab, chance: random.Random) -> int:
    """Two supervisors killed, one coordinator stopped, one killed, one study poisoned. Returns the last one's exit code."""
    names = (*lab.good, "half")
    run = lab.start()
    lab.await_running(run, *names)
    for part in (0.05, 0.1):
        lab.keep_looking(lambda part=part: all(lab.count(each) >= part * lab.trials for each in lab.good), "trials end")
        run.kill()
        run.wait()
        time.sleep(chance.random() * 0.3)  # the coordinators go on
        run = lab.start()
        lab.await_running(run, *names)
    (lab.place / "poison").touch()
    os.kill(lab.coordinator(lab.good[0]), signal.SIGSTOP)
    os.kill(lab.coordinator(lab.good[1]), signal.SIGKILL)
    lab.keep_looking(lambda: run.poll() is not None, "the campaign ends")
    until(lambda: not list(processes_with(lab.mark)), "whoever tells has told, and leaves", 60.0)
    return int(run.returncode)


def main() -> None:
    """Run it large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        lab = CampaignLab(Path(place), trials=asked.trials, seconds=asked.seconds, parallel=asked.parallel)
        began = time.monotonic()
        try:
            code = hurt(lab, random.Random(asked.seed))
            print(lab.log)
            verdicts = {name: lab.verify(name) for name in lab.good}
        finally:
            lab.close()
        for name, verdict in verdicts.items():
            print(f"{name}: {'exact' if not verdict.faults else verdict.faults}")
        for each in lab.told:
            print(f"told: {each.get('study', '')}: {each['title']}")
        print(f"exit code {code}, {lab.looks} looks agreed with the folders, {time.monotonic() - began:.0f} s")
        sys.exit(bool(code != 2 or any(verdict.faults for verdict in verdicts.values())))


if __name__ == "__main__":
    main()
