"""How good the expected end is: searches are looked back at, and what was said of each is held against what came.

    python benchmarks/eta.py
    python benchmarks/eta.py --seeds 10
    python benchmarks/eta.py --record studies/digits

Each search is folded again from its events, and looked at whenever another twentieth of its target was reached, from one
fifth on. The error is that of the time still to go; the range is right where the search ended within it. Beside it stands the
plain rule: what is left, divided by the rate of late. Searches of `_eta_recordings.py` are simulated by kind and seed; those in
`recordings/` were real, and ``--record`` adds one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from _eta_recordings import COUNT, WORLDS, Recording, events, record, recorded, simulate

from outlast.core.budget import counted
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, StudyCreated
from outlast.core.states import TrialState
from outlast.monitor.eta import time_left
from outlast.monitor.rate import rate_per_hour

START = datetime(2026, 1, 5, tzinfo=timezone.utc)


class Look:
    """What was said at one moment, and what came."""

    def __init__(self, share: float, true: float, said: tuple[float, float, float], plain: float) -> None:
        self.share, self.true, self.said, self.plain, self.real = share, true, said, plain, False

    @property
    def error(self) -> float:
        """Of the median, as a share of the time that it took."""
        return abs(self.said[0] - self.true) / self.true

    @property
    def plain_error(self) -> float:
        """Of the plain rule."""
        return abs(self.plain - self.true) / self.true

    @property
    def held(self) -> bool:
        """Whether the range did."""
        return self.said[1] <= self.true <= self.said[2]


def looks(recording: Recording) -> Iterator[Look]:
    """What was said of one search."""
    study, done = Study(), 0
    study.apply(StudyCreated("a", START.isoformat(timespec="milliseconds"), 1))
    all_of_it = list(events(recording))
    end = max(at for at, event in all_of_it if isinstance(event, AttemptEnded) and event.state.value in COUNT)
    full = {(each.trial, round(each.at, 3)): each for each in recording.attempts}
    due = 0.2
    for place, (at, event) in enumerate(all_of_it):
        study.apply(event)
        if not isinstance(event, AttemptEnded) or (done := counted(study, COUNT)) / recording.target < due:
            continue
        due = done / recording.target + 0.05
        later = next((when for when, _ in all_of_it[place + 1 :] if when > at), at)
        now = at + 0.4 * (later - at)  # between two events, as a person would look
        true = end - now - sum(until - begin for begin, until in recording.pauses if begin > now)
        if true < 0.02 * end:
            continue
        slots = [slots for begin, slots in recording.runs if begin <= now][-1]
        steps = {}
        for trial in study.in_state(TrialState.RUNNING):
            opened = trial.open_attempt
            assert opened is not None
            begin = (datetime.fromisoformat(opened.opened_at) - START).total_seconds()
            known = full.get((trial.number, round(begin, 3)))
            if known is not None and (step := int(known.steps * (now - begin) / known.seconds)) > 0:
                steps[trial.number] = step - 1
        moment, left = START + timedelta(seconds=now), recording.target - done
        found = time_left(study, COUNT, left, now=moment, slots=slots, steps=steps)
        rate = rate_per_hour(study, COUNT, now=moment, live=True, slots=slots)
        if found is not None and rate:
            yield Look(done / recording.target, true, (found.seconds, found.low, found.high), left / rate * 3600)


def row(name: str, found: list[Look]) -> dict[str, Any]:
    """The figures of some looks."""
    wide = [(look.said[2] - look.said[1]) / look.true for look in found]
    return {
        "search": name,
        "looks": len(found),
        "error": statistics.median(look.error for look in found),
        "plain": statistics.median(look.plain_error for look in found),
        "held": sum(look.held for look in found) / len(found),
        "width": statistics.median(wide),
    }


def main() -> None:
    """Replay, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description="The expected end of recorded searches beside when they did end.")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each simulated kind")
    parser.add_argument("--first-seed", type=int, default=100, help="the method was tuned on seeds below 100")
    parser.add_argument("--json", type=Path, default=Path("studies/benchmarks/eta.json"))
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="keep the times of a study, and leave")
    args = parser.parse_args()
    if args.record is not None:
        print(record(args.record))
        return
    groups = {name: [simulate(name, args.first_seed + seed) for seed in range(args.seeds)] for name in WORLDS}
    groups |= {recording.name: [recording] for recording in recorded()}
    rows, every = [], []
    for name, recordings in groups.items():
        found = [look for recording in recordings for look in looks(recording)]
        for look in found:
            look.real = name not in WORLDS
        rows.append(row(name, found))
        every += found
    rows.append(row("all", every))
    rows.append(row("simulated", [look for look in every if not look.real]))
    if any(look.real for look in every):
        rows.append(row("real", [look for look in every if look.real]))
    print(f"{'search':<28} {'looks':>6} {'error':>7} {'plain':>7} {'in range':>9} {'width':>7}")
    for each in rows:
        print(
            f"{each['search']:<28} {each['looks']:>6} {each['error']:>7.1%} {each['plain']:>7.1%} {each['held']:>9.0%} "
            f"{each['width']:>7.0%}"
        )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rows, indent=2))
    whole = next(each for each in rows if each["search"] == "all")
    good = whole["error"] <= 0.2 and 0.7 <= whole["held"] <= 0.9
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
