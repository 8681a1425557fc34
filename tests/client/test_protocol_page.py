"""The bash client of the protocol page does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def bash_client() -> str:
    (code,) = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return code


class Attempts:
    """A trial in which a test plays the runner."""

    def __init__(self, root: Path) -> None:
        self.trial_dir = root / "trial"
        self.checkpoints = self.trial_dir / "checkpoints"
        self.checkpoints.mkdir(parents=True)

    def run(self, number: int, stop: str = "", **env: str) -> tuple[int, LiveReports]:
        folder = self.trial_dir / "attempts" / str(number)
        folder.mkdir(parents=True)
        if stop:
            (folder / "stop.json").write_text(stop)
        result = subprocess.run(
            ["bash", "-euc", bash_client()],
            env={
                "PATH": os.environ["PATH"],
                "OUTLAST_TRIAL_DIR": str(self.trial_dir),
                "OUTLAST_ATTEMPT": str(number),
                "OUTLAST_CHECKPOINT_DIR": str(self.checkpoints),
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.stderr == ""
        live = LiveReports(folder / "reports.jsonl", [Objective("val_accuracy")])
        live.poll()
        assert live.reader.unreadable == 0
        return result.returncode, live


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(tmp_path)


def test_it_is_as_short_as_it_says() -> None:
    assert len(bash_client().splitlines()) <= 11


def test_it_reports_every_epoch_and_exits_zero(attempts: Attempts) -> None:
    code, live = attempts.run(1)
    assert code == 0
    assert [report.step for report in live.curve.reports()] == list(range(20))
    assert live.reader.own.seen["val_accuracy"].last == 0.69
    assert live.reader.listens and not live.reader.acknowledged


@pytest.mark.parametrize("stop", ['{"reason": "pruned", "grace": 120.0}', '{"grace":5,"reason":"pruned"}'])
def test_asked_to_stop_it_acknowledges_saves_and_leaves(attempts: Attempts, stop: str) -> None:
    code, live = attempts.run(1, stop)
    assert code == 75
    assert live.reader.acknowledged == "pruned"
    assert [report.step for report in live.curve.reports()] == [0]
    assert (attempts.checkpoints / "epoch").read_text() == "0\n"


def test_it_resumes_after_its_checkpoint(attempts: Attempts) -> None:
    attempts.run(1, '{"reason": "user"}')
    code, live = attempts.run(2, OUTLAST_RESUME="1")
    assert code == 0
    assert [report.step for report in live.curve.reports()] == list(range(1, 20))


def test_by_hand_it_works_and_reports_nothing(tmp_path: Path) -> None:
    result = subprocess.run(
        ["bash", "-euc", bash_client()],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["epoch"]


def test_every_variable_of_the_page_is_one_that_the_client_or_the_runner_knows() -> None:
    source = Path(__file__).parents[2] / "src" / "outlast"
    code = (source / "client.py").read_text() + (source / "runner" / "environment.py").read_text()
    for name in set(re.findall(r"OUTLAST_[A-Z_]+", PAGE.read_text())) - {"OUTLAST_SCORE"}:
        assert name in code, name
