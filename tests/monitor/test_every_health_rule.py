"""Each rule fires on what was made for it, and on nothing else in the table; the facts of a study in good health set off none."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.records import AttributeSet, Trial
from outlast.core.states import Cause, TrialState
from outlast.monitor.health import EVERY_RULE, HealthFacts, HealthWarning, begun_well, health
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.testing.studies import StudyBuilder

HOUR = 3600.0
FILE = {
    "name": "digits",
    "command": ["true"],
    "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}, "width": [1, 2]},
    "budget": {"trials": 1000},
}
CURVE = (tuple((step, 0.5) for step in range(10)),)
Made = Callable[[StudyBuilder], dict[str, Any]]


def of(**changes: Any) -> Settings:
    return settings_from_resolved({**FILE, **changes}, ".")


def searched(build: StudyBuilder, trials: int = 60, *, seed: int = 1, **fields: Any) -> None:
    """A search in good health: trials of ten epochs and ten minutes each, side by side with nobody."""
    drawn = random.Random(seed)
    for number in range(trials):
        lr = drawn.random()
        build.trial({"lr": lr, "width": 1}, values=0.5 + 0.1 * drawn.random(), at=600 * number, seconds=600, curves=CURVE,
                    **fields)  # fmt: skip


def running(build: StudyBuilder, at: float, **opened: Any) -> int:
    number = build.trial({"lr": 0.123456, "width": 2}, TrialState.CREATED, at=at)
    build.attempt(number, TrialState.RUNNING, at=at, **opened)
    return number


def failed(build: StudyBuilder, times: int, **fields: Any) -> None:
    for number in range(times):
        build.trial({"lr": number / 100}, TrialState.FAILED, at=number, **{"signature": str(number), **fields})


# Each makes a study and says at which second it is looked at, by which study file, and what the machine told.


def left_alone(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 2)
    return {"at": 1300, "live": False}


def holder_silent(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 2)
    return {"at": 1300, "facts": HealthFacts(holder_silent=70.0)}


def holder_stopped(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 10, "facts": HealthFacts(holder_silent=5.0, holder_stopped=True)}


def disk(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 10, "facts": HealthFacts(disk_free=2**30, disk_total=2**40)}


def purge(build: StudyBuilder) -> dict[str, Any]:
    facts = HealthFacts(untouched_days={"study.yaml": 28.0})
    return {"at": 10, "settings": of(slurm={"purge_days": 30}), "facts": facts}


def contention(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 2000, "facts": HealthFacts(takeovers=tuple(build.at(each) for each in (0, 500, 900, 1300, 1700)))}


def not_told(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 10, "facts": HealthFacts(untold="1:ntfy: the service did not take it")}


def not_sent(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 10, "facts": HealthFacts(unsent="mlflow: the server gave no answer")}


def same_failure(build: StudyBuilder) -> dict[str, Any]:
    failed(build, 3, signature="abc", reason="XLNet does not support gradient checkpointing")
    return {"at": 100}


def failure_rate(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 7)
    failed(build, 7)
    return {"at": 4200}


def no_result(build: StudyBuilder) -> dict[str, Any]:
    for number in range(3):
        build.trial({"lr": number}, TrialState.INFEASIBLE, reason="CUDA out of memory")
    return {"at": 100}


def all_pruned(build: StudyBuilder) -> dict[str, Any]:
    for number in range(10):
        build.trial({"lr": number}, TrialState.PRUNED, curves=CURVE)
    return {"at": 100}


def database_locked(build: StudyBuilder) -> dict[str, Any]:
    failed(build, 1, reason="sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked")
    return {"at": 100}


def database_locked_in_a_log(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 100, "facts": HealthFacts(locked=("trial 7",))}


def pruner_without_values(build: StudyBuilder) -> dict[str, Any]:
    for number in range(3):
        build.trial({"lr": number}, values=0.5)
    return {"at": 100, "settings": of(pruner="asha")}


def short_walltime(build: StudyBuilder) -> dict[str, Any]:
    for number in range(3):
        build.trial({"lr": number}, TrialState.INTERRUPTED, cause=Cause.WALLTIME)
    return {"at": 100}


def walltime_that_will_be_too_short(build: StudyBuilder) -> dict[str, Any]:
    build.trial(values=0.5, seconds=4000)
    return {"at": 4100, "facts": HealthFacts(walltime=HOUR)}


def nothing_completed(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 2)
    running(build, 1200)
    return {"at": 1200 + 2.1 * HOUR}


def silent(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 2)
    one, other = running(build, 1200), running(build, 1200)
    return {"at": 1200 + 0.6 * HOUR, "facts": HealthFacts(quiet={one: 2000.0, other: 1900.0})}


def hung_trial(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 2)
    one, other = running(build, 1200), running(build, 1200)
    return {"at": 1900, "facts": HealthFacts(quiet={one: 650.0, other: 12.0})}


def stale_worker(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 100, "facts": HealthFacts(lost_touch={running(build, 0): 75.0})}


def long_trial(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 2)
    build.trial(values=0.6, at=23.5 * HOUR)
    running(build, 0)
    return {"at": 24.1 * HOUR}


def idle_card(build: StudyBuilder) -> dict[str, Any]:
    running(build, 0, gpus=["GPU-1"])
    return {"at": 700, "facts": HealthFacts(idle_cards={"GPU-1": 650.0, "GPU-2": 9000.0})}


def clock_set(build: StudyBuilder) -> dict[str, Any]:
    return {"at": 10, "facts": HealthFacts(clock_jump=-3600.0)}


def clock_behind_the_records(build: StudyBuilder) -> dict[str, Any]:
    searched(build, 3)
    return {"at": 60}


def clock_that_went_back_during_a_trial(build: StudyBuilder) -> dict[str, Any]:
    number = build.trial({"lr": 0.5}, TrialState.CREATED)
    build.attempt(number, TrialState.RUNNING, at=0)
    build.finish(number, at=60, seconds=3660, values=0.5)
    return {"at": 100}


def duplicates(build: StudyBuilder) -> dict[str, Any]:
    for number in range(30):
        build.trial({"lr": 0.1 * (number % 3)}, values=0.5, at=60 * number)
    return {"at": 1900}


def no_new_best(build: StudyBuilder) -> dict[str, Any]:
    drawn = random.Random(3)
    for number in range(300):
        value = 0.9 if number == 20 else 0.7 + 0.1 * math.sqrt(drawn.random())
        build.trial({"lr": drawn.random()}, values=value, at=60 * number)
    return {"at": 60 * 300}


def at_border(build: StudyBuilder) -> dict[str, Any]:
    drawn = random.Random(5)
    for number in range(60):
        lr = drawn.random()
        build.trial({"lr": lr}, values=lr + 0.01 * drawn.random(), at=60 * number)
    return {"at": 3700}


MADE: list[Made] = [
    left_alone, holder_silent, holder_stopped, disk, purge, contention, not_told, not_sent, same_failure, failure_rate, no_result,
    all_pruned, database_locked, database_locked_in_a_log, pruner_without_values, short_walltime, walltime_that_will_be_too_short,
    nothing_completed, silent, hung_trial, stale_worker, long_trial, idle_card, clock_set, clock_behind_the_records,
    clock_that_went_back_during_a_trial, duplicates, no_new_best, at_border,
]  # fmt: skip
KEYS = {
    "holder_stopped": "holder_silent",
    "database_locked_in_a_log": "database_locked",
    "walltime_that_will_be_too_short": "short_walltime",
    "clock_set": "clock_jump",
    "clock_behind_the_records": "clock_jump",
    "clock_that_went_back_during_a_trial": "clock_jump",
}


def looked_at(made: Made) -> list[HealthWarning]:
    build = StudyBuilder()
    build.run(0)
    how = {"settings": of(), "live": True, "facts": HealthFacts(), **made(build)}
    return health(build.study, how["settings"], now=build.moment(how["at"]), live=how["live"], folder="studies/digits",
                  facts=how["facts"])  # fmt: skip


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.__name__)
def test_a_rule_fires_on_what_was_made_for_it_and_no_other_does(made: Made) -> None:
    (found,) = looked_at(made)
    assert found.key == KEYS.get(made.__name__, made.__name__)
    assert found.text and found.cure and "\n" not in found.text


def test_every_rule_is_in_the_table() -> None:
    fired = {looked_at(made)[0].key for made in MADE}
    assert fired == {rule.__name__ for rule in EVERY_RULE}


def test_what_began_at_a_known_moment_says_so() -> None:
    since = {found.key: found.since for made in MADE for found in looked_at(made)[:1]}
    nobody_knows = {
        "not_told",
        "not_sent",
        "disk",
        "purge",
        "stale_worker",
        "idle_card",
        "short_walltime",
        "at_border",
        "clock_jump",
        "database_locked",
    }
    assert {key for key, at in since.items() if not at} <= nobody_knows


def test_four_failures_in_eleven_are_a_note_and_no_trouble_yet() -> None:
    build = StudyBuilder()
    build.run(0)
    searched(build, 7)
    failed(build, 4)
    (found,) = health(build.study, of(), now=build.moment(4200), live=True)
    assert (found.key, found.level) == ("failure_rate", "note")


def test_trials_that_are_pruned_before_the_first_completes_are_no_trouble_while_one_outlives_them() -> None:
    build = StudyBuilder()
    build.run(0)
    one = running(build, 0)
    for number in range(12):
        build.trial({"lr": number}, TrialState.PRUNED, at=60 * number, curves=CURVE)
    assert health(build.study, of(), now=build.moment(800), live=True) == []
    build.finish(one, TrialState.PRUNED, at=800, seconds=800)
    assert [each.key for each in health(build.study, of(), now=build.moment(800), live=True)] == ["all_pruned"]


def test_a_search_in_good_health_sets_off_none() -> None:
    build = StudyBuilder()
    build.run(0)
    searched(build)
    one = running(build, 36_000, gpus=["GPU-1"])
    facts = HealthFacts(
        disk_free=2**42, disk_total=2**43, inodes_free=10**7, quiet={one: 300.0}, lost_touch={one: 6.0}, holder_silent=9.0,
        takeovers=(build.at(0), build.at(30_000)), idle_cards={"GPU-1": 9000.0}, walltime=7200.0, clock_jump=0.02,
    )  # fmt: skip
    assert health(build.study, of(pruner="asha"), now=build.moment(36_400), live=True, facts=facts) == []


@pytest.mark.parametrize(
    "opened, trained", [(None, None), (4, None), (1, 0.1)]
)  # nothing runs; just begun; a job waited
def test_a_study_that_waits_is_no_trouble(opened: float | None, trained: float | None) -> None:
    build = StudyBuilder()
    build.run(0)
    searched(build, 2)
    one = None if opened is None else running(build, opened * HOUR)
    facts = None if one is None or trained is None else {one: trained * HOUR}
    found = snapshot(build.study, of(), now=build.moment(4.1 * HOUR), live=LiveFacts(), running_seconds=facts)
    assert found.warnings == ()


def test_a_run_that_died_is_a_note_where_a_supervisor_begins_it_again() -> None:
    build = StudyBuilder()
    build.run(0)
    (found,) = health(build.study, of(), now=build.moment(9), live=False, facts=HealthFacts(supervised=True))
    assert (found.key, found.level) == ("left_alone", "note")


def test_trainings_that_always_print_once_an_hour_are_not_silent() -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial({"lr": 0.3}, values=0.5, seconds=10 * HOUR, curves=CURVE)
    one = running(build, 10 * HOUR)
    facts = HealthFacts(quiet={one: 5 * HOUR})
    assert health(build.study, of(), now=build.moment(14 * HOUR), live=True, facts=facts) == []


def test_that_the_first_trials_ended_well_is_told_once_they_have() -> None:
    build = StudyBuilder()
    build.run(0)
    for _ in range(2):
        build.trial(values=0.5)
        assert begun_well(build.study, of(), now=build.moment(100)) is None
    build.trial(state=TrialState.PRUNED, at=60)
    found = begun_well(build.study, of(), now=build.moment(100))
    assert found is not None
    assert (found.key, found.since, found.level) == ("begun_well", build.at(120), "note")


def test_a_search_that_began_badly_did_not_begin_well() -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial(state=TrialState.FAILED)
    for _ in range(3):
        build.trial(values=0.5, at=60)
    assert begun_well(build.study, of(), now=build.moment(100)) is None


class Asked(dict[int, Trial]):
    """Says how often a trial was asked for."""

    times = 0

    def __getitem__(self, number: int) -> Trial:
        self.times += 1
        return super().__getitem__(number)


def test_a_long_search_that_began_badly_is_not_looked_through_for_its_first_trials() -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial(state=TrialState.FAILED)
    for number in range(1000):
        build.trial(values=0.5, at=60 * number)
    build.study.trials = asked = Asked(build.study.trials)
    assert begun_well(build.study, of(), now=build.moment(60_000)) is None
    assert asked.times < 300


def test_trials_that_lost_everything_to_a_walltime_did_so_since_the_first() -> None:
    build = StudyBuilder()
    build.run(0)
    build.trial({"lr": 0.1}, TrialState.INTERRUPTED, at=0, cause=Cause.WALLTIME, saved=True)
    for number in range(3):
        build.trial({"lr": 0.2}, TrialState.INTERRUPTED, at=500 - 100 * number, cause=Cause.WALLTIME)
    (found,) = health(build.study, of(), now=build.moment(700), live=True)
    assert (found.key, found.since) == ("short_walltime", build.at(360))


def test_where_some_break_a_constraint_no_new_best_is_of_those_that_keep_them() -> None:
    build = StudyBuilder()
    build.run(0)
    no_new_best(build)
    (found,) = health(build.study, of(), now=build.moment(60 * 300), live=True)
    assert "no new best for 279 complete trials, since trial 20" in found.text
    for number in range(100, 110):
        build.study.apply(AttributeSet(number, "constraints:c", "1.0", system=True))
    (found,) = health(build.study, of(), now=build.moment(60 * 300), live=True)
    assert "no new best for 269 complete trials that keep the constraints, since trial 20" in found.text
