"""``report.html``: what a study's folder says, put on one page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib.metadata import distributions
from typing import Any

from outlast._system.files import write_atomic
from outlast._system.reading import read_json, read_link
from outlast.config.settings import Settings
from outlast.core.escapes import as_on_a_screen
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.engine.attempts.by_hand import command_by_hand
from outlast.engine.attempts.code_snapshot import uncommitted
from outlast.engine.attempts.objectives import objectives_of
from outlast.engine.derived.report_figures import facts_of
from outlast.engine.derived.report_mark import mark_of
from outlast.monitor.snapshot import snapshot
from outlast.results.configuration import configuration
from outlast.results.failures import group_failures
from outlast.results.page_data import MOST_FAILURES, FromFiles, page_data, worth_keeping
from outlast.results.report_page import report_page
from outlast.runner.capture.curve import LiveReports
from outlast.study.home import home_of
from outlast.study.layout import StudyPaths
from outlast.study.printed import printed_end

_LOGS, _LOG_BYTES, _LOG_LINES = 1000, 3000, 30  # how many trials' ends, and how much of each
_COMMANDS, _COMMAND_BYTES = 2000, 2_000_000  # and of all of them together
_DIFF_BYTES = 60_000
_STORY_BYTES = 6000
_FOLLOW_UPS = {
    "confirm": StudyPaths.confirmation.name,
    "refit": StudyPaths.refit_facts.name,
    "evaluate": StudyPaths.evaluation.name,
}


def report_data(
    paths: StudyPaths, study: Study, settings: Settings, *, status: Mapping[str, Any], facts: Mapping[str, Any],
    folder: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the page of one study shows.

    Args:
        paths: The study's files.
        study: Folded.
        settings: In force.
        status: How it stands, as ``outlast status --json`` says it.
        facts: What its trials say (`outlast.results.report_facts`).
        folder: How commands on the page name the folder; by its own name if left out.
    """
    files = FromFiles(
        folder or _called(paths, settings),
        _ends(paths, study, worth_keeping(study, settings, _LOGS)),
        {group.first: _story(paths, study, group.first) for group in group_failures(study)[:MOST_FAILURES]},
        _commands(study, settings, worth_keeping(study, settings, _COMMANDS)),
        _checkpoint(paths),
        _packages(),
        _follow_ups(paths),
        _running_curves(paths, study, settings),
        _diff(study, settings),
    )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return page_data(study, settings, files, status=status, facts=facts, made_at=now)


def draw_report(
    paths: StudyPaths, study: Study, settings: Settings, *, status: Mapping[str, Any] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> None:  # fmt: skip
    """Draw the page of one study.

    Args:
        paths: The study's files.
        study: Folded.
        settings: In force.
        status: See `report_data`; of a study at rest it is worked out here.
        path: Of the page; ``report.html`` in the study folder if left out.

    Raises:
        OSError: The disk refused.
    """
    known = status or snapshot(study, settings, now=datetime.now(timezone.utc)).to_json()
    data = report_data(paths, study, settings, status=known, facts=facts_of(study, settings))
    write_report(path or paths.report, data, title=study.name or settings.name, study=study)


def write_report(
    path: str | os.PathLike[str], data: Mapping[str, Any], *, title: str, study: Study | None = None
) -> None:
    """Put a page where it belongs; one that is there is replaced at once or not at all.

    Args:
        path: Of the page.
        data: What it shows: that of one study, or ``studies``, a list of several.
        title: For the browser's tab.
        study: The one that it shows: how much of it was known stays in the page.

    Raises:
        OSError: The disk refused.
    """
    mark = 0 if study is None else mark_of(study)
    write_atomic(os.fspath(path), report_page(data, title=title, mark=mark), durable=False)


def _called(paths: StudyPaths, settings: Settings) -> str:
    """The folder as a person names it where the training runs; nothing on the page names a place of this machine."""
    place = os.path.relpath(paths.root, settings.working_directory)
    return os.path.basename(os.path.abspath(paths.root)) if place.startswith(os.pardir) or place == os.curdir else place


def _ends(paths: StudyPaths, study: Study, numbers: Iterable[int]) -> dict[int, str]:
    """Trial → the end of what it printed."""
    found = {}
    for number in numbers:
        log = paths.trial(number).log
        open_attempt = study.trials[number].open_attempt
        if open_attempt is not None:
            log = paths.attempt(number, open_attempt.number).log
        text = end_of(log, _LOG_BYTES) or _of_kept(paths, study, number)
        if text:
            found[number] = "\n".join(text.splitlines()[-_LOG_LINES:])
    return found


def _of_kept(paths: StudyPaths, study: Study, number: int) -> str:
    said = printed_end(paths, study, study.trials[number], _LOG_BYTES)
    return as_on_a_screen(said.decode(errors="replace")).strip("\r\n")


def _story(paths: StudyPaths, study: Study, number: int) -> str:
    """The traceback of a failed trial, or the end of its output."""
    error = end_of(paths.trial(number).error_log, _STORY_BYTES)
    return (
        error.partition("\n\n")[2].strip()
        or end_of(paths.trial(number).log, _LOG_BYTES)
        or _of_kept(paths, study, number)
    )


def end_of(path: os.PathLike[str], most: int) -> str:
    """The end of what was printed, as a terminal would show it, in whole lines; empty where there is nothing.

    Args:
        path: Of the output.
        most: How many bytes of it are read.
    """
    try:
        with open(path, "rb") as file:
            before = max(0, os.fstat(file.fileno()).st_size - most)
            file.seek(before)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    if before:  # a secret that is cut in two is not known as one any more
        text = re.sub(r"\A(?:[^\r\n]*[\r\n]|\S*\s?)", "", text)
    return as_on_a_screen(text).strip("\r\n")


def _commands(study: Study, settings: Settings, numbers: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    room = _COMMAND_BYTES
    for number in numbers:
        trial = study.trials[number]
        whole, there = configuration(trial, study, settings), settings.working_directory
        command = command_by_hand(settings, trial, whole, start=there) or ""  # wherever the page is drawn from
        room -= len(command)
        if room < 0 and found:
            break
        if command:
            found[number] = command
    return found


def _running_curves(paths: StudyPaths, study: Study, settings: Settings) -> dict[int, dict[int, float]]:
    """Trial → what its running attempt has reported of the first objective."""
    name, objectives, found = settings.metrics[0].name, objectives_of(settings), {}
    for trial in study.in_state(TrialState.RUNNING):
        if trial.open_attempt is not None:
            reports = LiveReports(paths.attempt(trial.number, trial.open_attempt.number).reports, objectives).poll()
            found[trial.number] = {each.step: float(each.metrics[name]) for each in reports if name in each.metrics}
    return found


def _diff(study: Study, settings: Settings) -> str:
    """What the last attempt ran from and nobody has committed, as far as that can be told."""
    codes = [(each.opened_at, each.code) for trial in study.trials.values() for each in trial.attempts if each.code]
    text = uncommitted(settings.working_directory, max(codes)[1]) if codes else ""
    if len(text) > _DIFF_BYTES:  # at a line's end: a secret that is cut in two is not known as one
        text = text[:_DIFF_BYTES].rpartition("\n")[0]
    return text


def _checkpoint(paths: StudyPaths) -> str | None:
    target = read_link(paths.best_checkpoint)
    return None if target is None or os.path.isabs(target) else target


def _packages() -> list[str]:
    """Of this environment, which is mostly the training's as well."""
    found = {dist.metadata["Name"]: dist.version for dist in distributions() if dist.metadata["Name"]}
    return [f"{name}=={version}" for name, version in sorted(found.items(), key=lambda pair: pair[0].lower())]


def _follow_ups(paths: StudyPaths) -> dict[str, Any]:
    found, home = {}, home_of(paths) or paths  # they lie there, also where the search runs on scratch
    for name, file in _FOLLOW_UPS.items():
        result = read_json(home.root / name / file)
        if isinstance(result, dict):
            found[name] = result
    return found
