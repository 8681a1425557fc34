"""MLflow's sink is one: the contract of all sinks, with a folder of MLflow's, which keeps every line that it is sent."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path

import pytest

from outlast.testing.sinks import SinkContract
from outlast.tracking.mlflow_sink import MlflowSink


@pytest.mark.slow
@pytest.mark.foreign
@pytest.mark.filterwarnings("default")
class TestMlflow(SinkContract):
    @pytest.fixture(autouse=True)
    def _with_folders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")

    def sink(self, place: Path) -> MlflowSink:
        return MlflowSink(uri=str(place / "mlruns"))

    def arrived(self, place: Path) -> Sequence[Hashable]:
        found: list[Hashable] = []
        for meta in place.glob("mlruns/*/*/meta.yaml"):
            said = dict(re.findall(r"^(\w+): (.*)$", meta.read_text(), re.MULTILINE))
            if said["lifecycle_stage"] != "active":
                continue
            name = said["run_name"]
            found.append((name, said["status"]))
            for path in meta.parent.glob("params/*"):
                found.append((name, path.name, path.read_text().replace(str(place), "")))
            for path in meta.parent.glob("metrics/*"):
                found += [(name, path.name, line) for line in path.read_text().splitlines()]
        return found
