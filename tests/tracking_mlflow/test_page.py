"""What docs/mlflow.md shows and says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.sent_to_mlflow import FileMemory, a_study, a_trial, send_all
from lab.tracking_server import TrackingServer
from outlast.core.states import TrialState
from outlast.tracking.mlflow_content import TRIAL_STATUS, parent_params
from outlast.tracking.mlflow_sink import MlflowSink

PAGE = (Path(__file__).parents[2] / "docs" / "mlflow.md").read_text()


@pytest.mark.slow
@pytest.mark.foreign
@pytest.mark.filterwarnings("default")
def test_the_pages_search_finds_the_checkpoint(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    study = a_study("resume_ner_baseline", identity="of-the-page", index="/studies/of-the-page/study.db")
    send_all(lambda: MlflowSink(uri=server.uri), study, [a_trial(0)], FileMemory(tmp_path / "memory"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    exec(code, {"__name__": "__main__"})
    assert "study.db" in capsys.readouterr().out


def test_it_names_every_parameter_and_every_status() -> None:
    (row,) = re.findall(r"^\| parameters \|(.*)\|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) - {"true", "false"} == set(parent_params(a_study()))
    said = dict(re.findall(r"^\| ([a-z, ]+) \| ([A-Z]+) \|$", PAGE, re.MULTILINE))
    told = {TrialState(word): status for words, status in said.items() for word in re.split(r", | or ", words)}
    assert told == dict(TRIAL_STATUS)
