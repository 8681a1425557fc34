from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from outlast.cli.render import render_run
from outlast.config.settings import BudgetSettings, MetricSettings, SamplerSettings, Settings
from outlast.core.records import TrialCreated, TrialRetried
from outlast.core.states import StudyState, TrialState
from outlast.monitor.queue import QueuedJob, queue_in_words
from outlast.monitor.snapshot import LiveFacts, Snapshot, snapshot
from outlast.testing.studies import StudyBuilder


def settings(trials: int | None = 20, **given: Any) -> Settings:
    given.setdefault("metrics", (MetricSettings(name="acc"),))
    given.setdefault("budget", BudgetSettings(trials=trials))
    return Settings(name="digits", command=("true",), **given)


def some(build: StudyBuilder) -> StudyBuilder:
    build.run(0, trials=20)
    for i in range(8):
        build.trial({"lr": i}, at=i * 100, seconds=100, values=i / 10)
    build.trial({"lr": 8}, TrialState.PRUNED, at=800, seconds=100)
    build.trial({"lr": 9}, TrialState.FAILED, at=900, seconds=1)
    build.trial({"lr": 10}, TrialState.RUNNING, at=901)
    return build


def look(build: StudyBuilder, at: float = 1000, *, live: bool = True, **given: Any) -> Snapshot:
    chosen = given.pop("settings", settings())
    facts = LiveFacts("box", 4242, build.at(0)) if live else None
    return snapshot(build.study, chosen, now=build.moment(at), live=facts, folder="studies/digits", **given)


def test_the_status_json_has_the_keys_that_scripts_rely_on_first() -> None:
    found = look(some(StudyBuilder()), running_reports={10: (3, 0.5)}).to_json()
    json.dumps(found, allow_nan=False)
    relied_on = ["study", "dir", "state", "metric", "target", "counts", "best", "rate_per_hour", "eta", "warnings"]
    assert list(found)[: len(relied_on)] == relied_on
    assert found["study"] == "digits" and found["dir"] == "studies/digits" and found["state"] == "running"
    assert found["metric"] == {"name": "acc", "goal": "maximize"} and found["target"] == 20
    assert found["counts"] == {
        "complete": 8, "pruned": 1, "failed": 1, "infeasible": 0, "interrupted": 0, "running": 1, "created": 0,
        "remaining": 11,
    }  # fmt: skip
    assert found["best"] == {"trial": 7, "value": 0.7, "params": {"lr": 7}}
    assert found["rate_per_hour"] == 36.0
    assert found["eta"] == look(some(StudyBuilder())).eta.isoformat(timespec="seconds")  # type: ignore[union-attr]
    assert found["warnings"] == []
    assert found["run"] == {"host": "box", "pid": 4242, "since": StudyBuilder().at(0)}
    assert found["running"] == [
        {"trial": 10, "attempt": 1, "since": StudyBuilder().at(901), "seconds": 99.0, "step": 3, "value": 0.5}
    ]


def test_an_empty_study_is_no_trouble() -> None:
    found = look(StudyBuilder(), live=False, settings=settings(None)).to_json()
    assert found["state"] == "stopped" and found["best"] is None and found["target"] is None
    assert found["rate_per_hour"] is None and found["eta"] is None and found["counts"]["remaining"] is None
    assert found["milestones"] == [] and found["run"] is None


def test_the_eta_is_what_the_running_trial_and_those_after_it_take() -> None:
    build = some(StudyBuilder())  # one of ten fails at once; trial 10 has run for 99 of its 100 seconds
    found = look(build)
    assert seconds(found.eta, build.moment(1000)) == pytest.approx(1 + 10 * 100, abs=3)
    assert found.eta is not None and found.eta_range is not None
    assert found.eta_range[0] < found.eta < found.eta_range[1]


def seconds(moment: datetime | None, since: datetime) -> float:
    assert moment is not None
    return (moment - since).total_seconds()


def test_the_eta_ends_where_the_time_budget_does() -> None:
    build = some(StudyBuilder())
    chosen = settings(budget=BudgetSettings(trials=20, time=1500.0))
    assert look(build, settings=chosen).eta == build.moment(1500)
    assert look(build, settings=settings(budget=BudgetSettings(time=1500.0))).eta == build.moment(1500)


def test_a_study_that_nobody_runs_has_a_rate_but_no_eta() -> None:
    found = look(some(StudyBuilder()), live=False)
    assert found.rate_per_hour == pytest.approx(36.0) and found.eta is None
    assert all(mark.at is None for mark in found.milestones)


def test_milestones_say_what_is_reached_and_when_the_rest_is_expected() -> None:
    build = some(StudyBuilder())
    marks = look(build).milestones
    assert [(m.percent, m.trials, m.reached) for m in marks] == [
        (10, 2, True), (25, 5, True), (50, 10, False), (75, 15, False), (100, 20, False),
    ]  # fmt: skip
    assert [m.at for m in marks[:2]] == [None, None]
    assert [seconds(m.at, build.moment(1000)) for m in marks[2:]] == pytest.approx([91, 546, 1001], abs=3)


def state(build: StudyBuilder, chosen: Settings | None = None) -> StudyState:
    return look(build, live=False, settings=chosen or settings()).state


def test_the_state_without_a_holder_is_the_ledgers_last_word() -> None:
    for word in ("stopped", "halted", "paused"):
        build = some(StudyBuilder())
        build.end(1000, word, "because")
        found = look(build, live=False)
        assert found.state.value == word and found.reason == "because"


def test_a_run_that_died_leaves_a_stopped_study() -> None:
    assert state(some(StudyBuilder())) is StudyState.STOPPED


def test_a_reached_target_is_done_even_if_nobody_wrote_so() -> None:
    assert state(some(StudyBuilder()), settings(9)) is StudyState.DONE


def test_a_time_budget_that_is_used_up_is_done_with_trials_left() -> None:
    build = some(StudyBuilder())
    build.end(1000, "done", "the time budget is used up")
    assert state(build) is StudyState.DONE


def test_a_raised_target_sets_a_done_study_back_to_stopped() -> None:
    build = some(StudyBuilder())
    build.end(1000, "done", "all 20 trials are finished")
    found = look(build, live=False, settings=settings(30))
    assert found.state is StudyState.STOPPED and found.reason == "the target was raised from 20 to 30 trials"


@pytest.mark.parametrize(
    ("ended", "next_command", "once_mended"),
    [
        (TrialState.FAILED, "outlast show studies/digits failures", "outlast retry studies/digits"),
        (TrialState.INFEASIBLE, "outlast show studies/digits failures", "outlast show studies/digits failures"),
        (TrialState.PRUNED, "outlast show studies/digits", "outlast show studies/digits failures"),
    ],
)
def test_what_to_type_when_a_search_is_over_without_a_result(
    ended: TrialState, next_command: str, once_mended: str
) -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial(state=ended)
    build.end(10, "halted", "the one trial is finished, and no trial gave a result: 1 of them")
    found = look(build, live=False)
    assert found.without_result and (found.next_command, found.once_mended[0]) == (next_command, once_mended)


@pytest.mark.parametrize("ended", ["done", "halted"])
def test_trials_that_got_new_attempts_wait_for_the_run_that_makes_them(ended: str) -> None:
    build = some(StudyBuilder())
    build.end(1000, ended, "all 20 trials are finished")
    build.study.apply(TrialRetried(9, build.at(1001)))
    found = look(build, live=False)
    assert found.state is StudyState.STOPPED and found.reason == "1 trial waits for another attempt"
    assert found.next_command == "outlast run studies/digits"


def test_an_interrupted_trial_leaves_a_halt_a_halt() -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial(state=TrialState.INTERRUPTED)
    build.end(10, "halted", "the first 3 failures are alike: no such layer")
    assert state(build) is StudyState.HALTED


@pytest.mark.parametrize(
    ("ended", "sampler", "command"),
    [
        (TrialState.FAILED, "tpe", "outlast run studies/digits"),
        (TrialState.PRUNED, "tpe", "outlast run studies/digits"),
        (TrialState.FAILED, "grid", "outlast retry studies/digits"),
        (TrialState.INFEASIBLE, "tpe", "outlast retry studies/digits --cause gpu_out_of_memory"),
    ],
)
def test_a_halt_proposes_the_retry_without_which_its_trials_are_never_made_up_for(
    ended: TrialState, sampler: str, command: str
) -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial(state=ended)
    build.end(10, "halted", "the first 3 are alike")
    chosen = settings(sampler=SamplerSettings(name=sampler))
    assert look(build, live=False, settings=chosen).once_mended[0] == command
    build.trial(values=0.5)
    assert look(build, live=False, settings=chosen).once_mended[0] == "outlast run studies/digits"


def test_a_live_holder_says_what_it_does() -> None:
    build = some(StudyBuilder())
    facts = LiveFacts(state=StudyState.WAITING, reason="all GPUs are in use")
    found = snapshot(build.study, settings(), now=build.moment(1000), live=facts)
    assert found.state is StudyState.WAITING and found.reason == "all GPUs are in use"


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("stopped", "outlast run studies/digits"),
        ("halted", "outlast show studies/digits failures"),
        ("done", "outlast show studies/digits best"),
    ],
)
def test_the_next_command_follows_from_the_state(word: str, command: str) -> None:
    build = some(StudyBuilder())
    build.end(1000, word)
    assert look(build, live=False).next_command == command


def test_behind_a_search_its_best_is_confirmed_and_a_follow_up_goes_back_to_it() -> None:
    build = some(StudyBuilder())
    build.end(1000, "done")
    assert look(build, live=False).then == "outlast confirm studies/digits"
    repeated = StudyBuilder()
    repeated.study.apply(TrialCreated(0, repeated.at(0), source="confirm", of=7))
    repeated.attempt(0, values=0.7)
    repeated.end(1000, "done")
    found = snapshot(repeated.study, settings(), now=build.moment(1000), folder="studies/digits/confirm")
    assert (found.next_command, found.then) == ("outlast confirm studies/digits", "")


def test_several_objectives_tell_the_front() -> None:
    build = StudyBuilder()
    build.trial({"x": 0}, values=(0.8, 0.1))
    build.trial({"x": 1}, values=(0.9, 0.2))
    metrics = (MetricSettings(name="f1"), MetricSettings(name="ece", goal="minimize"))
    found = look(build, settings=settings(metrics=metrics)).to_json()
    assert found["pareto_front"] == [0, 1] and found["best"]["values"] == {"f1": 0.9, "ece": 0.2}
    assert found["metric"] == {"name": "f1", "goal": "maximize"} and len(found["metrics"]) == 2


def test_training_time_and_gpu_hours_add_up() -> None:
    build = some(StudyBuilder(gpus=0.5))
    build.end(1000, elapsed=1000)
    found = look(build, live=False)
    assert found.time.running_seconds == 1000 and found.time.training_seconds == 901
    assert found.hours.gpu and found.hours.used == pytest.approx(901 * 0.5 / 3600)


STILL = ("SUSPENDED", "STOPPED")


def jobs(*states: str) -> list[QueuedJob]:
    """Of the running trials from 10 on."""
    return [QueuedJob(f"7_{at}", "array", word, node="n1", suspended=word in STILL) for at, word in enumerate(states)]


def in_jobs(trials: int, trained: float) -> tuple[StudyBuilder, dict[int, float]]:
    """Eight trials of 100 s one after another, and some that run in SLURM's jobs and have trained so long."""
    build = some(StudyBuilder())
    for at in range(1, trials):
        build.trial({"lr": 10 + at}, TrialState.RUNNING, at=901)
    for at in range(trials):
        build.study.trials[10 + at].attempts[-1].job = f"7_{at}"
    return build, {10 + at: trained for at in range(trials)}


def test_a_job_that_waits_is_shown_to_wait_and_nobody_expects_an_end_of_it() -> None:
    build, trained = in_jobs(1, 0.0)
    for hours in (1, 30):
        found = look(build, 1000 + hours * 3600, running_seconds=trained, waiting={10})
        assert found.eta is None and [warning.key for warning in found.warnings] == []
        assert found.running[0].waits and found.to_json()["running"][0]["waits"]
        console = Console(width=100)
        with console.capture() as said:
            console.print(render_run.status(found))
        assert "job 7_0, waits in the queue" in said.get()


@pytest.mark.parametrize("word", ["SUSPENDED", "STOPPED"])
def test_a_suspended_job_is_shown_and_nobody_expects_an_end_of_it(word: str) -> None:
    build, trained = in_jobs(1, 99.0)
    for hours in (1, 30):
        found = look(build, 1000 + hours * 3600, running_seconds=trained, jobs=jobs(word))
        assert found.eta is None and not any(each.at for each in found.milestones)
        assert found.rate_per_hour == 36.0, "what stands still says nothing about the speed"
        assert found.running[0].suspended and found.to_json()["running"][0]["suspended"]
        assert [warning.key for warning in found.warnings] == []
        console = Console(width=100)
        with console.capture() as said:
            console.print(render_run.status(found))
        assert "job 7_0 on n1, suspended" in said.get() and "done in" not in said.get()
    assert "1 suspended" in queue_in_words(jobs(word)) and "running" not in queue_in_words(jobs(word))


def test_the_hours_of_a_suspension_move_no_eta_afterwards() -> None:
    def lasts(at: float, trained: float, *states: str) -> float:
        build, seconds = in_jobs(len(states), trained)
        found = look(build, at, running_seconds=seconds, jobs=jobs(*states))
        assert found.eta is not None
        return (found.eta - found.now).total_seconds()

    assert lasts(8000, 99.0, "RUNNING") == lasts(1000, 99.0, "RUNNING")
    assert lasts(8000, 99.0, "RUNNING", "SUSPENDED") == lasts(1000, 99.0, "RUNNING", "RUNNING")
    assert lasts(8000, 7000.0, "RUNNING") > lasts(1000, 99.0, "RUNNING"), "a trial that does train, and long, moves it"


@pytest.mark.parametrize(
    ("states", "says"),
    [
        (("RUNNING", "SUSPENDED", "PENDING"), "1 running, 1 suspended, 1 waiting"),
        (("SUSPENDED", "SUSPENDED"), "2 suspended"),
        (("RUNNING", "COMPLETING"), "2 running"),
    ],
)
def test_the_queue_counts_what_is_suspended_apart(states: tuple[str, ...], says: str) -> None:
    found = [
        QueuedJob(str(at), "array", word, word == "PENDING", suspended=word in STILL) for at, word in enumerate(states)
    ]
    assert queue_in_words(found) == says
    assert (
        queue_in_words([QueuedJob("9", "finisher", "SUSPENDED", node="n1", suspended=True)])
        == "finisher 9 on n1 suspended"
    )
