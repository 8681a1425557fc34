"""What is known about studies as numbers for a scraper, in Prometheus' text format. Pure.

The format is that of Prometheus' "Exposition formats" (text-based, 0.0.4). Every sample names its study and its folder, so
that two of one name are two; what is not known has no sample. Totals of a campaign are sums, which whoever asks for them adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from outlast.core.moments import parse_time
from outlast.core.states import STATE_ORDER, StudyState
from outlast.monitor.health import HealthWarning
from outlast.monitor.health.rules_of_campaigns import study_health
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import Snapshot

#: What `status --format prometheus` and `serve` call it.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = (*(state.value for state in StudyState), "unreadable", "cannot start", "not begun")
_Sample = tuple[Mapping[str, str], float]

#: Metric → what it says. All are gauges.
METRICS: dict[str, str] = {
    "outlast_study_state": "1 for the state that the study is in, 0 for the others.",
    "outlast_study_up": "Whether somebody runs the study (1) or not (0).",
    "outlast_study_weight": "The study's part of its campaign's slots, as compared with the others'.",
    "outlast_trials": "Trials by state.",
    "outlast_trials_counted": "Trials that count towards the target.",
    "outlast_trials_target": "Trials that the study is to reach.",
    "outlast_trials_per_second": "Trials that count, a second, of late.",
    "outlast_slots": "Attempts side by side, of a study that somebody runs.",
    "outlast_best_value": "The best trial's value, by metric and goal.",
    "outlast_best_trial": "The number of the best trial.",
    "outlast_expected_end_timestamp_seconds": "When the study is expected to be done: median, and ends of a range of 80%.",
    "outlast_run_start_timestamp_seconds": "When the run that goes on began.",
    "outlast_training_seconds": "Seconds that ended attempts trained, all slots together.",
    "outlast_gpu_seconds": "Seconds of GPUs by what they went into.",
    "outlast_warnings": "1 for each thing that is wrong, by key and level.",
    "outlast_coordinator_restarts": "How often the supervisor began the study's coordinator again.",
    "outlast_supervisor_up": "Whether somebody looks after the campaign (1) or not (0).",
    "outlast_look_timestamp_seconds": "When this was looked at.",
}


def exposition(overview: Overview) -> str:
    """All of `METRICS`, of each study."""
    found: dict[str, list[_Sample]] = {name: [] for name in METRICS}
    for sight in overview.sights:
        labels = {"study": sight.name, "dir": sight.folder}
        for name, more, value in _of(sight, overview):
            found[name].append(({**labels, **more}, value))
    whole = {"campaign": overview.name, "dir": overview.folder}
    if overview.is_campaign:
        found["outlast_supervisor_up"].append((whole, float(overview.supervisor is not None)))
    for name, more, value in _warnings(each for each in overview.findings if not each.study):
        found[name].append(({**whole, **more}, value))
    found["outlast_look_timestamp_seconds"].append((whole, overview.now.timestamp()))
    return "".join(line for name, samples in found.items() for line in _lines(name, samples))


def _warnings(findings: Iterable[HealthWarning]) -> Iterator[tuple[str, dict[str, str], float]]:
    for key, level in {each.key: each.level for each in findings}.items():
        yield "outlast_warnings", {"key": key, "level": str(level)}, 1.0


def _of(sight: Sight, overview: Overview) -> Iterator[tuple[str, dict[str, str], float]]:
    for state in _STATES:
        yield "outlast_study_state", {"state": state}, float(state == sight.state)
    yield "outlast_study_weight", {}, sight.weight
    if overview.supervisor is not None:
        yield "outlast_coordinator_restarts", {}, overview.supervisor.restarts.get(sight.name, 0)
    yield from _warnings(study_health(sight, overview))
    if sight.snapshot is not None:
        yield from _of_snapshot(sight.snapshot)
    elif sight.target is not None:  # the sum of all is what a campaign is to reach
        yield "outlast_trials_target", {}, sight.target


def _of_snapshot(of: Snapshot) -> Iterator[tuple[str, dict[str, str], float]]:
    yield "outlast_study_up", {}, float(of.live is not None)
    for state in STATE_ORDER:
        yield "outlast_trials", {"state": state.value}, of.counts.get(state, 0)
    yield "outlast_trials_counted", {}, of.counted
    for name, value in (
        ("target", of.target),
        ("per_second", None if of.rate_per_hour is None else of.rate_per_hour / 3600),
    ):
        if value is not None:
            yield f"outlast_trials_{name}", {}, value
    if of.best is not None:
        for (metric, goal), best in zip(of.metrics, of.best.values, strict=False):
            yield "outlast_best_value", {"metric": metric, "goal": goal}, best
        yield "outlast_best_trial", {}, of.best.trial
    yield from _times(of)
    yield "outlast_training_seconds", {}, of.time.training_seconds
    if of.hours.gpu:
        for kind in ("complete", "pruned", "wasted", "open"):
            yield "outlast_gpu_seconds", {"kind": kind}, 3600.0 * getattr(of.hours, kind)


def _times(of: Snapshot) -> Iterator[tuple[str, dict[str, str], float]]:
    if of.live is not None:
        yield "outlast_slots", {}, of.live.slots
        if (since := parse_time(of.live.since)) is not None:
            yield "outlast_run_start_timestamp_seconds", {}, since.timestamp()
    ends: list[tuple[str, datetime]] = [] if of.eta is None else [("median", of.eta)]
    if of.eta_range is not None:
        ends += zip(("low", "high"), of.eta_range, strict=True)
    for bound, moment in ends:
        yield "outlast_expected_end_timestamp_seconds", {"bound": bound}, moment.timestamp()


def _lines(name: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {_escaped(METRICS[name])}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        told = ",".join(f'{label}="{_quoted(text)}"' for label, text in labels.items())
        yield f"{name}{{{told}}} {_figure(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    """A label's value; what is no Unicode, as a name on a disk may be, becomes question marks."""
    return _escaped(text.encode("utf-8", "replace").decode()).replace('"', '\\"')


def _figure(value: float) -> str:
    """As Go reads it: ``NaN``, ``+Inf``, ``-Inf``; whole numbers without a point."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
