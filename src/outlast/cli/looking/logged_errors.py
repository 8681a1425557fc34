"""`logs --errors`: what went wrong in one study or several, as the trainings and coordinators said it; the newest last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import click
from msgspec import Struct

from outlast._system.capped_log import log_end
from outlast.cli.each_study import name_of
from outlast.cli.looking.showing import failure_stories
from outlast.cli.render.text import clean
from outlast.core.error_lines import speaks_of_an_error
from outlast.core.fold import Study
from outlast.core.moments import parse_time
from outlast.core.states import Cause, TrialState
from outlast.engine.record.examine import read_study
from outlast.errors import OutlastError
from outlast.monitor.times import local_time
from outlast.results.failures import FailureGroup, group_failures
from outlast.study.layout import StudyPaths

_END = 64 * 1024  # bytes of each log that are looked at
_MOST_LINES = 5  # of each log that still grows
_MOST = 20


class Said(Struct, frozen=True):
    """Something that went wrong."""

    at: str  # UTC, ISO 8601
    where: str  # study/trial, or study/log
    head: str
    lines: tuple[str, ...]


def print_errors(folders: Sequence[str], most: int | None = None) -> None:
    """Print the newest of them, so many at most: failures that are alike once, and what running trials and coordinators say."""
    found: list[Said] = []
    for folder in folders:
        try:
            study = read_study(StudyPaths.at(folder))
        except OutlastError as error:
            found.append(Said("", name_of(folder), clean(error.fact), ()))
            continue
        found += [*_failures(folder, study), *_growing(folder, study)]
    if not found:
        click.echo("nothing went wrong" + (f" in {len(folders)} studies" if len(folders) > 1 else ""))
    shown = sorted(found, key=lambda each: each.at)[-(_MOST if most is None else most) :] if most != 0 else []
    if len(shown) < len(found):
        click.echo(f"({len(found) - len(shown)} earlier left out; all: -n {len(found)})")
    for each in shown:
        moment = parse_time(each.at)
        click.echo(f"{'' if moment is None else local_time(moment) + '  '}{each.where}: {each.head}")
        for line in each.lines:
            click.echo(f"    {line}")


def _failures(folder: str, study: Study) -> Iterator[Said]:
    groups = [group for group in group_failures(study) if group.cause is not Cause.SPACE_CHANGED]
    stories = failure_stories(StudyPaths.at(folder), study, groups)
    for group in groups:
        ended = [last.at for number in group.trials if (last := study.trials[number].last) is not None]
        yield Said(
            max(ended, default=""),
            f"{name_of(folder)}/{group.first}",
            f"{group.cause.value}: {clean(group.reason)}{_others(group)}",
            tuple(map(clean, stories.get(group.first, ()))),
        )


def _others(group: FailureGroup) -> str:
    others = len(group.trials) - 1
    return f" (and {others} alike)" if others else ""


def _growing(folder: str, study: Study) -> Iterator[Said]:
    """Lines that speak of an error in the logs of trials that run, and of whoever runs them in the background."""
    paths, name = StudyPaths.at(folder), name_of(folder)
    logs: list[tuple[str, Path, Callable[[str], bool]]] = [(f"{name}/run.log", paths.run_log, _is_a_coordinator_s)]
    for trial in study.in_state(TrialState.RUNNING):
        if (attempt := trial.open_attempt) is not None:
            logs.append((f"{name}/{trial.number}", paths.attempt(trial.number, attempt.number).log, speaks_of_an_error))
    for where, log, counts in logs:
        text = clean(log_end(log, _END).decode(errors="replace"))
        if lines := [line for line in text.splitlines() if counts(line)][-_MOST_LINES:]:
            yield Said(_changed(log), where, "among its last lines", tuple(lines))


def _is_a_coordinator_s(line: str) -> bool:
    """Whether a line of a run's own words is about itself; failed trials are told of anyhow."""
    return line.startswith("error:") or " supervisor: " in line


def _changed(log: Path) -> str:
    try:
        return datetime.fromtimestamp(os.stat(log).st_mtime, timezone.utc).isoformat(timespec="milliseconds")
    except OSError:
        return ""
