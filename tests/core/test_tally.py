"""What a study answers at once is what looking through all its trials would answer, after any sequence of events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from outlast.core.best import best_trial, is_best
from outlast.core.budget import counted, in_flight
from outlast.core.fold import Study
from outlast.core.plan import Limits, target_value_reached
from outlast.core.records import (
    Attempt,
    AttemptEnded,
    AttemptOpened,
    Event,
    RunStarted,
    Trial,
    TrialCreated,
    TrialFits,
    TrialRetried,
)
from outlast.core.states import Cause, TrialState
from outlast.core.sums import Sums, moment_of

ENDS = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.INFEASIBLE, TrialState.INTERRUPTED]
WORDS = ["complete", "pruned", "failed", "infeasible"]
INTO = {"complete": "complete", "pruned": "pruned", "failed": "wasted", "infeasible": "wasted"}


@dataclass(frozen=True)
class Metric:
    goal: str
    name: str = "loss"


def at_minute(minute: int) -> str:
    return f"2026-01-01T00:{minute:02d}:00.000+00:00"


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = [RunStarted("2026-01-01T00:00:00+00:00")]
    trials: dict[int, int] = {}
    for step in range(draw(st.integers(0, 40))):
        at = at_minute(draw(st.sampled_from([step, step, 0, 1, 5, 20])))  # clocks are set, and moments are equal
        kind = draw(st.sampled_from(["create", "open", "end", "end", "misfit", "fits", "retry"]))
        if kind == "create" or not trials:
            number = draw(st.integers(0, 12))
            trials.setdefault(number, 0)
            source = draw(st.sampled_from(["sampler", "sampler", "imported"]))
            events.append(TrialCreated(number, at, source=source))
            continue
        number = draw(st.sampled_from(sorted(trials)))
        if kind == "open":
            trials[number] += 1
            resumed, gpus = draw(st.booleans()), draw(st.sampled_from([(), (), ("GPU-a", "GPU-b")]))
            events.append(AttemptOpened(number, trials[number], at, resumed=resumed, code=f"c{step % 3}", gpus=gpus))
        elif kind == "retry":
            events.append(TrialRetried(number, at))
        elif kind == "fits":
            events.append(TrialFits(number, at))
        elif kind == "misfit":
            events.append(AttemptEnded(number, trials[number], at, TrialState.FAILED, Cause.SPACE_CHANGED))
        else:
            state = draw(st.sampled_from(ENDS))
            value = draw(st.sampled_from([-1.0, 0.0, 0.5, 2.0, float("nan"), float("inf")]))
            values = (value,) if state is TrialState.COMPLETE else None
            cause = draw(st.sampled_from([Cause.COMPLETED, Cause.WALLTIME, Cause.NEVER_STARTED]))
            seconds, saved = draw(st.sampled_from([0.0, 0.1, 99.7])), draw(st.booleans())
            curves = draw(st.sampled_from([(), (((0, 0.5), (1, 0.6)),), (((1, 0.5),),)]))
            ended = AttemptEnded(number, max(1, trials[number]), at, state, cause, "", values, curves, seconds=seconds)
            events.append(replace(ended, saved=saved))
    return events


@st.composite
def chains(draw: st.DrawFn) -> list[Event]:
    """One trial, whose attempts mostly go on from each other."""
    events: list[Event] = [TrialCreated(0, at_minute(0))]
    for number in range(1, draw(st.integers(2, 4)) + 1):
        resumed, steps = (
            draw(st.sampled_from([True, True, True, False])),
            draw(st.sampled_from([(), (0, 1, 2), (2, 3), (1,)])),
        )
        events.append(AttemptOpened(0, number, at_minute(number), resumed=resumed))
        state = draw(st.sampled_from([TrialState.INTERRUPTED, TrialState.INTERRUPTED, TrialState.COMPLETE]))
        curves, cause = (tuple((step, 0.5) for step in steps),), Cause.PREEMPTED
        ended = AttemptEnded(0, number, at_minute(number), state, cause, "", (0.5,), curves, seconds=10.0)
        events.append(ended)
        if state.finished:
            break
    return events


def check(study: Study) -> None:
    trials = study.trials.values()
    assert study.next_number == max(study.trials, default=-1) + 1
    assert study.counts() == Counter(trial.state for trial in trials)
    for states in combinations(TrialState, 2):
        assert study.in_state(*states) == [t for _, t in sorted(study.trials.items()) if t.state in states]
    assert in_flight(study) == sum(not trial.state.finished for trial in trials)
    assert study.counts()[TrialState.FAILED] == sum(trial.state is TrialState.FAILED for trial in trials)
    for count in (WORDS[:1], WORDS[:2], [*WORDS[:2], "infeasible"], WORDS):
        slow = sum(t.state.value in count and t.cause is not Cause.SPACE_CHANGED for t in trials)
        assert counted(study, count) == slow
    well = [t.finished_at for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED) and t.finished_at]
    assert study.latest_success == max(well, default=None)
    values = [t.value for t in trials if t.state is TrialState.COMPLETE and t.value is not None]
    for target in (-1.0, 0.25, 2.0):
        for up in (True, False):
            slow_reached = any(value >= target if up else value <= target for value in values)
            goal = Metric("maximize" if up else "minimize")
            best = best_trial(study, [goal])
            assert [t for t in trials if is_best(study, t, [goal])] == ([] if best is None else [best])
            assert target_value_reached(study, Limits(None, target_value=target, maximize=up)) == slow_reached


def told(sums: Sums) -> dict[str, Any]:
    """What was added and taken away again may be a zero, or an empty list."""
    found = asdict(sums)
    nested = {
        name: {key: each for key, each in found[name].items() if each} for name in ("hours", "card_hours", "by_end")
    }
    return {**found, **nested}


def added_up(study: Study) -> dict[str, Any]:
    """The same from looking at each attempt, without sums."""
    here = [trial for trial in study.trials.values() if trial.source != "imported"]
    ended = [(trial, each) for trial in here for each in trial.attempts if each.outcome is not None]
    spans = sorted((datetime.fromisoformat(each.opened_at), each.outcome.seconds) for _, each in ended)
    stretches: list[tuple[datetime, datetime]] = []
    for begin, seconds in spans:
        end = begin + timedelta(seconds=seconds)
        if stretches and begin - stretches[-1][1] <= timedelta(minutes=1):
            begin, end = stretches[-1][0], max(stretches.pop()[1], end)
        stretches.append((begin, end))
    finished = sorted((t for t in here if t.state.finished), key=lambda t: (t.finished_at or "", -t.number))
    lost = [each.outcome.at for _, each in ended if each.outcome.cause is Cause.WALLTIME and not each.outcome.saved]
    spent: Counter[str] = Counter()
    for trial, each in ended:
        if each.outcome.cause is not Cause.NEVER_STARTED:
            spent["used"] += each.outcome.seconds
            into, (part, went_on) = INTO.get(trial.state.value, "open"), share(trial, each)
            stands = part * each.outcome.seconds
            spent[into] += stands
            spent["saved"] += stands if went_on and into != "wasted" else 0.0
            spent["wasted"] += each.outcome.seconds - stands
    return {
        "training": sum(each.seconds for t in study.trials.values() for each in t.ended),
        "hours": {name: pytest.approx(seconds) for name, seconds in spent.items() if seconds > 1e-6},
        "stretches": stretches,
        "by_end": [trial.number for trial in finished],
        "walltimes": (
            sum(each.outcome.cause is Cause.WALLTIME for _, each in ended),
            len(lost),
            min(lost, default=None),
        ),
        "began": min((each.opened_at for trial in here for each in trial.attempts), default=None),
        "ended": max((each.outcome.at for _, each in ended), default=None),
    }


def share(trial: Trial, attempt: Attempt) -> tuple[float, bool]:
    """Of an attempt that stands: its steps before the first one of those that went on from it; and whether any did."""
    chain = [a for a in trial.attempts if a.outcome is None or a.outcome.cause is not Cause.NEVER_STARTED]
    steps = {a.number: {step for curve in (a.outcome.curves if a.outcome else ()) for step, _ in curve} for a in chain}
    later = chain[chain.index(attempt) + 1 :]
    if not all(each.resumed for each in later):
        return 0.0, False
    behind, mine = set().union(*(steps[each.number] for each in later)), steps[attempt.number]
    if not later or not behind:
        return float(not later or bool(mine) or not any(steps.values())), False
    kept = sum(step < min(behind) for step in mine) / len(mine) if mine else 0.0
    return kept, kept > 0


@given(st.one_of(histories(), chains()))
def test_what_trials_add_up_to_is_what_their_attempts_say(events: list[Event]) -> None:
    study = Study()
    for event in events:
        study.apply(event)
    sums = study.sums
    numbers = [number for of_one in sums.by_end.values() for number in of_one]
    assert {
        "training": pytest.approx(sums.training / 1e9),
        "hours": {name: spent / 1e9 for name, spent in sums.hours.items() if spent > 1e3},
        "stretches": [(moment_of(begin), moment_of(end)) for begin, end in sums.stretches],
        "by_end": sorted(numbers, key=lambda number: (study.trials[number].finished_at or "", -number)),
        "walltimes": (sums.walltimes, sums.unsaved, sums.unsaved_at),
        "began": sums.began,
        "ended": sums.ended,
    } == added_up(study)
    for state, of_one in sums.by_end.items():
        assert of_one == [n for n in added_up(study)["by_end"] if study.trials[n].state is state]


class Watched(list[int]):
    """Says how many of its items were read, one by one or in a slice."""

    read = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.read += len(found) if isinstance(at, slice) else 1
        return found


def test_of_thousands_that_change_at_once_each_is_found_without_walking_over_the_others() -> None:
    study, many = Study(), 3000
    for number in range(many):
        at = (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=number)).isoformat(timespec="milliseconds")
        study.apply(TrialCreated(number, at))
        study.apply(AttemptOpened(number, 1, at))
        study.apply(AttemptEnded(number, 1, at, TrialState.COMPLETE, Cause.COMPLETED, "", (0.5,), seconds=1.0))
    sums = study.sums
    complete, failed = Watched(sums.by_end[TrialState.COMPLETE]), Watched()
    sums.by_end = {TrialState.COMPLETE: complete, TrialState.FAILED: failed}
    for number in range(many):  # a new version of the study file holds none of them
        study.apply(AttemptEnded(number, 1, at, TrialState.FAILED, Cause.SPACE_CHANGED))
    assert not complete
    for number in range(many):
        sums.enter(study.trials[number], None, study.trials)
    assert len(failed) == many
    for number in range(0, many, 2):  # and the next one holds every second
        sums.leave(study.trials[number], study.trials)
    assert len(failed) == many // 2
    assert complete.read + failed.read < 50 * many


@given(histories(), st.integers(1, 9))
def test_what_trials_add_up_to_is_that_of_looking_at_all_of_them(events: list[Event], often: int) -> None:
    study = Study()
    for at, event in enumerate(events):
        study.apply(event)
        if at % often == 0:
            assert told(study.sums) == told(Sums.of(study.trials))
    assert told(study.sums) == told(Sums.of(study.trials))


@given(histories())
def test_every_answer_is_that_of_looking_through_all_trials(events: list[Event]) -> None:
    study = Study()
    for event in events:
        study.apply(event)
        check(study)


@given(histories())
def test_a_copy_of_a_study_answers_for_itself(events: list[Event]) -> None:
    study = Study()
    for event in events:
        study.apply(event)
    copied = replace(study, trials={n: replace(t) for n, t in study.trials.items()})
    copied.apply(TrialCreated(copied.next_number, "2026-01-02T00:00:00+00:00"))
    check(copied)
    check(study)
