"""What a study answers at once is what looking through all its trials would answer, after any sequence of events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from outlast.core.best import best_trial, is_best
from outlast.core.budget import counted, in_flight
from outlast.core.fold import Study
from outlast.core.plan import Limits, target_value_reached
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RunStarted,
    TrialCreated,
    TrialFits,
    TrialRetried,
)
from outlast.core.states import Cause, TrialState
from outlast.core.sums import Sums

ENDS = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.INFEASIBLE, TrialState.INTERRUPTED]
WORDS = ["complete", "pruned", "failed", "infeasible"]


@dataclass(frozen=True)
class Metric:
    goal: str
    name: str = "loss"


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = [RunStarted("2026-01-01T00:00:00+00:00")]
    trials: dict[int, int] = {}
    for step in range(draw(st.integers(0, 40))):
        at = f"2026-01-01T00:{step:02d}:00+00:00"
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
            cause, seconds = (
                draw(st.sampled_from([Cause.COMPLETED, Cause.WALLTIME])),
                draw(st.sampled_from([0.0, 0.1, 99.7])),
            )
            curves = draw(st.sampled_from([(), (((0, 0.5), (1, 0.6)),), (((1, 0.5),),)]))
            events.append(
                AttemptEnded(number, max(1, trials[number]), at, state, cause, "", values, curves, seconds=seconds)
            )
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
