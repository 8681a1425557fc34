"""An attempt whose runner speaks: what it says is taken in, and nobody looks for it; if it falls silent, its folder is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from outlast.config.settings import MetricSettings, Settings
from outlast.core.evidence import Evidence, Report
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import TrialState
from outlast.engine.attempts import running as running_module
from outlast.engine.attempts.running import Running
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.life_signs import LOOK_EVERY
from outlast.engine.coordinator.watch import Watch
from outlast.executors.base import Executor
from outlast.executors.heard import EndRequest, Heard
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.testing.manual_clock import FakeClock
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(name="lab", command=("true",), metrics=(MetricSettings(name="score", goal="maximize"),))
NAME = "0000.1"


def line(step: int, score: float) -> bytes:
    return json.dumps({"v": 1, "step": step, "metrics": {"score": score}}).encode() + b"\n"


class Spoken(Executor):
    """Runners that say what the test has them say."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, Heard] = {}
        self.open = True
        self.told: list[tuple[str, EndRequest]] = []

    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        raise NotImplementedError

    def adopt(self, name: str, runner: Any, *, job: str = "", restarts: int = 0) -> bool:
        raise NotImplementedError

    def ended(self, name: str) -> bool | None:
        return False

    def cancel(self, name: str) -> None:
        raise NotImplementedError

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        return

    def speaks(self, name: str) -> bool:
        return self.open

    def hear(self) -> Mapping[str, Heard]:
        said, self.said = self.said, {}
        return said

    def pass_on(self, name: str, request: EndRequest) -> bool:
        self.told.append((name, request))
        return self.open

    def settled(self, names: Iterable[str]) -> None:
        return


class Bench:
    """One open attempt of this machine under watch, and time that stands still."""

    def __init__(self, place: Path) -> None:
        self.paths, self.clock, self.executor = StudyPaths.at(place), FakeClock(), Spoken()
        self.files = self.paths.attempt(0, 1)
        self.decided: list[AttemptEnded] = []
        builder = StudyBuilder()
        builder.trial(state=TrialState.RUNNING)
        trial = builder.study.trials[0]
        decisions = SimpleNamespace(
            study=builder.study, clock=self.clock, take=self.take, say=lambda text: None,
            warn=lambda key, text: None, pruning=SimpleNamespace(active=False, trouble="", replay=lambda trial, told: None),
        )  # fmt: skip
        open_attempt(self.paths, 0, 1, "{}", {}, polled=False)
        self.watch = Watch(self.paths, SETTINGS, cast(Any, decisions), self.executor, Slots(("local:0",)))
        self.running: Running = self.watch.track(trial, 1, "local:0")
        self.running.submitted = True

    def take(self, event: Event) -> None:
        assert isinstance(event, AttemptEnded)
        self.decided.append(event)

    def round(self, *, after: float = 0.0) -> None:
        self.clock.advance(after)
        self.watch.hear()
        list(self.watch.gather(self.clock.monotonic()))
        for attempt in self.watch.running.values():
            self.watch.end_if_diverged(attempt)
            self.watch.judge(attempt)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What rounds look at in folders."""
    found: list[str] = []
    inspect, opened = running_module.inspect, running_module.LiveReports.poll
    monkeypatch.setattr(running_module, "inspect", lambda paths: found.append("attempt") or inspect(paths))
    monkeypatch.setattr(running_module.LiveReports, "poll", lambda self: found.append("reports") or opened(self))
    return found


def test_an_attempt_whose_runner_speaks_is_not_looked_for_but_now_and_then(bench: Bench, looks: list[str]) -> None:
    for _ in range(10):
        bench.executor.said = {NAME: Heard(reports=line(0, 0.5))}
        bench.round(after=LOOK_EVERY / 20)
    assert looks == []
    bench.round(after=LOOK_EVERY)
    assert looks == ["attempt"]
    bench.executor.open = False
    bench.round()
    assert looks[1:] and set(looks[1:]) == {"attempt", "reports"}, "nothing is heard any more"


def test_what_a_runner_says_is_what_its_files_would_have_said(bench: Bench, looks: list[str]) -> None:
    bench.executor.said = {NAME: Heard(reports=line(0, 0.25) + line(1, 0.5))}
    bench.round()
    assert bench.running.reports == [Report(0, {"score": 0.25}), Report(1, {"score": 0.5})]
    bench.executor.said = {NAME: Heard(evidence=Evidence(exit_code=0, scores={"score": 0.5}, source="report"))}
    bench.round()
    assert [(event.state, event.values) for event in bench.decided] == [(TrialState.COMPLETE, (0.5,))]
    assert bench.watch.running == {} and looks == []


def test_a_runner_that_falls_silent_leaves_the_rest_of_its_reports_in_the_file(bench: Bench) -> None:
    bench.files.reports.write_bytes(line(0, 0.25) + line(1, 0.5))
    bench.executor.said = {NAME: Heard(reports=line(0, 0.25))}
    bench.round()
    bench.executor.open = False
    bench.round()
    assert [report.step for report in bench.running.reports] == [0, 1]


def test_a_report_that_is_no_number_ends_an_attempt_by_word_and_by_file(bench: Bench) -> None:
    bench.executor.said = {NAME: Heard(reports=line(0, 0.25).replace(b"0.25", b"NaN"))}
    bench.watch._must_be_numbers = ["score"]
    bench.round()
    assert [(name, request.reason) for name, request in bench.executor.told] == [(NAME, "diverged")]
    assert json.loads(bench.files.stop.read_text())["reason"] == "diverged"


def test_what_a_runner_that_is_found_dead_did_not_tell_any_more_counts(bench: Bench) -> None:
    bench.files.reports.write_bytes(line(0, 0.25) + line(1, 0.5))
    bench.executor.said = {NAME: Heard(reports=line(0, 0.25))}
    bench.round()
    assert bench.running.speaks, "as of the round's beginning"
    evidence = bench.running.complete(Evidence(lost="its runner died"), 0, bench.paths)
    assert evidence.new_steps and [report.step for report in evidence.reports] == [0, 1]
