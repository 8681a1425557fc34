"""A study that runs in a live folder on scratch, and its home folder, where what must not be lost is kept.

At home a link, ``live`` (a file with the path where there are no links), says where it runs; there, ``home.json`` says whose it
is. Bringing home is `outlast.study.homesync`; here: finding one from the other, and giving a live folder back what a purge took.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from outlast._system.files import copy_file, remove_tree, rename, symlink_atomic, write_atomic
from outlast._system.mounts import NOT_SUPPORTED
from outlast._system.reading import read_bytes, read_json, read_link
from outlast._system.syncing import make_dir
from outlast._system.wary import patiently
from outlast.core.file_names import CHECKPOINTS, FOLLOWUPS, StudyNames, TrialPaths
from outlast.core.file_names import StudyNames as _At
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

#: What belongs to the folder that it lies in, and to nobody's copy. Follow-ups are studies of their own, with homes of their own.
STAYS = frozenset(
    (
        *(
            each.name
            for each in (
                _At.lease,
                _At.open,
                _At.requests,
                _At.live,
                _At.home,
                _At.glance,
                _At.folded,
                _At.drawn,
                _At.behind,
                _At.snapshots,
                _At.unfinished,
            )
        ),
        *(each.name for each in (_At.run_log, _At.earlier_run_log, _At.supervisor)),
        *FOLLOWUPS,
    )
)


def live_of(folder: str | os.PathLike[str]) -> str:
    """The live folder of the study that has its home here, while it is there; otherwise this folder itself."""
    tied = _tied(Path(folder))
    if tied is None:
        return os.fspath(folder)
    target = os.path.realpath(os.path.join(folder, tied))
    owner = home_of(StudyPaths.at(target))
    ours = owner is not None and (_same(owner.root, folder) or not owner.root.exists())  # or the home was moved
    return target if ours else os.fspath(folder)


def home_of(live: StudyPaths) -> StudyPaths | None:
    """The home of the study that runs here; ``None`` where it has none but this."""
    about = read_json(live.home)
    return StudyPaths.at(str(about["home"])) if isinstance(about, dict) and about.get("home") else None


def is_on_a_drive(live: StudyPaths) -> bool:
    """Whether the home of the study that runs here lies on a mounted drive, which may not hold what was written."""
    about = read_json(live.home)
    return isinstance(about, dict) and bool(about.get("drive"))


def ran_from(paths: StudyPaths) -> Path:
    """The folder that a recorded working directory is relative to: the live one, also when that was purged."""
    tied = _tied(paths.root)
    return paths.root if tied is None else Path(tied)


def _tied(folder: Path) -> str | None:
    """What ``live`` in a folder says; ``None`` where there is none."""
    live = StudyNames(folder).live
    text = read_bytes(live) if not live.is_symlink() and live.is_file() else None
    return os.fsdecode(text).strip() if text else read_link(live)


def tie(home: StudyPaths, live: StudyPaths, *, drive: bool = False) -> list[str]:
    """Let a home and its live folder know each other, and the live folder have what it lacks.

    Args:
        drive: The home lies on a mounted drive.

    Returns:
        What a person should be told.

    Raises:
        UsageError: The live folder is another study's, or the two have parted.
        OSError: A disk refused.
    """
    owner = home_of(live)
    if owner is not None and not _same(owner.root, home.root) and live_of(owner.root) == str(live.root):
        raise UsageError(
            f"{live.root} is the live folder of {owner.root}", cure="name another slurm.scratch for one of them"
        )
    patiently(make_dir, home.root)
    make_dir(live.root)
    if owner is None or owner.root != home.root or is_on_a_drive(live) != drive:
        write_atomic(
            live.home, json.dumps({"version": 1, "home": str(home.root), **({"drive": True} if drive else {})})
        )
    told: list[str] = []
    if drive:
        from outlast.study.drive_home import require_one_story, restore_from_drive

        told = restore_from_drive(live, home)
        require_one_story(live, home)
    else:
        restore(live, home)
        require_extension(live, home)
    if str(ran_from(home)) != str(live.root):
        try:
            patiently(symlink_atomic, str(live.root), home.live)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            patiently(write_atomic, home.live, str(live.root))
    return told


def _same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def restore(live: StudyPaths, home: StudyPaths) -> list[str]:
    """Give a live folder what it lacks and home has: all of it after a purge, or single files.

    The ledger goes last, so that a folder that is given back by halves is no study yet. Trials whose checkpoints were
    purged start over; what was decided after the last sync is lost with the live folder.

    Returns:
        What was copied, by its path in the study folder.

    Raises:
        OSError: A disk refused; the next try goes on.
    """
    finish_replacing(home.root)
    found = sorted(files_below(home.root, "."), key=_restored_last)
    has_checkpoints = {name for name in entries(live.trials) if entries(TrialPaths.of(live.trials / name).checkpoints)}
    copied = []
    for name in found:
        parts = name.split("/")
        if parts[0] in STAYS or os.path.lexists(live.root / name):
            continue
        if parts[2:3] == [CHECKPOINTS] and parts[1] in has_checkpoints:
            continue  # it has some of its own, which are newer
        make_dir((live.root / name).parent)
        copy_file(home.root / name, live.root / name)
        copied.append(name)
    target = read_link(home.best_checkpoint)
    if target is not None and not os.path.lexists(live.best_checkpoint):
        with contextlib.suppress(OSError):
            symlink_atomic(target, live.best_checkpoint)
            copied.append(_At.best_checkpoint.name)
    return copied


def require_extension(live: StudyPaths, home: StudyPaths) -> None:
    """Refuse a home whose ledger is no beginning of the live folder's.

    Raises:
        UsageError: With what to do.
    """
    before = read_ledger(home.ledger).segments  # first: whoever runs the study may bring home more while this looks
    mine = {segment.number: segment for segment in read_ledger(live.ledger).segments}
    base = min((number for number, segment in mine.items() if segment.lines and "base" in segment.lines[0]), default=1)
    for segment in before:
        if segment.number < base:
            continue  # a repair has taken it into a ledger that begins later
        other = mine.get(segment.number)
        if other is None or other.lines[: len(segment.lines)] != segment.lines:
            raise UsageError(
                f"{home.root} holds decisions of a study that {live.root} does not know: they have parted",
                cure=f"move one of the two folders away; without {live.root}, the study goes on from {home.root}",
            )


def files_below(root: Path, name: str) -> Iterator[str]:
    """Every file and link below a folder, by its path in the study folder.

    What is hidden was set aside or is unfinished, except inside a copy of the code.
    """
    for place, folders, files in os.walk(root / name):
        inside = os.path.relpath(place, root).split(os.sep)
        all_of_it = inside[0] == _At.code.name and len(inside) > 1
        folders[:] = [folder for folder in folders if all_of_it or not folder.startswith(".")]
        links = [folder for folder in folders if os.path.islink(os.path.join(place, folder))]
        for file in [*files, *links]:
            path = os.path.relpath(os.path.join(place, file), root)
            if (all_of_it or not file.startswith(".")) and path != _At.best_checkpoint.name:
                yield path


def _restored_last(name: str) -> tuple[bool, bool, bool, str]:
    """What says that something is there, and whole, comes after it."""
    records = ("/.outlast-code.json", f"/{TrialPaths.record.name}")
    return name.startswith(f"{_At.ledger.name}/"), name == _At.study_file.name, name.endswith(records), name


def finish_replacing(root: Path) -> None:
    """Give a folder back that was being replaced when that ended, and remove what is left of it."""
    study = StudyNames(root)
    for parent in (study.code, *(study.trials / name for name in entries(study.trials))):
        for name in sorted(os.listdir(parent)) if parent.is_dir() else ():
            if name.startswith(".") and name.endswith(".old") and not (parent / name[1:-4]).exists():
                rename(parent / name, parent / name[1:-4])
            elif name.startswith(".") and name.endswith((".old", ".new")):
                remove_tree(parent / name)


def entries(folder: Path) -> list[str]:
    """What lies in a folder and is not hidden; nothing where there is no folder."""
    return sorted(n for n in os.listdir(folder) if not n.startswith(".")) if folder.is_dir() else []
