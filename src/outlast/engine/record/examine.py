"""What a study's ledger says and whether that is all: one pair of eyes for whoever looks, opens, helps or mends."""

from __future__ import annotations

import os

from msgspec import Struct

from outlast._system.reading import list_names, read_json
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, RevisionMade
from outlast.core.states import UNFINISHED, Cause
from outlast.errors import LedgerDamaged, StudyNotFound
from outlast.study.folded import read_folded
from outlast.study.layout import StudyPaths
from outlast.study.recovery import Problem, events_of_copy, fold_known, ledger_problems, lost_decisions
from outlast.study.segments import Reading, read_ledger


class Examined(Struct, frozen=True):
    """A ledger as it was read, what it adds up to, and what is wrong with it."""

    reading: Reading
    study: Study
    problems: list[Problem]

    @property
    def lost(self) -> list[str]:
        """What keeps everybody from going on with it, as phrases."""
        return [problem.text for problem in self.problems if problem.serious]


def examine(paths: StudyPaths) -> Examined:
    """Read the ledger and compare it with the trials' folders, and with what was imported.

    Takes no lease; may be called during a run.

    Where its fold was kept, only what was appended since is decoded; whatever is wrong is found by reading all of it.

    Raises:
        StorageError: The disk does not let us read.
    """
    found = _from_what_was_kept(paths)
    if found is not None:
        return found
    reading = read_ledger(paths.ledger)
    folded = fold_known(reading.events)
    found = _judged(paths, reading, folded, *_folders_and_copies(paths, folded[0]))
    if not found.lost:
        return found
    # During a run a trial may begin between our reading and our listing: its line is there before its folder.
    evidence = _folders_and_copies(paths, found.study)
    reading = read_ledger(paths.ledger)
    return _judged(paths, reading, fold_known(reading.events), *evidence)


def _from_what_was_kept(paths: StudyPaths) -> Examined | None:
    """What reading on from the kept fold finds; ``None`` where there is none, or something seems to be lost."""
    evidence = None
    for _ in range(2):  # during a run, as above: read on again, with what was listed
        known = read_folded(paths)
        if known is None:
            return None
        evidence = evidence or _folders_and_copies(paths, known[1])
        found = _judged(paths, known[0], (known[1], []), *evidence)
        if not found.lost:
            return found
    return None


def _judged(
    paths: StudyPaths, reading: Reading, folded: tuple[Study, list[Problem]], folders: set[int], copies: set[int]
) -> Examined:
    study, unfounded = folded
    half_done = Problem("ledger", "a repair was interrupted", "it is brought to its end")
    problems = [half_done] if half_swapped(paths) else []
    problems += ledger_problems(reading, trial_folders=len(folders))
    if not any(problem.serious for problem in problems):
        problems += [*unfounded, *lost_decisions(study, folders, copies)]
    return Examined(reading, study, problems)


def half_swapped(paths: StudyPaths) -> bool:
    """Whether a repair ended between taking the old ledger away and putting the new one there."""
    return not paths.ledger.exists() and paths.new_ledger.is_dir()


def read_sound(paths: StudyPaths) -> tuple[Reading, Study]:
    """The ledger and the study as it has it now.

    Raises:
        LedgerDamaged: Decisions are missing; `outlast repair` mends it.
    """
    found = examine(paths)
    if found.lost:
        raise _damaged(paths, found.lost)
    return found.reading, found.study


def read_to_look(paths: StudyPaths) -> tuple[Reading, Study]:
    """As `read_sound`, for whoever does not write there: a home on a drive has its history several times over."""
    found = examine(paths)
    if not found.lost:
        return found.reading, found.study
    whole = kept_on_a_drive(paths)
    if whole is None:
        raise _damaged(paths, found.lost)
    return whole, fold_known(whole.events)[0]


def kept_on_a_drive(home: StudyPaths) -> Reading | None:
    """The longest history of a home on a drive, which the next run goes on from, whatever became of the readable copy;
    ``None`` where nothing is whole, and for any other folder."""
    if not list_names(home.snapshots):
        return None
    from outlast.study.drive_home import histories

    found, _ = histories(home)
    return found[0].reading if found else None


def read_study(paths: StudyPaths) -> Study:
    """The study as its ledger has it now. Takes no lease; may be called during a run.

    Raises:
        LedgerDamaged: Decisions are missing; `outlast repair` mends it.
    """
    return read_to_look(paths)[1]


def in_force(study: Study, folder: str | os.PathLike[str]) -> RevisionMade:
    """The version of the study file that a folder's study goes by.

    Raises:
        StudyNotFound: There is no study in the folder.
    """
    if study.revision is None:
        raise StudyNotFound(f"no study in {os.fspath(folder)}", cure="outlast run STUDY.yaml starts one")
    return study.revision


def require_sound(paths: StudyPaths, reading: Reading) -> Study:
    """What a ledger adds up to that was read again while it was claimed.

    Raises:
        LedgerDamaged: As `read_sound`.
    """
    study, unfounded = fold_known(reading.events)
    lost = [*reading.flaws, *(problem.text for problem in unfounded)]
    if lost:
        raise _damaged(paths, lost)
    return study


def _damaged(paths: StudyPaths, lost: list[str]) -> LedgerDamaged:
    more = f", and {len(lost) - 3} more" if len(lost) > 3 else ""
    return LedgerDamaged(
        f"the ledger in {paths.ledger} is damaged: {'; '.join(lost[:3])}{more}",
        cure=f"outlast repair {paths.root}   (--check says what it would do; nothing is changed)",
    )


def trial_numbers(paths: StudyPaths) -> list[int]:
    """The trials that have a folder."""
    return sorted(_trial_folders(paths))


def _trial_folders(paths: StudyPaths) -> set[int]:
    return {int(name) for name in list_names(paths.trials) if name.isdigit()}


def _folders_and_copies(paths: StudyPaths, study: Study) -> tuple[set[int], set[int]]:
    asked, lost = [trial.number for trial in study.in_state(*UNFINISHED)], _lost_of_imported(paths)
    ended = {number for number in asked if number in lost or _tells_an_end(paths, number)}
    return _trial_folders(paths) | lost, ended


def _lost_of_imported(paths: StudyPaths) -> set[int]:
    """Trials that were imported, and that the ledger lacks."""
    if not os.path.exists(paths.imported):
        return set()
    from outlast.study.imported import lost_of_imported  # whose copy most studies do not have

    return lost_of_imported(paths)


def _tells_an_end(paths: StudyPaths, number: int) -> bool:
    """Whether there is a record of a trial that says how it ended, or that says nothing any more.

    One that a version of the study file left out, and that is back, has a record of that only; and there were imports that
    wrote records of trials that go on.
    """
    if not paths.trial(number).record.exists():
        return False
    ends = [event for event in events_of_copy(read_json(paths.trial(number).record)) if isinstance(event, AttemptEnded)]
    return not ends or (ends[-1].state.finished and ends[-1].cause is not Cause.SPACE_CHANGED)
