"""The coordinator is killed in the middle: the decisions are those of a run that nobody touched."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.pruning import Lab, decisions
from outlast.config.settings import MetricSettings, PrunerSettings, Settings
from outlast.core.records import AttemptOpened, TrialCreated
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.watch import Watch
from outlast.optimizer.pruners.pruning import Pruning
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

#: Good and poor ones in turn, so that many rungs are passed and many are not.
FIRST = (0.6, 0.5, 0.8, 0.2, 0.9, 0.85, 0.1, 0.95)
SAMPLER = {"name": "tpe", "seed": 3, "n_startup_trials": 4}
MOMENTS = ((1, 2), (3, 2), (5, 3))  # (trial, epoch) at which the coordinator is killed


def outcome(lab: Lab, pruner: Any, kills: Sequence[tuple[int, int]]) -> dict[int, Any]:
    """Run a study under one slot to its end, killing the coordinator on the way."""
    lab.write(pruner, first=FIRST[:5], budget={"trials": 9}, sampler=SAMPLER)
    run = lab.start()
    for trial, epoch in kills:
        lab.wait_for(trial, epoch)
        run.send_signal(signal.SIGKILL)
        run.wait()
        run = lab.start()
    return decisions(lab.finish(run))


@pytest.mark.slow
@pytest.mark.parametrize(
    "pruner",
    [
        {"name": "asha", "min_resource": 1, "reduction_factor": 2},
        {"name": "median", "n_startup_trials": 1, "n_warmup_steps": 2},
        {"name": "wandb_hyperband", "min_iter": 2, "eta": 2},
        {"name": "optuna.pruners.SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 2},
    ],
    ids=lambda pruner: str(pruner["name"]),
)
def test_decisions_and_suggestions_are_the_same_whether_the_coordinator_is_killed_or_not(
    pruner: Any, make_lab: Callable[..., Lab]
) -> None:
    whole = outcome(make_lab("whole", epochs=16, ahead=4), pruner, ())
    broken = outcome(make_lab("broken", epochs=16, ahead=4), pruner, MOMENTS)
    assert broken == whole
    assert {state for _, state, _ in whole.values()} == {"complete", "pruned"}


# -- what a new coordinator makes of the files that it finds; no processes ---------------------------------------------


class Desk:
    """A study with trials that run just now, and the watch that a new coordinator keeps over them."""

    def __init__(self, root: Path) -> None:
        self.paths = StudyPaths.at(root)
        self.study = StudyBuilder().study
        self.settings = Settings(
            name="lab",
            command=("true",),
            metrics=(MetricSettings(name="score"),),
            pruner=PrunerSettings(name="asha", options={"min_resource": 1, "reduction_factor": 2}),
        )

    def running(self, number: int, values: Sequence[float], **left: Any) -> None:
        """A trial that has reported these values from step 1 on; `left` are the files of an earlier coordinator."""
        self.study.apply(TrialCreated(number, "t"))
        self.study.apply(AttemptOpened(number, 1, "t", f"local:{number}"))
        files = self.paths.attempt(number, 1)
        files.folder.mkdir(parents=True)
        lines = [{"v": 1, "step": step, "metrics": {"score": value}} for step, value in enumerate(values, 1)]
        files.reports.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for name, content in left.items():
            getattr(files, name).write_text(content)

    def take_over(self) -> Watch:
        """What a new coordinator does first."""
        watch = Watch(
            self.paths, self.settings, Decided(self), Elsewhere(), Slots(tuple(f"local:{i}" for i in range(9)))
        )  # type: ignore[arg-type]
        for trial in self.study.trials.values():
            watch.track(trial, 1, f"local:{trial.number}")
        watch.take_over()
        return watch


class Decided:
    """The decisions' part that a watch talks to."""

    def __init__(self, desk: Desk) -> None:
        self.study, self.pruning, self.clock = desk.study, Pruning(desk.settings, desk.study), self

    def monotonic(self) -> float:
        return 0.0

    def say(self, text: str) -> None:
        raise AssertionError(text)


class Elsewhere:
    """An executor that has nothing running."""

    def adopt(self, *_: Any, **__: Any) -> bool:
        return False

    def take_submissions(self) -> list[Any]:
        return []


def judge(watch: Watch) -> list[tuple[int, int | None]]:
    """Who is given up in the first round, and at which step."""
    return [(each.trial, each.pruned_at) for each in watch.running.values() if watch.judge(each)]


def test_what_was_judged_before_is_not_judged_again(tmp_path: Path) -> None:
    """Beside trial 0, which came later, trial 1 would not have passed its first step."""
    desk = Desk(tmp_path)
    desk.running(0, [0.9], judged=f"{1:020d}\n")
    desk.running(1, [0.5], judged=f"{1:020d}\n")
    assert judge(desk.take_over()) == []


def test_what_came_while_no_coordinator_was_there_is_judged_by_the_next(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.running(0, [0.9, 0.9], judged=f"{2:020d}\n")
    desk.running(1, [0.95, 0.5, 0.5], judged=f"{1:020d}\n")
    assert judge(desk.take_over()) == [(1, 2)]


def test_a_request_of_the_coordinator_before_stands(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.running(0, [0.9, 0.9], judged=f"{2:020d}\n")
    desk.running(1, [0.5, 0.95, 0.95], stop=json.dumps({"version": 1, "reason": "pruned", "grace": 1, "step": 1}))
    watch = desk.take_over()
    assert judge(watch) == []
    stopped = watch.running["0001.1"]
    assert (stopped.stop_reason, stopped.pruned_at) == ("pruned", 1)
    desk.running(2, [0.7, 0.92])
    watch.track(desk.study.trials[2], 1, "local:2")
    assert judge(watch) == [(2, 1)], "what trial 1 reported later counts for nothing, what it reported before does"


def test_a_mark_that_is_no_number_means_that_nothing_was_judged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.running(0, [0.9], judged=f"{1:020d}\n")
    desk.running(1, [0.5], judged="")
    assert judge(desk.take_over()) == [(1, 1)]
