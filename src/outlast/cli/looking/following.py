"""What a trial printed: everything so far, and what comes."""

from __future__ import annotations

import codecs
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import click

from outlast._system.capped_log import LogReader
from outlast.core.file_names import AttemptPaths, TrialPaths
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.engine.record.examine import read_study
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.printed import Stretch, stretches

_LOOK_EVERY = 0.2


def print_log(paths: StudyPaths, study: Study, trial: Trial, *, folder: str, lines: int | None, follow: bool) -> None:
    """Print the log of all attempts of a trial.

    All of it, or the last `lines`; with `follow`, it stays until the trial has ended.

    Raises:
        UsageError: It has printed nothing.
    """
    files = paths.trial(trial.number)
    kept, parts, running = stretches(paths, study, trial), _parts(files), trial.open_attempt
    readers = [LogReader(path) for path in parts]
    logged = b"".join(data for reader in readers for data in iter(reader.read, b""))
    if kept and (running is None or running.kept):
        _print_kept(paths, trial, kept, before=logged, folder=folder, lines=lines, follow=follow)
        return
    text = b"".join([*(stretch.read() for stretch in kept), logged]).decode(errors="replace")
    if not text and not (follow and files.attempts.is_dir()):
        if trial.state.finished:
            cure = f"how it ended: outlast show {folder} {trial.number}"
            raise UsageError(f"trial {trial.number} has printed nothing", cure=cure)
        raise UsageError(
            f"trial {trial.number} has printed nothing yet", cure=f"outlast logs {folder} {trial.number} -f"
        )
    if lines is not None:
        text = "".join(text.splitlines(keepends=True)[-lines:] if lines else [])
    click.echo(text, nl=bool(text) and not text.endswith("\n") and not follow)
    if follow and files.attempts.is_dir():
        try:
            _follow(paths, files, parts[-1] if parts else None, readers[-1] if readers else None)
        except KeyboardInterrupt:
            click.echo()


def _print_kept(
    paths: StudyPaths,
    trial: Trial,
    kept: Sequence[Stretch],
    *,
    before: bytes,
    folder: str,
    lines: int | None,
    follow: bool,
) -> None:
    """Print what a trial printed in kept workers, behind what it printed `before`; with `follow`, until it has ended."""
    chunks = [stretch.read() for stretch in kept]
    text = b"".join([before, *chunks]).decode(errors="replace")
    runs = trial.open_attempt is not None
    if not text and not (follow and runs):
        when, cure = (
            (" yet", f"outlast logs {folder} {trial.number} -f")
            if runs
            else ("", f"outlast show {folder} {trial.number}")
        )
        raise UsageError(f"trial {trial.number} has printed nothing{when}", cure=cure)
    if lines is not None:
        text = "".join(text.splitlines(keepends=True)[-lines:] if lines else [])
    click.echo(text, nl=bool(text) and not text.endswith("\n") and not follow)
    at, last = kept[-1].start + len(chunks[-1]), kept[-1]
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    with contextlib.suppress(KeyboardInterrupt):
        while follow and runs and holder_is_live(paths.ledger) is not False:
            time.sleep(_LOOK_EVERY)
            study = read_study(paths)
            now = stretches(paths, study, study.trials[trial.number])
            runs = study.trials[trial.number].open_attempt is not None and len(now) == len(kept)
            last = now[len(kept) - 1] if len(now) >= len(kept) else last
            chunk = last.read(at)
            at += len(chunk)
            click.echo(decode(chunk), nl=False)


def _parts(files: TrialPaths) -> list[Path]:
    """The log of a finished trial, or those of its attempts so far and of what there was before a retry."""
    if files.log.exists():
        return [files.log]
    try:
        numbers = sorted(int(entry.name) for entry in files.attempts.iterdir() if entry.name.isdigit())
    except OSError:
        numbers = []
    attempts = [files.earlier, *map(files.attempt, numbers)]
    return [attempt.log for attempt in attempts if attempt.log.exists()]


def _number(log: Path) -> int:
    return int(log.parent.name) if log.parent.name.isdigit() else -1


def _follow(paths: StudyPaths, files: TrialPaths, log: Path | None, reader: LogReader | None) -> None:
    """Print what is appended, attempt after attempt, until the trial has an end."""
    while True:
        if log is not None and reader is not None:
            _print_until_over(paths, log, reader, files)
        if not files.attempts.is_dir():
            return
        later = [path for path in _parts(files) if log is None or _number(path) > _number(log)]
        if later:
            log, reader = later[0], LogReader(later[0])
        elif log is not None and holder_is_live(paths.ledger) is False:
            return  # nobody is there to start another attempt
        else:
            time.sleep(_LOOK_EVERY)


def _print_until_over(paths: StudyPaths, log: Path, reader: LogReader, files: TrialPaths) -> None:
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    while True:
        # Before the read: what comes behind it is read as well.
        over = _number(log) < 0 or not files.attempts.is_dir() or _is_over(paths, log)
        chunk = reader.read()
        if chunk:
            click.echo(decode(chunk), nl=False)
        elif over:
            return
        else:
            time.sleep(_LOOK_EVERY)


def _is_over(paths: StudyPaths, log: Path) -> bool:
    """Whether an attempt whose folder is still there is over: its runner says so, or its outcome is on record. Of a short one
    there is no more than that."""
    trial, number = int(log.parents[2].name), _number(log)
    return AttemptPaths(log.parent).exit.exists() or not paths.open_marker(trial, number).exists()
