"""Trials that were tried out, and what they say together: which value is to blame, whether the metric was seen. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.finding import Finding
from outlast.core.plain_json import plain_json
from outlast.core.records import AttemptEnded
from outlast.core.states import Cause
from outlast.runner.capture.names import nearest_names
from outlast.space.covering import Value, small_categoricals
from outlast.space.space import same

_MOST_NAMES = 40


class Tried(Struct, frozen=True):
    """One trial that was run."""

    number: int  # in the order of the try
    params: Mapping[str, Any]  # its configuration, constants left out
    # passed; failed; skipped where the derive hook ruled it out; interrupted by a Ctrl-C
    outcome: Literal["passed", "failed", "skipped", "interrupted"]
    cause: str = ""  # of its end, a word of `outlast.core.states.Cause`
    reason: str = ""  # of a failure, with the traceback's last line; of a pass, how it ended
    seconds: float = 0.0  # of training
    scores: Mapping[str, float] = {}  # the objectives that were found
    metrics: Mapping[str, float] = {}  # every metric name that was seen, with its last value
    notes: tuple[str, ...] = ()  # what the search for the objectives noted
    traceback: str = ""  # the last one in its output, else the last lines of it; empty for a trial that passed

    def to_json(self) -> dict[str, Any]:
        """Plain object."""
        return dict(plain_json(asdict(self)))


def findings_of(settings: Settings, tried: Sequence[Tried], unreached: Sequence[Value]) -> Iterator[Finding]:
    """Everything to be said about the trials as a whole."""
    yield from _trials(settings, tried)
    for name, value in unreached:
        text = f"{name}={value_text(value)} was not tried: no configuration with it satisfies the constraints"
        yield Finding("space", "note", text)
    for trial in tried:
        if trial.outcome == "skipped":
            yield Finding("space", "note", f"trial {trial.number} was not run: {trial.reason}")
    yield from _metrics(settings, tried)


def runs(tried: Sequence[Tried]) -> list[Tried]:
    """The trials that say nothing against their configuration.

    Where no trial at all gave a value of the metric, its name is wrong: then those that ended without one ran as well.
    """
    nameless = not any(trial.scores for trial in tried)
    return [t for t in tried if t.outcome == "passed" or (nameless and t.cause == Cause.NO_SCORE)]


def culprits(settings: Settings, tried: Sequence[Tried]) -> list[tuple[Value, int]]:
    """Values that every trial with them failed with, while others passed; and how many trials that were."""
    run = [trial for trial in tried if trial.outcome in ("passed", "failed")]
    good = {trial.number for trial in runs(tried)}
    found: list[tuple[Value, int]] = []
    for name, values in small_categoricals(settings.space).items():
        for value in values:
            own = [trial for trial in run if has_value(trial, name, value)]
            others = [trial for trial in run if trial not in own]
            if own and good.isdisjoint(t.number for t in own) and not good.isdisjoint(t.number for t in others):
                found.append(((name, value), len(own)))
    return found


def has_value(trial: Tried, name: str, value: Any) -> bool:
    """Whether the trial's configuration has this value of the parameter."""
    return name in trial.params and same(trial.params[name], value)


def reason_of(event: AttemptEnded, evidence: Evidence) -> str:
    """Why an attempt ended as it did, without what the search for the metric noted on the side."""
    return event.reason.removesuffix("; ".join(evidence.notes)).removesuffix("; ")


def value_text(value: Any) -> str:
    """A parameter's value in a line of text."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _trials(settings: Settings, tried: Sequence[Tried]) -> Iterator[Finding]:
    good = runs(tried)
    failed = [trial for trial in tried if trial.outcome == "failed" and trial not in good]
    if not failed:
        if good and all(trial.outcome == "passed" for trial in good):
            yield Finding("trials", "ok", f"{len(good)} of {len(good)} passed")
        return
    if not good:
        reasons = {trial.reason for trial in failed}
        alike = "every trial failed, all alike: " if len(reasons) == 1 else "every trial failed; the first: "
        yield Finding("trials", "error", alike + failed[0].reason, "run the command by hand")
        return
    yield Finding("trials", "error", f"{len(failed)} of {len(failed) + len(good)} failed")
    explained: set[int] = set()
    for (name, value), count in culprits(settings, tried):
        mine = [trial for trial in failed if has_value(trial, name, value)]
        explained |= {trial.number for trial in mine}
        many = "the only trial" if count == 1 else f"all {count} trials"
        text = f"{name}={value_text(value)} cannot run: {many} with it failed, others did not ({mine[0].reason})"
        yield Finding("parameter", "error", text, "take the value out, or mend the script")
    for trial in failed:
        if trial.number not in explained:
            text = f"trial {trial.number} fails although each of its values runs in other trials: a combination"
            yield Finding("parameter", "note", text, "a constraint can rule it out")


def _metrics(settings: Settings, tried: Sequence[Tried]) -> Iterator[Finding]:
    seen: dict[str, float] = {}
    for trial in tried:
        seen.update(trial.metrics)
    for metric in settings.metrics:
        yield from _metric(metric.name, tried, seen)
    if seen:
        names = sorted(seen)
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield Finding("metrics seen", "ok", ", ".join(names[:_MOST_NAMES]) + more)


def _metric(name: str, tried: Sequence[Tried], seen: Mapping[str, float]) -> Iterator[Finding]:
    found = [trial for trial in tried if name in trial.scores]
    if found:
        notes = [note for note in found[0].notes if name in note]
        yield Finding("metric", "ok", "; ".join([f"{name} = {found[0].scores[name]:.6g}", *notes]))
        return
    ended = [trial for trial in tried if trial.outcome == "passed" or trial.cause == Cause.NO_SCORE]
    if not ended:
        return  # nothing ran: that is said already
    near = nearest_names(name, seen)
    if near:
        text = f"{name} was not found in any trial; seen were names like {', '.join(near)}"
        yield Finding("metric", "error", text, f"metric: {{name: {near[0]}, …}} if that is meant")
    elif any(trial.cause == Cause.NO_SCORE for trial in ended):
        text = f"{name} was not found in any trial" + ("" if seen else ", and no other metric either")
        cure = f"print `{name}=0.91`, or outlast.current_trial().report(step=…, {name}=…)"
        yield Finding("metric", "error", text, cure)
    else:
        yield Finding("metric", "note", f"{name} has not been reported within the limit", "--limit gives trials longer")
