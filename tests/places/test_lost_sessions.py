"""Sessions on Colab that are lost at random moments, with their processes and their disk; Drive keeps what it had got by then."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.drive_mount import CONTROL, FATES, meet
from lab.hosts import why_not
from lab.waiting import until
from outlast.core.fold import fold
from outlast.core.states import TrialState
from outlast.study.drive_home import histories
from outlast.study.layout import StudyPaths

pytestmark = pytest.mark.slow
TRAIN = """\
import os, time
path = os.path.join(os.environ["OUTLAST_CHECKPOINT_DIR"], "step")
begin = int(open(path).read()) + 1 if os.path.exists(path) else 0
for step in range(begin, 4):
    time.sleep(0.15)
    with open(path + ".new", "w") as file:
        file.write(str(step))
    os.replace(path + ".new", path)
    print(f"step {step}: score={step}", flush=True)
"""
STUDY = {
    "name": "d", "command": [sys.executable, "train.py", "${x}"], "metric": "maximize score", "parallel": 1,
    "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 6}, "sampler": {"name": "random", "seed": 1},
    "trial": {"grace": "1s"},
}  # fmt: skip


class Colab:
    """Session after session; each has a disk and a mount of its own. The cloud outlives them.

    Attributes:
        said: What the last session printed.
    """

    def __init__(self, place: Path, seed: int) -> None:
        self.place, self.chance = place, random.Random(seed)
        self.cloud, self.project = place / "cloud", place / "project"
        self.cloud.mkdir()
        self.project.mkdir()
        (self.project / "train.py").write_text(TRAIN)
        (self.project / "study.yaml").write_text(json.dumps(STUDY))
        self.number, self.said = 0, place / "said"
        self.daemon: subprocess.Popen[bytes] | None = None

    def begin(self, *, failing: float = 0.0, stale: float = 0.0) -> subprocess.Popen[bytes]:
        """Another session mounts Drive and types the same command."""
        self.number += 1
        self.root = self.place / f"session-{self.number}"
        self.mountpoint = self.root / "content/drive"
        self.mountpoint.mkdir(parents=True)
        self.cache = self.root / "cache"
        shutil.copytree(self.cloud, self.cache)
        (self.cache / "MyDrive").mkdir(exist_ok=True)
        control = self.root / "control"
        control.write_bytes(CONTROL.pack(failing, stale))
        script = Path(__file__).parents[1] / "lab/drive_mount.py"
        words = [str(self.cache), str(self.mountpoint), str(control), str(self.chance.randrange(10**6))]
        self.daemon = subprocess.Popen([sys.executable, str(script), *words])
        until(lambda: os.path.ismount(self.mountpoint), "Drive is mounted")
        environment = {
            **os.environ, "COLAB_GPU": "1", "OUTLAST_LOOK_BELOW": str(self.root), "OUTLAST_HOME_SECONDS": "0.3",
            "XDG_STATE_HOME": str(self.root / "state"), "OUTLAST_PLOTS": "0", "COLUMNS": "200",
        }  # fmt: skip
        with open(self.said, "wb") as out:
            self.run = subprocess.Popen(
                [sys.executable, "-m", "outlast", "run"],
                cwd=self.project, env=environment, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        return self.run

    def end(self, *, lost: bool) -> None:
        """All its processes and its disk are gone; where it was `lost`, what is younger than a second may not have arrived."""
        self.run.kill()
        self.run.wait()
        until(lambda: not kill_what_runs(self.root), "nothing of the session runs, whatever was being begun")
        subprocess.run(["fusermount", "-uz", str(self.mountpoint)], check=True)
        assert self.daemon is not None
        self.daemon.wait(timeout=60)
        now = time.time()
        for path in sorted(self.cache.rglob("*")):
            there = self.cloud / path.relative_to(self.cache)
            if path.is_dir():
                there.mkdir(parents=True, exist_ok=True)
            elif not there.exists() or there.read_bytes() != path.read_bytes():
                young = lost and now - path.stat().st_ctime < 1.0
                meet(self.chance.choice(FATES) if young else "whole", path.read_bytes(), there, self.chance)
        shutil.rmtree(self.root, ignore_errors=True)

    def until_home_has(self, many: int) -> None:
        """Wait until so many finished trials lie in this session's cache of Drive."""
        home = StudyPaths.at(self.cache / "MyDrive/outlast/studies/d")
        until(lambda: self.run.poll() is not None or len(finished_in(home)) >= many, "trials come home", 60)

    @property
    def home(self) -> StudyPaths:
        return StudyPaths.at(self.cloud / "MyDrive/outlast/studies/d")

    def finished(self) -> set[int]:
        """What can be believed of what is in the cloud."""
        return finished_in(self.home)


def finished_in(home: StudyPaths) -> set[int]:
    """The finished trials of a home, as far as it can be believed."""
    found, _ = histories(home)
    trials = fold(found[0].reading.events).trials.values() if found else ()
    return {trial.number for trial in trials if trial.state.finished}


def kill_what_runs(root: Path) -> list[int]:
    """Kill whatever is seen to run in a session, by its environment. Returns what was."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("OUTLAST_LOOK_BELOW") == str(root):
                process.kill()
                found.append(process.pid)
    return found


@pytest.fixture
def colab(tmp_path: Path) -> Iterator[Colab]:
    if reason := why_not():
        pytest.skip(reason)
    found = Colab(tmp_path, seed=int(os.environ.get("OUTLAST_SEED", "7")))
    yield found
    if found.root.exists():
        found.end(lost=False)


def test_a_search_ends_with_its_exact_budget_over_sessions_that_are_lost(colab: Colab) -> None:
    before: set[int] = set()
    for _ in range(2):
        run = colab.begin(failing=0.01, stale=0.02)
        colab.until_home_has(min(6, len(before) + colab.chance.randint(1, 2)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=2.0 * colab.chance.random())
        colab.end(lost=True)
        kept = colab.finished()
        assert before <= kept, colab.said.read_text()
        before = kept
    assert before, "nothing came home in two sessions"
    run = colab.begin()
    assert run.wait(timeout=120) == 0, colab.said.read_text()
    colab.end(lost=False)
    trials = fold(histories(colab.home)[0][0].reading.events).trials
    assert [trials[number].state for number in sorted(trials)] == [TrialState.COMPLETE] * 6
    assert len((colab.home.root / "trials.csv").read_text().splitlines()) == 7


def test_an_interrupted_trial_goes_on_from_its_checkpoint_on_the_next_machine(colab: Colab) -> None:
    wait = 'while step == 5 and not os.path.exists("go"):\n        time.sleep(0.05)\n'
    text = TRAIN.replace("range(begin, 4)", "range(begin, 10)").replace("time.sleep(0.15)\n", wait)
    (colab.project / "train.py").write_text(text)
    (colab.project / "study.yaml").write_text(json.dumps({**STUDY, "budget": {"trials": 1}}))
    colab.begin()
    kept = colab.cache / "MyDrive/outlast/studies/d/unfinished/0000"
    until(lambda: list(kept.glob("*/list.json")), "a checkpoint has come home", 60)
    colab.end(lost=False)
    assert "a lost session costs at most the trials that ended in its last minute" in colab.said.read_text()
    (colab.project / "go").touch()
    run = colab.begin()
    assert run.wait(timeout=120) == 0, colab.said.read_text()
    colab.end(lost=False)
    trial = fold(histories(colab.home)[0][0].reading.events).trials[0]
    last = trial.ended[-1]
    assert trial.state is TrialState.COMPLETE and len(trial.attempts) == 2 and trial.attempts[1].resumed
    assert last.curves[0][0][0] > 0 and last.last_step == 9
