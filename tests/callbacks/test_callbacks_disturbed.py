"""The scripts of docs/callbacks.md: killed, resumed, stopped, gone on with, and compared with a run that nobody disturbed.

They run in an environment that has the frameworks and not Outlast, as most trainings do.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outlast.runner.hooks import hooks_path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "callbacks.md"
SECONDS_ALLOWED = 240
TIMINGS = ("runtime", "per_second")


@dataclass(frozen=True)
class Script:
    """One of the page's scripts, by its heading, and where it is disturbed. Positions count what it asks, step by step."""

    metric: str
    goal: str
    asks: int  # in an undisturbed run: all steps but the last
    kill_at: int
    saved_before_kill: int
    stop_at: int  # of the second attempt
    saved_at_stop: int


SCRIPTS = {
    "Hugging Face": Script("eval_accuracy", "maximize", 23, 9, 6, 9, 15),
    "Lightning": Script("val_accuracy", "maximize", 23, 9, 6, 9, 15),
    "Keras": Script("val_accuracy", "maximize", 23, 9, 6, 9, 12),  # epochs only
    "XGBoost": Script("val-logloss", "minimize", 29, 13, 10, 9, 19),
    "LightGBM": Script("val-binary_logloss", "minimize", 29, 13, 10, 9, 19),
}


#: What the frameworks import wherever they find it, for seconds in each attempt, and no script of the page needs.
SPARE = ("ipython", "datasets", "dill", "matplotlib", "pandas", "plotly", "pyarrow", "scikit_learn", "sklearn")


def script_of(heading: str) -> str:
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert section, heading
    (code,) = re.findall(r"^```python\n(.*?)^```$", section.group(1), re.DOTALL | re.MULTILINE)
    return str(code)


def site_packages() -> list[Path]:
    """Wherever packages of this environment lie: its own folder, and those that a .pth file adds."""
    found = [
        Path(sysconfig.get_path("purelib")),
        *(Path(entry) for entry in sys.path if entry.endswith("site-packages")),
    ]
    return [place for place in dict.fromkeys(found) if place.is_dir()]


@pytest.fixture(scope="session")
def training_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The python of an environment that has everything that this one has, except Outlast and what is spare."""
    folder = tmp_path_factory.mktemp("training")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    packages = folder / "packages"
    packages.mkdir()
    for entry in (entry for place in site_packages() for entry in place.iterdir()):
        left_out = entry.name.lower().startswith(("outlast", *SPARE))
        if not (entry.suffix == ".pth" or left_out or (packages / entry.name).exists()):
            (packages / entry.name).symlink_to(entry)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    purelib = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    Path(purelib, "packages.pth").write_text(f"{packages}\n")
    return str(python)


def environment(place: Path) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "PYTHON"))}
    return env | {"RECORDS": str(place / "records"), "KERAS_BACKEND": "torch", "HF_HUB_OFFLINE": "1"}


def outlast(place: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (place / "said.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "outlast", *arguments], cwd=place, env=environment(place), stdout=log, stderr=log
        )


def records(place: Path, trial: int) -> list[list[dict[str, Any]]]:
    """What each attempt of the trial wrote down."""
    paths = sorted((place / "records").glob(f"{trial}.*.jsonl"))
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in paths]


def asks(attempt: list[dict[str, Any]]) -> int:
    return max((entry["ask"] for entry in attempt if "ask" in entry), default=0)


def curve(attempts: list[list[dict[str, Any]]]) -> dict[int, dict[str, float]]:
    """The metrics by step, without timings; where a step was repeated, the last."""
    return {
        entry["step"]: {name: value for name, value in entry["metrics"].items() if not name.endswith(TIMINGS)}
        for attempt in attempts
        for entry in attempt
        if "step" in entry
    }


@pytest.mark.foreign
@pytest.mark.parametrize("heading", SCRIPTS)
def test_a_killed_and_stopped_training_ends_as_one_that_nobody_disturbed(
    heading: str, tmp_path: Path, training_python: str
) -> None:
    script = SCRIPTS[heading]
    (tmp_path / "train.py").write_text(script_of(heading))
    (tmp_path / "records").mkdir()
    study = {
        "name": "study",
        "command": [
            training_python, str(HERE / "disturbed.py"), "train.py", str(script.kill_at), str(script.stop_at),
        ],
        "metric": {"name": script.metric, "goal": script.goal},
        "parameters": {"disturb": {"values": [False, True]}},
        "enqueue": [{"disturb": False}, {"disturb": True}],
        "budget": {"trials": 2},
        "sampler": "grid",
        "parallel": 1,
        "trial": {"retries": 1, "grace": "240s"},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(json.dumps(study))

    running = outlast(tmp_path, "run", "study.yaml")
    deadline = time.monotonic() + SECONDS_ALLOWED
    while not (tmp_path / "records" / "stop-me").exists():
        assert running.poll() is None, (tmp_path / "said.log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "said.log").read_text()
        time.sleep(0.05)
    assert outlast(tmp_path, "stop", "studies/study").wait(SECONDS_ALLOWED) == 0
    assert running.wait(SECONDS_ALLOWED) == 4
    assert outlast(tmp_path, "run", "study.yaml").wait(SECONDS_ALLOWED) == 0, (tmp_path / "said.log").read_text()

    (quiet,) = records(tmp_path, trial=0)
    killed, stopped, finished = records(tmp_path, trial=1)
    assert not quiet[0]["installed"], "the training has no Outlast of its own"
    assert asks(quiet) == script.asks
    assert asks(killed) == script.kill_at
    assert asks(stopped) == script.stop_at
    assert asks(finished) == script.asks - script.saved_at_stop, "it went on from where it was stopped"

    expected, got = curve([quiet]), curve([killed, stopped, finished])
    assert got.keys() == expected.keys()
    for step, metrics in expected.items():
        assert got[step] == metrics, f"step {step}"
    assert finished[-1] == quiet[-1], "the same model, bit for bit"
    assert outcomes(tmp_path) == ["interrupted crash", "interrupted stopped", "complete completed"]

    again = once_more(tmp_path, training_python)
    assert again[-1]["weights"] == quiet[-1]["weights"]
    last = max(expected)
    assert curve([again])[last] == expected[last], "an attempt with nothing left to do still has its score"


def once_more(place: Path, python: str) -> list[dict[str, Any]]:
    """What a further attempt writes down: the last one was killed after its last checkpoint, let us say."""
    env = environment(place) | {
        "PYTHONPATH": hooks_path(),
        "OUTLAST_TRIAL_DIR": str(place / "again"),
        "OUTLAST_TRIAL": "9",
        "OUTLAST_ATTEMPT": "1",
        "OUTLAST_CHECKPOINT_DIR": str(place / "studies" / "study" / "trials" / "0001" / "checkpoints"),
        "OUTLAST_RESUME": "1",
        "OUTLAST_PARAMS": str(place / "params.json"),
    }
    (place / "again" / "attempts" / "1").mkdir(parents=True)
    (place / "params.json").write_text('{"disturb": false}')
    subprocess.run([python, HERE / "disturbed.py", "train.py", "0", "0"], cwd=place, env=env, check=True)
    return [json.loads(line) for line in (place / "records" / "9.1.jsonl").read_text().splitlines()]


def outcomes(place: Path) -> list[str]:
    """State and cause of each attempt of the disturbed trial."""
    ledger = "".join(path.read_text() for path in sorted((place / "studies" / "study" / "ledger").glob("*.jsonl")))
    events = [event for line in ledger.splitlines() for event in json.loads(line).get("events", ())]
    ended = [event for event in events if event["kind"] == "attempt_ended" and event["trial"] == 1]
    return [f"{event['state']} {event['cause']}" for event in ended]
