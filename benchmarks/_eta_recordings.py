"""Searches to look back at: simulated ones by kind and seed, and real ones that were recorded."""

from __future__ import annotations

import heapq
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from outlast.core.records import AttemptEnded, AttemptOpened, Event, RunStarted, StudyEnded, TrialCreated
from outlast.core.states import Cause, TrialState

COUNT = ("complete", "pruned", "infeasible")


@dataclass(frozen=True)
class Attempt:
    """One attempt of a recorded search."""

    trial: int
    at: float  # seconds after the search began
    seconds: float
    state: TrialState
    steps: int = 0  # that it reported


@dataclass(frozen=True)
class Recording:
    """A search as it went."""

    name: str
    target: int
    runs: tuple[tuple[float, int], ...]  # when each run began, and its slots
    attempts: tuple[Attempt, ...]
    pauses: tuple[tuple[float, float], ...] = field(default=())  # from when until when nobody ran it


@dataclass(frozen=True)
class World:
    """What a simulated search is like."""

    seconds: Callable[[random.Random, int], float]  # of a complete trial, by its number
    trials: int = 200
    slots: int = 4
    steps: int = 20
    pruner: str = ""  # "median": late starters end at some step; "asha": at rungs
    failing: float = 0.0
    late_failing: bool = False  # failures take as long as complete trials
    interrupted: float = 0.0
    change: tuple[float, float, int] | None = None  # from this share of the target on: a new run, speed × , slots
    pause: float = 0.0  # seconds of a night midway


def lognormal(median: float, sigma: float) -> Callable[[random.Random, int], float]:
    """Seconds with that median."""
    return lambda drawn, _: median * math.exp(drawn.gauss(0, sigma))


def models(*medians: float) -> Callable[[random.Random, int], float]:
    """Models of different sizes, each as often."""
    return lambda drawn, _: drawn.choice(medians) * math.exp(drawn.gauss(0, 0.15))


def growing(begin: float, end: float, over: int) -> Callable[[random.Random, int], float]:
    """The sampler finds larger models better, until it has converged."""
    return lambda drawn, number: (begin + (end - begin) * min(1.0, number / over)) * math.exp(drawn.gauss(0, 0.3))


def pareto(scale: float, shape: float) -> Callable[[random.Random, int], float]:
    """A few very long ones."""
    return lambda drawn, _: scale * min(50.0, drawn.paretovariate(shape))


WORLDS: dict[str, World] = {
    "even": World(lognormal(60, 0.05)),
    "even, one slot": World(lognormal(60, 0.1), slots=1, trials=60),
    "lognormal 0.5": World(lognormal(300, 0.5)),
    "lognormal 1": World(lognormal(300, 1.0)),
    "lognormal 1, 16 slots": World(lognormal(300, 1.0), slots=16, trials=300),
    "heavy tail": World(pareto(100, 1.6)),
    "few trials": World(lognormal(900, 0.6), trials=30, slots=2),
    "few trials, as many slots": World(lognormal(900, 0.4), trials=40, slots=8),
    "four models": World(models(20, 60, 200, 600), slots=4),
    "two models, 1000 trials": World(models(30, 300), slots=8, trials=1000),
    "median pruning": World(lognormal(600, 0.4), pruner="median"),
    "median pruning, 12 slots": World(lognormal(600, 0.4), pruner="median", slots=12, trials=400),
    "ASHA": World(lognormal(600, 0.4), pruner="asha"),
    "ASHA, 800 trials": World(lognormal(600, 0.7), pruner="asha", slots=8, trials=800),
    "failures at once": World(lognormal(300, 0.4), failing=0.3),
    "failures late": World(lognormal(300, 0.4), failing=0.25, late_failing=True),
    "failures and pruning": World(lognormal(300, 0.6), failing=0.2, pruner="asha", slots=6, trials=300),
    "interruptions": World(lognormal(600, 0.3), interrupted=0.15),
    "growing": World(growing(100, 250, 100)),
    "growing soon": World(growing(100, 300, 40), trials=300),
    "shrinking": World(growing(300, 120, 120)),
    "faster hardware": World(lognormal(300, 0.4), change=(0.4, 0.4, 4)),
    "slower hardware": World(lognormal(300, 0.4), change=(0.3, 2.0, 4)),
    "more slots": World(lognormal(300, 0.4), change=(0.35, 1.0, 8)),
    "fewer slots": World(lognormal(300, 0.4), slots=8, change=(0.5, 1.0, 4)),
    "a night without": World(lognormal(300, 0.5), pause=30_000, change=(0.5, 1.0, 4)),
}


def simulate(name: str, seed: int) -> Recording:
    """One search of a kind."""
    world, drawn = WORLDS[name], random.Random(f"{name} {seed}")
    slots, speed, now = world.slots, 1.0, 0.0
    runs, attempts, pauses = [(0.0, slots)], [], []
    heap: list[tuple[float, int]] = []  # end, place in `attempts`
    waiting: list[int] = []
    counted = number = 0
    changed = world.change is None
    while counted < world.trials:
        while not (changed is False and world.change and counted >= world.change[0] * world.trials) and (
            len(heap) < slots and counted + len(heap) < world.trials
        ):
            trial = waiting.pop() if waiting else number
            number += trial == number
            full = world.seconds(drawn, trial) * speed
            seconds, state, steps = _outcome(world, drawn, full, trial)
            begin = now + drawn.uniform(0.01, 0.03) * 60
            attempts.append(Attempt(trial, begin, seconds, state, steps))
            heapq.heappush(heap, (begin + seconds, len(attempts) - 1))
        if not heap:  # everything has drained: the change
            assert world.change is not None
            changed, (_, speed, slots) = True, world.change
            if world.pause:
                pauses.append((now, now + world.pause))
                now += world.pause
            runs.append((now, slots))
            continue
        now, at = heapq.heappop(heap)
        if attempts[at].state is TrialState.INTERRUPTED:
            waiting.append(attempts[at].trial)
        counted += attempts[at].state.value in COUNT
    return Recording(f"{name} #{seed}", world.trials, tuple(runs), tuple(attempts), tuple(pauses))


def _outcome(world: World, drawn: random.Random, full: float, trial: int) -> tuple[float, TrialState, int]:
    if drawn.random() < world.failing:
        share = drawn.uniform(0.5, 1.0) if world.late_failing else drawn.uniform(0.0, 0.05)
        return share * full, TrialState.FAILED, int(share * world.steps)
    if drawn.random() < world.interrupted:
        share = drawn.random()
        return share * full, TrialState.INTERRUPTED, int(share * world.steps)
    if world.pruner == "median" and trial >= 10 and drawn.random() < 0.5:
        share = drawn.uniform(0.15, 0.9)
        return share * full, TrialState.PRUNED, max(1, int(share * world.steps))
    if world.pruner == "asha" and trial >= 4:
        share = 1 / 16
        while share < 1:
            if drawn.random() < 0.6:
                return share * full, TrialState.PRUNED, max(1, int(share * world.steps))
            share *= 4
    return full, TrialState.COMPLETE, world.steps


def events(recording: Recording) -> Iterator[tuple[float, Event]]:
    """What its ledger had, in order, with the second of each."""
    start = datetime(2026, 1, 5, tzinfo=timezone.utc)

    def at(seconds: float) -> str:
        return (start + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    found: list[tuple[float, int, Event]] = []
    tries: dict[int, int] = {}
    for begin, _ in recording.runs:
        found.append((begin, 0, RunStarted(at(begin), "box", 1)))
    for begin, _ in recording.pauses:
        found.append((begin, 3, StudyEnded(at(begin), "stopped", "", 0.0)))
    for each in sorted(recording.attempts, key=lambda each: each.at):
        tries[each.trial] = tries.get(each.trial, 0) + 1
        if tries[each.trial] == 1:
            found.append((each.at, 1, TrialCreated(each.trial, at(each.at), {})))
        found.append((each.at, 1, AttemptOpened(each.trial, tries[each.trial], at(each.at))))
        end = each.at + each.seconds
        cause = {TrialState.COMPLETE: Cause.COMPLETED, TrialState.PRUNED: Cause.PRUNED}.get(each.state, Cause.CRASH)
        found.append(
            (end, 2, AttemptEnded(each.trial, tries[each.trial], at(end), each.state, cause, seconds=each.seconds,
                                  last_step=each.steps - 1 if each.steps else None))
        )  # fmt: skip
    found.sort(key=lambda each: (each[0], each[1]))
    return ((when, event) for when, _, event in found)


PLACE = Path(__file__).with_name("recordings")


def recorded() -> list[Recording]:
    """The real searches that were kept."""
    found = []
    for file in sorted(PLACE.glob("*.json")):
        of = json.loads(file.read_text())
        attempts = tuple(
            Attempt(trial, at, s, TrialState(state), steps) for trial, at, s, state, steps in of["attempts"]
        )
        runs, pauses = (tuple((one, other) for one, other in of[name]) for name in ("runs", "pauses"))
        found.append(Recording(file.stem, of["target"], runs, attempts, pauses))
    return found


def record(folder: Path) -> Path:
    """Keep a study's times: when its attempts began, how long they took, how they ended. Nothing else of it."""
    from outlast.engine.attempts.slots import slot_count
    from outlast.engine.record.examine import read_sound
    from outlast.engine.record.recorded import recorded_settings
    from outlast.study.layout import StudyPaths

    reading, study = read_sound(StudyPaths.at(folder))
    settings, _ = recorded_settings(folder, study)
    known = reading.events
    start = min(_second(event.at) for event in known if isinstance(event, RunStarted))
    runs: list[tuple[float, int]] = []
    pauses: list[tuple[float, float]] = []
    stopped: float | None = None
    for event in known:
        if isinstance(event, StudyEnded):
            stopped = _second(event.at) - start
        elif isinstance(event, RunStarted):
            at = _second(event.at) - start
            if stopped is not None:
                pauses.append((round(stopped, 2), round(at, 2)))
            runs.append((round(at, 2), slot_count(settings)))
    attempts = [
        [trial.number, round(_second(attempt.opened_at) - start, 2), round(attempt.outcome.seconds, 2),
         attempt.outcome.state.value, (attempt.outcome.last_step or -1) + 1]
        for trial in study.trials.values() for attempt in trial.attempts if attempt.outcome is not None
    ]  # fmt: skip
    about = {"target": sum(t.state.value in COUNT for t in study.trials.values()), "runs": runs,
             "pauses": [(begin, end) for begin, end in pauses], "attempts": attempts}  # fmt: skip
    PLACE.mkdir(exist_ok=True)
    file = PLACE / f"{folder.name}.json"
    file.write_text(json.dumps(about, separators=(",", ":")) + "\n")
    return file


def _second(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
