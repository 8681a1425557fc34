"""A home on a mounted drive: what of it can be believed, and a live folder on another machine that is given it back.

The ledger is looked for in every snapshot and in the readable copy beside them. Each that is whole is a beginning of the same
story: the longest is taken. Files of trials are given back where that story knows how the trial ended.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from outlast._system.files import copy_file, remove, remove_tree, rename, symlink_atomic, write_atomic
from outlast._system.reading import list_names, read_link
from outlast._system.syncing import make_dir, settle_tree
from outlast._system.wary import copy_verified, patiently, write_verified
from outlast.core.file_names import StudyNames as _At
from outlast.core.file_names import TrialPaths
from outlast.core.fold import Study
from outlast.errors import StorageError, UsageError
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import is_whole
from outlast.study.recovery import fold_known
from outlast.study.segments import Reading, read_ledger
from outlast.study.snapshots import later, read_snapshots
from outlast.study.unfinished import give_back

_LEDGER = f"{_At.ledger.name}/"


class History(Struct, frozen=True):
    """A ledger that was found whole."""

    where: str  # in the home
    files: Mapping[str, str]  # the ledger's and other small ones, by their paths
    reading: Reading
    sums: Mapping[str, str] = {}

    @property
    def length(self) -> tuple[int, int]:
        """How far it goes."""
        last = self.reading.last
        return (0, 0) if last is None else (last.number, len(last.lines))

    def agrees_with(self, longer: History) -> bool:
        """Whether they are one story: every segment that both have begins with the same lines.

        What lies behind a seal of the longer one is void if it was written before that, by a session that was lost and whose
        last words arrived late. Whoever wrote on after it ran at the same time.
        """
        others = {segment.number: segment for segment in longer.reading.segments}
        for mine in self.reading.segments:
            other = others.get(mine.number)
            if other is None:
                continue
            both = min(len(mine.lines), len(other.lines))
            if mine.lines[:both] != other.lines[:both]:
                return False
            taken_over = longer.begun(mine.number + 1)
            if taken_over and any(str(line.get("at", "")) > later(taken_over) for line in mine.lines[both:]):
                return False
        return True

    def begun(self, number: int) -> str:
        """When its first segment from this number on was claimed; empty where there is none."""
        headers = (each.lines[0] for each in self.reading.segments if each.number >= number and each.lines)
        return str(next(headers, {}).get("at", ""))


def histories(home: StudyPaths) -> tuple[list[History], list[str]]:
    """All that are whole, the longest first; and what was found that is not, as phrases."""
    snapshots, torn = read_snapshots(home.snapshots)
    found = [_history(f"{_At.snapshots.name}/{each.number}", each.files, each.sums) for each in snapshots]
    told = [f"{_At.snapshots.name}/{name}" for name in torn]
    try:
        copy = _history(_At.ledger.name, dict(_mirrored(home)), {})
    except (OSError, UnicodeDecodeError):
        copy = None
    if copy is None and list_names(home.ledger):
        told.append(_At.ledger.name)
    whole = [each for each in (*found, copy) if each is not None and each.reading.segments]
    return sorted(whole, key=lambda each: (each.length, bool(each.sums)), reverse=True), told


def _mirrored(home: StudyPaths) -> Iterator[tuple[str, str]]:
    for name in sorted(patiently(list_names, home.ledger)):
        if name.endswith(".jsonl"):
            yield _LEDGER + name, patiently((home.ledger / name).read_bytes).decode()


def _history(where: str, files: Mapping[str, str], sums: Mapping[str, str]) -> History | None:
    with TemporaryDirectory(prefix="outlast-history-") as place:
        for name, text in files.items():
            if name.startswith(_LEDGER):
                (Path(place) / os.path.basename(name)).write_bytes(text.encode())
        try:
            reading = read_ledger(Path(place))
        except StorageError:
            return None
    headless = not all(segment.lines for segment in reading.segments)  # of one that was torn, or filled with zeros
    return None if reading.flaws or headless else History(where, files, reading, sums)


def require_one_story(live: StudyPaths, home: StudyPaths) -> None:
    """Refuse a drive that knows decisions which the live folder lacks.

    Raises:
        UsageError: With what to do.
    """
    mine = History("", {}, read_ledger(live.ledger))
    for each in histories(home)[0]:
        if each.length > mine.length or not each.agrees_with(mine):
            raise UsageError(
                f"{home.root} holds decisions of a study that {live.root} does not know: they have parted",
                cure=f"move one of the two folders away; without {live.root}, the study goes on from {home.root}",
            )


def restore_from_drive(live: StudyPaths, home: StudyPaths) -> list[str]:
    """Give a live folder what it lacks and a home on a drive has whole. The ledger comes last, by one rename.

    Returns what a person should be told.

    Raises:
        UsageError: There are two stories on the drive.
        OSError: A disk refused; the next try goes on.
    """
    if list_names(live.ledger):
        return []
    found, torn = histories(home)
    if not found:
        if torn:
            raise UsageError(
                f"nothing of the study in {home.root} is whole: {', '.join(torn)}",
                cure="wait until the drive has all of it, and try again; or set it aside: --fresh",
            )
        return []
    taken = found[0]
    _refuse_two_stories(taken, found, home)
    told = [] if not torn else [_fallen_back(taken, torn)]
    study = fold_known(taken.reading.events)[0]
    for name, text in _small(found).items():  # before the drive's own copies of them, which prove nothing
        make_dir((live.root / name).parent)
        write_atomic(live.root / name, text)
    left_out = _given_back(live, home, study, taken)
    if left_out:
        told.append(f"left out, as it is not what was written: {', '.join(left_out[:5])}{' …' if left_out[5:] else ''}")
    making = live.root / f".{_At.ledger.name}.new"
    remove_tree(making)  # of a try that was interrupted, perhaps of another history
    make_dir(making)
    for name, text in taken.files.items():
        if name.startswith(_LEDGER):
            write_verified(making / os.path.basename(name), text.encode())
    settle_tree(making)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(live.ledger)
    rename(making, live.ledger)
    return told


def _small(found: list[History]) -> dict[str, str]:
    """The small files of the longest history that has them: the readable copy has its ledger alone."""
    return {name: text for each in reversed(found) for name, text in each.files.items() if not name.startswith(_LEDGER)}


def _refuse_two_stories(taken: History, found: list[History], home: StudyPaths) -> None:
    for each in found:
        if not each.agrees_with(taken):
            raise UsageError(
                f"two sessions ran the study in {home.root} at the same time: {taken.where} and {each.where} have parted",
                cure="keep one of them: move the other one away",
            )


def _fallen_back(taken: History, torn: list[str]) -> str:
    said = f"{', '.join(torn)} on the drive {'is' if len(torn) == 1 else 'are'} not what was written"
    trials = fold_known(taken.reading.events)[0].trials.values()
    finished = sum(1 for trial in trials if trial.state.finished)
    return f"{said}: going on from {taken.where}, with {finished} finished trial{'' if finished == 1 else 's'}"


def _given_back(live: StudyPaths, home: StudyPaths, study: Study, taken: History) -> list[str]:
    """Everything but the ledger. Returns what was there and cannot be believed."""
    from outlast.study.home import STAYS, files_below

    left_out = []
    for name in sorted(files_below(home.root, ".")):
        parts = name.split("/")
        unknown = parts[0] == _At.trials.name and not _is_finished(study, parts[1])
        if parts[0] in STAYS or parts[0] == _At.ledger.name or unknown or os.path.lexists(live.root / name):
            continue
        try:
            make_dir((live.root / name).parent)
            if not _is_given_back(home.root / name, live.root / name, taken.sums.get(name)):
                left_out.append(name)
        except OSError as error:
            if error.filename is not None and not str(error.filename).startswith(str(home.root)):
                raise
            left_out.append(name)
    for trial in study.trials.values():
        if not trial.state.finished:
            files = live.trial(trial.number)
            if not list_names(files.checkpoints):
                open_ = trial.open_attempt
                give_back(home, trial.number, files.checkpoints, None if open_ is None else files.attempt(open_.number))
    target = read_link(home.best_checkpoint)
    if target is not None and not os.path.lexists(live.best_checkpoint):
        with contextlib.suppress(OSError):
            symlink_atomic(target, live.best_checkpoint)
    return left_out


def _is_given_back(source: Path, target: Path, digest: str | None) -> bool:
    """Whether it can be believed. It appears whole or not at all: what is there is not asked for again."""
    if source.is_symlink() and not source.is_file():  # to a folder
        copy_file(source, target)
        return True
    if source.name == TrialPaths.record.name and not is_whole(source):
        return False
    making = target.with_name(f".{target.name}.new")
    try:
        copied = patiently(copy_verified, source, making)
        if digest is not None and copied != digest:
            return False
        rename(making, target)
    finally:
        remove(making, durable=False)
    return True


def _is_finished(study: Study, name: str) -> bool:
    trial = study.trials.get(int(name)) if name.isdigit() else None
    return trial is not None and trial.state.finished
