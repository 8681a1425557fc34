"""A shared box with fake cards: several searches on it, real processes all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.fake_driver import Driver
from lab.study import TRAININGS, lines_of
from lab.waiting import until
from outlast.config.load import load_study_file
from outlast.engine.hold.opening import open_study
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths
from outlast.study.layout import StudyPaths

MARK = "TEST_BOX"  # in the environment of everything that a box starts


def as_user(user: int | None) -> list[str]:
    """What to put before a command so that this user runs it; ``None``: whoever we are.

    He may read whatever root may, and nothing more than read: Python may be installed where only root looks.
    """
    if user is None:
        return []
    may_read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *may_read]


@dataclass
class Box:
    place: Path
    driver: Driver
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, name: str, *, trials: int, parallel: int | str, arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None, user: int | None = None, **settings: Any,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """``outlast run`` on a study of this name, as another user where one is named."""
        folder = self.write(name, trials=trials, parallel=parallel, arguments=arguments, user=user, **settings)
        if user is not None:
            os.chown(folder, user, user)
        with open(folder / "said", "ab") as said:
            process = subprocess.Popen(
                [*as_user(user), sys.executable, "-m", "outlast", "run", "study.yaml"],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **(environment or {})},
            )  # fmt: skip
        self.running.append(process)
        return process

    def write(
        self, name: str, *, trials: int, parallel: int | str, arguments: tuple[str, ...] = (), user: int | None = None,
        **settings: Any,
    ) -> Path:  # fmt: skip
        """A study file in a folder of this name. Returns the folder."""
        folder = self.place / name
        folder.mkdir(exist_ok=True)
        command = [
            *([] if user is None else ["/bin/sh", "-c", 'exec "$0" "$@"']),  # access(2) forgets what `as_user` allows
            sys.executable,
            "-S",
            str(TRAININGS / "on_gpu.py"),
            "${args}",
            "--audit",
            str(self.place / "audit"),
            *arguments,
        ]
        study = {
            "name": name, "command": command, "metric": {"name": "score", "goal": "maximize"}, "resources": {"gpus": 1},
            "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": trials}, "parallel": parallel, **settings,
        }  # fmt: skip
        (folder / "study.yaml").write_text(json.dumps(study))
        return folder

    def work(self, name: str, *, parallel: int) -> subprocess.Popen[bytes]:
        """``outlast worker`` beside a run."""
        with open(self.place / name / "said", "ab") as said:
            command = [sys.executable, "-m", "outlast", "worker", f"studies/{name}", "--parallel", str(parallel)]
            process = subprocess.Popen(
                command, cwd=self.place / name, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        self.running.append(process)
        return process

    def task(self, name: str, *, parallel: int, cards: list[str]) -> subprocess.Popen[bytes]:
        """A task of an array, in a job that was given these cards, for a study that was written."""
        settings = load_study_file(str(self.place / name / "study.yaml"))
        with open_study(study_paths(self.place / name / "studies" / name, settings), settings):
            pass
        job = {"SLURM_JOB_ID": "4711", "CUDA_VISIBLE_DEVICES": ",".join(cards), "OUTLAST_BACKOFF_SECONDS": "0.05"}
        with open(self.place / name / "said", "ab") as said:
            command = [sys.executable, "-m", "outlast.engine.cluster.task", f"studies/{name}", "100", str(parallel)]
            process = subprocess.Popen(
                command, cwd=self.place / name, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **job}
            )  # fmt: skip
        self.running.append(process)
        return process

    def said(self, name: str) -> str:
        return (self.place / name / "said").read_text()

    def status(self, name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "outlast", "status", "studies/" + name, "--json"]
        done = subprocess.run(command, cwd=self.place / name, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @property
    def audit(self) -> list[dict[str, Any]]:
        return lines_of(self.place / "audit")

    def most_at_once(self) -> dict[str, int]:
        """Card → how many trainings at most used it at the same time."""
        now: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for line in self.audit:
            for card in line["cards"]:
                now[card] += 1 if line["event"] == "begin" else -1
                most[card] = max(most[card], now[card])
        return dict(most)

    def spans(self, name: str) -> list[tuple[float, float]]:
        """From when to when each attempt of a study had its card, in seconds of the epoch.

        That is longer than its training, which takes its time to begin: on a busy machine as long as it lasts.
        """
        trials = read_study(StudyPaths.at(self.place / name / "studies" / name)).trials.values()
        attempts = [attempt for trial in trials for attempt in trial.attempts]
        return [
            (datetime.fromisoformat(each.opened_at).timestamp(), datetime.fromisoformat(each.outcome.at).timestamp())
            for each in attempts
            if each.outcome is not None
        ]

    def finish(self, *processes: subprocess.Popen[bytes], code: int = 0) -> None:
        """Wait for runs and look at their exit codes."""
        for process in processes:
            assert process.wait(timeout=240) == code, "\n".join(p.read_text() for p in self.place.glob("*/said"))

    def end(self) -> None:
        """End everything that was started here, trainings included."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        until(lambda: not self._kill_the_rest(), "nothing of the box runs")

    def kill_all_of(self, user: int) -> None:
        """Whatever of the box runs as this user: searches, runners, trainings."""
        until(lambda: not self._kill_the_rest(user), f"nothing of user {user} runs")

    def _kill_the_rest(self, user: int | None = None) -> list[int]:
        mark, found = f"\0{MARK}={self.place}\0".encode(), []
        for name in filter(str.isdigit, os.listdir("/proc")):
            place = Path("/proc", name)
            with contextlib.suppress(OSError):
                if mark not in (place / "environ").read_bytes() or int(name) == os.getpid():
                    continue
                if user is None or place.stat().st_uid == user:
                    os.kill(int(name), signal.SIGKILL)
                    found.append(int(name))
        return found
