"""`clean`: what a study folder could do without, and freeing it.

Nothing that has no outcome yet is ever touched: a trial that waits for its next attempt keeps all it has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from outlast._system.files import rename
from outlast._system.reading import list_names
from outlast.config.settings import Settings
from outlast.core.best import table_value
from outlast.core.file_names import throwaway_prefix
from outlast.core.fold import Study
from outlast.engine.derived.checkpoints import delete, free_name, leftovers_of, owner_of, superfluous
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import OutlastError, StorageError, StudyBusy
from outlast.results.writer import ResultsWriter
from outlast.study import requests
from outlast.study.attempts import Life, inspect
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, describe_holder, holder_is_live
from outlast.study.opened import opened_briefly

_INDEX_ASIDE = re.compile(r"^study\.db\.\d{8}T\d{6}")
_LEDGER_ASIDE = re.compile(r"^ledger\.damaged\.")
_STAMP = re.compile(r"^\.(\d{8}_\d{6})(-\d+)?$")


class Waste(Struct, frozen=True):
    """Something that could go."""

    # checkpoints of a finished trial that is not among the best; study: an earlier one, set aside by --fresh; index
    # or ledger that was set aside when it was rebuilt; leftover of something that was interrupted
    kind: Literal["checkpoints", "study", "index", "ledger", "leftover"]
    path: str  # a file or folder
    about: str  # whose it is, in a few words
    size: int  # bytes on the disk

    def to_json(self) -> dict[str, Any]:
        """Plain object."""
        return asdict(self)


def find_waste(folder: str, *, keep: int | None = None) -> list[Waste]:
    """Everything that could go, by kind. Changes nothing; may be called while somebody runs the study.

    Args:
        keep: Checkpoints of how many of the best trials to keep, instead of what the study file says. Where neither says
            anything, all are kept.

    Raises:
        StudyNotFound: There is no study in this folder.
        LedgerDamaged: Its ledger cannot be read, so that nobody can say what is finished.
    """
    settings, study = recorded_settings(folder)
    return list(_waste(study_paths(folder, settings), settings, study, keep))


def require_idle(folder: str) -> None:
    """Raise `StudyBusy` if somebody runs the study."""
    paths = StudyPaths.at(folder)
    if holder_is_live(paths.ledger) is not False:
        raise StudyBusy(describe_holder(current_holder(paths.ledger), paths.root))


def free(folder: str, wanted: Sequence[Waste], *, keep: int | None = None) -> list[Waste]:
    """Delete what `find_waste` found, as far as it still holds once nobody else can change the study.

    Args:
        wanted: What was shown to the person.
        keep: As it was given to `find_waste`.

    Returns:
        What is gone.

    Raises:
        StudyBusy: Somebody runs the study.
        StorageError: Something cannot be deleted; what went before it is gone.
        LedgerDamaged: See `find_waste`.
    """
    require_idle(folder)
    settings, _ = recorded_settings(folder)
    paths = study_paths(folder, settings)
    with opened_briefly(paths) as opened:
        study = opened.study
        now = {waste.path: waste for waste in _waste(paths, settings, study, keep)}
        gone = []
        for waste in wanted:
            if waste.path in now:
                opened.ledger.check()
                _remove(Path(waste.path))
                gone.append(waste)
        if any(waste.kind == "checkpoints" for waste in gone):
            checkpoints = {number: paths.trial(number).checkpoints for number in study.trials}
            ResultsWriter(paths.root, settings, checkpoints=checkpoints.__getitem__).write(study)
    return gone


def _remove(path: Path) -> None:
    """By rename first, so that no half of it is ever taken for the whole."""
    place = path
    try:
        if not path.name.startswith("."):  # on its way out already
            place = free_name(path)
            rename(path, place)
        delete(place)
    except OSError as error:
        raise StorageError(f"{error.filename or path} cannot be deleted: {error.strerror}") from error


# -- looking ----------------------------------------------------------------------------------------------------------


def _waste(paths: StudyPaths, settings: Settings, study: Study, keep: int | None) -> Iterator[Waste]:
    yield from _checkpoints(paths, settings, study, settings.checkpoints.keep if keep is None else keep)
    yield from _studies_aside(paths)
    yield from _aside(paths)
    yield from _leftovers(paths, settings, study)


def _checkpoints(paths: StudyPaths, settings: Settings, study: Study, keep: int | None) -> Iterator[Waste]:
    busy = {trial for trial, _ in paths.open_attempts()}
    for request in requests.pending(paths):
        busy.update(request.content.get("trials", ()) if request.kind == "retry" else ())
    metric = settings.metrics[0]
    for number in superfluous(study, settings, keep):
        folder = paths.trial(number).checkpoints
        if number in busy or not os.path.lexists(folder):
            continue
        trial = study.trials[number]
        value = table_value(trial, settings.metrics) if trial.values else None
        about = f"trial {number}, {trial.state}" + ("" if value is None else f", {metric.name} {value:.6g}")
        yield Waste("checkpoints", str(folder), about, _size(folder))


def _studies_aside(paths: StudyPaths) -> Iterator[Waste]:
    for place in _siblings(paths.root):
        stamp = _STAMP.match(place.name.removeprefix(paths.root.name))
        if stamp is None or not place.name.startswith(paths.root.name):
            continue
        about = _about_study(StudyPaths.at(place), stamp[1])
        if about is not None:
            yield Waste("study", str(place), about, _size(place))
    if paths.checkpoints_root is not None:
        for place in _siblings(paths.checkpoints_root):
            stamp = _STAMP.match(place.name.removeprefix(paths.checkpoints_root.name))
            if stamp is not None and owner_of(place) == str(paths.root):
                yield Waste("study", str(place), "checkpoints of an earlier study", _size(place))


def _about_study(paths: StudyPaths, stamp: str) -> str | None:
    """What is in an earlier study; ``None`` if it is none, cannot be read, is being run, or was run since it was set aside."""
    if not paths.exists or holder_is_live(paths.ledger) is not False or _anything_runs(paths):
        return None
    try:
        study = read_study(paths)
    except OutlastError:
        return None
    run_at = study.last_run.at[:19].replace("-", "").replace(":", "").replace("T", "_") if study.last_run else ""
    if not study.revisions or run_at > stamp:
        return None
    open_trials = sum(not trial.state.finished for trial in study.trials.values())
    left = f", {open_trials} of them without an outcome" if open_trials else ""
    return f"set aside by --fresh, {len(study.trials)} trials{left}"


def _anything_runs(paths: StudyPaths) -> bool:
    lives = (inspect(paths.attempt(trial, attempt)).life for trial, attempt in paths.open_attempts())
    return any(life in (Life.RUNNING, Life.ELSEWHERE) for life in lives)


def _aside(paths: StudyPaths) -> Iterator[Waste]:
    for name in sorted(os.listdir(paths.root)):
        place = paths.root / name
        if _INDEX_ASIDE.match(name):
            yield Waste("index", str(place), "set aside when it was built anew", _size(place))
        elif _LEDGER_ASIDE.match(name):
            yield Waste("ledger", str(place), "set aside by repair", _size(place))


def _leftovers(paths: StudyPaths, settings: Settings, study: Study) -> Iterator[Waste]:
    beside = _trials_beside_which_something_is_hidden(paths)
    for trial in study.trials.values():
        if not trial.state.finished or trial.number not in beside:
            continue
        files = paths.trial(trial.number)
        places = leftovers_of(files.checkpoints)
        places.append(files.checkpoints.with_name(f".{files.checkpoints.name}.old"))
        if files.record.exists():
            places.append(files.gone_attempts)
        for place in places:
            if os.path.lexists(place):
                yield Waste("leftover", str(place), f"trial {trial.number}, half deleted", _size(place))
    half_deleted = re.compile(rf"^\.{re.escape(paths.root.name)}\.\d{{8}}_\d{{6}}(-\d+)?\.deleted")
    prefix = throwaway_prefix(settings.name)
    roots = [root for root in (paths.root, paths.checkpoints_root) if root is not None]
    for place in (place for root in roots for place in _siblings(root)):
        if half_deleted.match(place.name):
            yield Waste("leftover", str(place), "an earlier study, half deleted", _size(place))
        elif place.name.startswith(prefix) and _is_abandoned(place, settings.name):
            yield Waste("leftover", str(place), "of a check that was killed", _size(place))
    for name in sorted(os.listdir(paths.root)):
        if re.match(r"^\.(study\.db\.|ledger\.damaged\.).*\.deleted", name):
            yield Waste("leftover", str(paths.root / name), "half deleted", _size(paths.root / name))


def _trials_beside_which_something_is_hidden(paths: StudyPaths) -> set[int]:
    """Nearly none, in one listing each: of most trials of a long study no more is asked."""
    folders = os.fspath(paths.trials)
    numbers = {name for name in list_names(paths.trials) if name.isdigit()}
    found = {name for name in numbers if any(each.startswith(".") for each in list_names(f"{folders}/{name}"))}
    if paths.checkpoints_root is not None:
        found |= {name[1:].partition(".")[0] for name in list_names(paths.checkpoints_root) if name.startswith(".")}
    return {int(name) for name in found if name.isdigit()}


def _is_abandoned(place: Path, name: str) -> bool:
    """Whether nobody works in a check's folder any more. One without a study in it may have been made this moment."""
    owner = owner_of(place)  # it holds the checkpoints of a check whose folder is elsewhere
    paths = StudyPaths.at(owner or place / f"{name}.check")
    if owner and not paths.root.exists():
        return True
    return paths.exists and holder_is_live(paths.ledger) is False and not _anything_runs(paths)


def _siblings(place: Path) -> list[Path]:
    try:
        return [place.with_name(name) for name in sorted(os.listdir(place.parent)) if name != place.name]
    except FileNotFoundError:
        return []


def _size(place: Path) -> int:
    """Bytes on the disk, links not followed."""
    total = _blocks(place)
    for folder, names, files in os.walk(place):
        total += sum(_blocks(os.path.join(folder, name)) for name in [*names, *files])
    return total


def _blocks(path: str | Path) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0  # gone meanwhile
