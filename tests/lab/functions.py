"""Functions that are run as studies, in workers that are waited for: what is tested here is what they do, not when."""

from __future__ import annotations

import json
import select
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.engine.coordinator.listener import Listener
from outlast.engine.hold.run import run_study
from outlast.engine.record.recorded import study_paths
from outlast.executors import fork_request as warm


def look_patiently(original: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """From the first trial on a worker is waited for."""

    def look(self: Any) -> bool:
        if not self._ready and not self.unfit:
            assert select.select([self.asking], [], [], 60)[0]
        return original(self)

    return look


def write_study(place: Path, source: str, *, trials: int = 3, isolation: Any = "worker", **more: Any) -> None:
    """The study of a function ``run`` in `source`; `more` goes over its file."""
    place.mkdir(parents=True)
    (place / "work.py").write_text(textwrap.dedent(source))
    study = {
        "name": "warm",
        "function": "work:run",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": trials, "count": ["complete", "pruned", "infeasible", "failed"], "max_failures": 99},
        "sampler": {"name": "random", "seed": 5},
        "parallel": 1,
        "isolation": isolation,
    }
    (place / "study.json").write_text(json.dumps({**study, **more}))


def settings_of(place: Path) -> Settings:
    """Of the study that `write_study` wrote."""
    return settings_from_resolved(json.loads((place / "study.json").read_text()), str(place))


@dataclass
class Ran:
    """A study that came to rest."""

    study: Study
    folder: Path

    @property
    def trials(self) -> list[Trial]:
        return [trial for _, trial in sorted(self.study.trials.items())]

    def metric(self, name: str) -> list[float]:
        return [trial.metrics[name] for trial in self.trials]

    def log(self, number: int) -> str:
        path = self.folder / "trials" / f"{number:04d}" / "output.log"
        return path.read_text() if path.exists() else ""


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(warm._Worker, "look", look_patiently(warm._Worker.look))
    serial = iter(range(100))

    def start(source: str, **more: Any) -> Ran:
        place = tmp_path / f"run{next(serial)}"
        write_study(place, source, **more)
        settings = settings_of(place)
        paths = study_paths(place / "study", settings)
        _, study = run_study(paths, settings, lambda *_: Listener())
        return Ran(study, place / "study")

    return start
