"""Which source's value counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct

from outlast.core.evidence import Report
from outlast.runner.capture.metric_files import FoundFile, MetricFiles
from outlast.runner.capture.names import find_name, nearest_names, rivals
from outlast.runner.capture.objective import Objective, Sightings
from outlast.runner.capture.reports import ReportsReader
from outlast.runner.capture.scanner import OutputScanner

_UNNAMED_MARKERS = ("OUTLAST_SCORE", "OPTUNA_SCORE")
_LAST_MARKER = "Best validation score"
_PLAINLY = "write plain numbers (1234.5)"


class Collected(Struct, frozen=True):
    """What was found of an attempt's scores."""

    scores: dict[str, float] = {}  # of the objectives that were found
    source: str = ""  # report, file, hook, marker, output, pattern or score_file; several joined by +
    notes: tuple[str, ...] = ()  # disagreements between sources, names that were matched loosely, what was not found
    metrics: dict[str, float] = {}  # every name that was seen anywhere → its last value
    reports: tuple[Report, ...] = ()  # the objectives' curve
    missing: tuple[str, ...] = ()  # objectives that were not found


def collect(
    objectives: Sequence[Objective],
    *,
    reports: ReportsReader,
    scanner: OutputScanner,
    files: MetricFiles,
    curve: tuple[Report, ...] = (),
    torn: bool = False,
) -> Collected:
    """Search every source for every objective.

    The first source that has it counts, within it the last occurrence (or the best one where the study file says so).
    Another source that disagrees is noted. Reports have been polled to the end, the scanner is closed, the files were made
    when the attempt began. `torn`: the training did not end well, and the end of a file may be half a number.
    """
    read = {pattern: files.read(pattern, torn=torn) for pattern in {o.file for o in objectives} if pattern is not None}
    notes = [note for found in read.values() if found is not None for note in found.notes]
    scores: dict[str, float] = {}
    sources: list[str] = []
    seen = _all_metrics(reports, scanner, [found for found in read.values() if found is not None])
    for objective in objectives:
        alone, before = len(objectives) == 1, len(notes)
        found = list(_candidates(objective, alone, reports, scanner, files, read.get(objective.file or ""), notes))
        if found:
            source, scores[objective.name] = found[0]
            sources.append(source)
            notes.extend(_disagreements(objective.name, found))
        elif not any(note.startswith(_uncertain(objective.name)) for note in notes) and (seen or len(notes) == before):
            notes.append(_not_found(objective.name, seen, scanner))
    if reports.unreadable:
        notes.append(f"{reports.unreadable} lines of reports.jsonl are not of the protocol and were passed over")
    return Collected(
        scores=scores,
        source="+".join(dict.fromkeys(sources)),
        notes=tuple(dict.fromkeys(notes)),
        metrics=seen,
        reports=curve,
        missing=tuple(o.name for o in objectives if o.name not in scores),
    )


def _candidates(
    objective: Objective,
    alone: bool,
    reports: ReportsReader,
    scanner: OutputScanner,
    files: MetricFiles,
    file: FoundFile | None,
    notes: list[str],
) -> Iterator[tuple[str, float]]:
    """(source, value) of every source that has this objective, the one that counts first."""
    named = [
        ("report", reports.own.seen),
        ("file", file.metrics if file is not None else Sightings()),
        ("hook", reports.followed.seen),
        ("marker", None),
        ("output", scanner.metrics),
        ("pattern", scanner.patterns),
    ]
    for source, sightings in named:
        if sightings is None:
            yield from _marked(objective, alone, scanner, notes)
            continue
        match = find_name(objective.name, sightings.names())
        if match is not None:
            doubt = sightings.doubt_of(match.name, objective)
            if doubt:
                notes.append(f"{_uncertain(objective.name)} ({source}): {doubt!r}; {_PLAINLY}")
                continue
            if not match.exact:
                notes.append(
                    f"{objective.name} was not seen under that name; {match.name!r} is taken for it ({source})"
                )
            yield source, sightings[match.name].take(objective)
    score = files.score_file() if alone else None
    if isinstance(score, str):
        notes.append(f"{_uncertain(objective.name)} (score_file): {score!r}; {_PLAINLY}")
    elif score is not None:
        yield "score_file", score


def _marked(objective: Objective, alone: bool, scanner: OutputScanner, notes: list[str]) -> Iterator[tuple[str, float]]:
    """Marked scores. One without a name says nothing where there are several objectives."""
    match = find_name(objective.name, [*scanner.named_markers, *scanner.unreadable])
    named = [(scanner.named_markers, match.name)] if match is not None else []
    unnamed = [(scanner.markers, kind) for kind in _UNNAMED_MARKERS] if alone else []
    last = [(scanner.markers, _LAST_MARKER)] if alone else []
    for sightings, name in [*unnamed, *named, *last]:
        if name in scanner.unreadable:
            notes.append(f"{name} cannot be read as a number: {scanner.unreadable[name]!r}")
        elif name in sightings:
            yield "marker", sightings[name].take(objective)


def _all_metrics(reports: ReportsReader, scanner: OutputScanner, files: Sequence[FoundFile]) -> dict[str, float]:
    seen = scanner.metrics.last_values()
    for better in (scanner.named_markers, scanner.markers, reports.followed.seen):
        seen.update(better.last_values())
    for file in files:
        seen.update(file.metrics.last_values())
    seen.update(reports.own.seen.last_values())
    return seen


def _disagreements(name: str, found: Sequence[tuple[str, float]]) -> Iterator[str]:
    source, value = found[0]
    for other, says in found[1:]:
        if not _same(value, says):
            yield f"{name}: {source} says {value:.6g}, {other} says {says:.6g}; {source} counts"


def _same(a: float, b: float) -> bool:
    """Whether two sources mean the same value: printed ones are rounded, and may be percentages."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    return any(math.isclose(x, y, rel_tol=5e-3, abs_tol=5e-5) for x, y in ((a, b), (a * 100, b), (a, b * 100)))


def _uncertain(name: str) -> str:
    return f"{name} cannot be read for certain"


def _not_found(name: str, seen: dict[str, float], scanner: OutputScanner) -> str:
    several = rivals(name, seen)
    if several:
        return f"{name} may be {' or '.join(several)}: give the whole name"
    hint = scanner.hints.of(name)
    told = ""
    if hint is not None:
        told = f"; the line {hint.line!r} names it" + (
            f": metric.pattern '{hint.pattern}' would read it" if hint.pattern else ""
        )
    if not seen:
        return f"{name} was not found, and no other metric was seen either{told}"
    close = nearest_names(name, seen)
    nearest = f"; nearest: {', '.join(close)}" if close else ""
    names = sorted(seen)
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return f"{name} was not found{told}; seen were: {', '.join(names[:30])}{more}{nearest}"
