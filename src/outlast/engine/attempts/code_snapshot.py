"""``code: snapshot``: a study that runs from one copy of its repository's tracked files, whatever becomes of the repository.

The copy lies in ``code/NNNN/`` of the study folder, by the number of the revision that it was taken for. It is in force until
a revision changes what is run (`command`, `function`, `config`, `derive`); other revisions, and a changed working tree, go on
with the old copy. ``--fresh`` sets it aside with everything else.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.files import copy_file, remove_tree, rename, write_atomic
from outlast._system.processes import identity_of
from outlast._system.reading import read_json
from outlast._system.syncing import make_dir, settle_tree
from outlast.config.command import macros
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import RevisionMade
from outlast.errors import StorageError, UsageError
from outlast.study.layout import StudyPaths

#: What to do where there is nothing to take a copy of.
NO_GIT = "git init, git add and git commit there; or `code: live` to run from the files as they are"

_ABOUT = ".outlast-code.json"
_RUNS = ("command", "function", "config", "derive")
_SUBMODULE = "160000"  # its mode in the index (gitglossary, "gitlink")


class Snapshot(Struct, frozen=True):
    """A copy of a repository's tracked files."""

    root: Path
    folder: Path  # inside it: what the training's working directory was in the repository
    code: str  # commit and hash of the diff, as `working_tree` gave them
    notes: tuple[str, ...] = ()


def working_tree(folder: str) -> str:
    """Commit and a hash of the uncommitted diff of the folder's git checkout; of a snapshot those that it was taken at.

    Returns ``""`` outside of both.
    """
    taken = _snapshot_around(folder)
    if taken is not None:
        return taken
    commit = _git(folder, "rev-parse", "--short=12", "HEAD") if _is_for_git(folder) else None
    if not commit:
        return ""
    diff = _git(folder, "diff", "HEAD", "--", ".") or b""
    return commit.decode().strip() + (f"+{hashlib.sha256(diff).hexdigest()[:8]}" if diff else "")


def uncommitted(folder: str, code: str) -> str:
    """The diff that `code` has the hash of, where the folder's working tree is still the one that it names; else ``""``."""
    if "+" not in code or working_tree(folder) != code:
        return ""
    return (_git(folder, "diff", "HEAD", "--", ".") or b"").decode(errors="replace")


def changed_code(study: Study, settings: Settings) -> str:
    """One line on the training code, if it is not what the last attempt so far ran from; ``""`` otherwise."""
    if study.sums.code is None or not settings.command:
        return ""
    _, number, before = study.sums.code
    now = working_tree(settings.working_directory)
    if now in ("", before):
        return ""
    return f"has changed since trial {number}: {before} → {now}; each trial's is in trials.csv"


def in_checkout(folder: str) -> bool:
    """Whether a folder lies in a git checkout, as far as git can say."""
    return _git(folder, "rev-parse", "--show-toplevel") is not None


def code_number(revisions: Sequence[RevisionMade]) -> int:
    """The revision whose copy of the code is in force: the latest that changed what is run; 1 before there is any."""
    number = revisions[0].number if revisions else 1
    for before, after in pairwise(revisions):
        if any(before.settings.get(key) != after.settings.get(key) for key in _RUNS):
            number = after.number
    return number


def snapshot_of(paths: StudyPaths, revisions: Sequence[RevisionMade]) -> Snapshot | None:
    """The copy that is in force, if it was taken."""
    return _read(paths.code / f"{code_number(revisions):04d}")


def as_taken(paths: StudyPaths, settings: Settings, study: Study) -> Settings:
    """The settings with the copy of the code in force, where one was taken for the study: what every later holder runs from."""
    if settings.code == "live":
        return settings
    taken = snapshot_of(paths, study.revisions)
    return settings if taken is None else replace(settings, working_directory=str(taken.folder))


def run_from(
    paths: StudyPaths,
    settings: Settings,
    revisions: Sequence[RevisionMade],
    *,
    default: Literal["snapshot", "live"] = "live",
) -> tuple[Settings, list[str]]:
    """The settings that trials are to be run with: from the copy in force, taken now if there is none yet, or as they are.

    Only for the holder of the lease. Everything else about the study (its revision, where it was run) stays with the settings
    as they were.

    Args:
        default: What a study file that says nothing of `code` means here.

    Returns:
        The settings, and what a person should be told.

    Raises:
        UsageError: `code: snapshot`, and there is no git checkout, or what the study file names is not in the copy.
        StorageError: The copy cannot be written.
    """
    if (settings.code or default) == "live":
        return settings, []
    folder, told = settings.working_directory, []
    taken = snapshot_of(paths, revisions)
    if taken is None:
        if settings.code is None and not in_checkout(folder):
            return settings, [f"{folder} is in no git checkout: trials run from the files as they are (code: live)"]
        try:
            taken = snapshot_code(folder, paths.code / f"{code_number(revisions):04d}")
        except OSError as error:
            raise StorageError.of(error, "the copy of the code cannot be written") from error
        told += [*taken.notes, *not_in_snapshot(settings, taken)]
    elif working_tree(folder) not in ("", taken.code):
        told.append(
            f"trials run from the copy of their code in {taken.root} ({taken.code}); the working tree has changed since: "
            "--fresh, or a changed command, takes a new copy"
        )
    _refuse_missing(settings, taken)
    return replace(settings, working_directory=str(taken.folder)), told


def snapshot_code(folder: str, into: Path) -> Snapshot:
    """Copy the tracked files of a folder's git checkout, as they are now: changes that are not committed included.

    Whole or not at all, and durable before it has its name; a copy that is there already is left as it is, as is one that
    somebody has put there meanwhile who holds the study by now.

    Args:
        folder: Anywhere in the checkout.
        into: The copy.

    Raises:
        UsageError: No git checkout, or nothing in it is tracked.
        OSError: The disk refused.
    """
    there = _read(into)
    if there is not None:
        return there
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        fact = f"code: snapshot copies the files that git tracks, and {folder} is in no git checkout"
        raise UsageError(fact, cure=NO_GIT)
    for left in _unfinished(into):  # or a disk that it fills would stay full
        if not _may_live(left):
            remove_tree(left)
    making = into.with_name(f".{into.name}.{os.getpid()}.{os.urandom(4).hex()}.new")  # one's own
    try:
        _copy_tracked(folder, os.path.realpath(top.decode().rstrip("\n")), making, into)
        _give_name(making, into)
    except OSError:  # or whoever was faster has removed it
        if _read(into) is None:
            raise
    finally:
        remove_tree(making)
    for left in _unfinished(into):
        remove_tree(left)
    taken = _read(into)
    if taken is None:
        raise _missing(into / _ABOUT)
    return taken


def _unfinished(into: Path) -> list[Path]:
    """Copies that are being made for this place, or were when their maker died."""
    return list(into.parent.glob(f".{glob.escape(into.name)}.*new"))


def _may_live(making: Path) -> bool:
    """Whether the process that makes a copy is there, on this host."""
    _, _, pid, *_ = f"{making.name}..".split(".")
    return pid.isdigit() and identity_of(int(pid)) is not None


def _copy_tracked(folder: str, root: str, making: Path, into: Path) -> None:
    """Make the copy of a checkout, with its record, under another name than its own."""
    code, notes, count = working_tree(folder), list[str](), 0
    make_dir(making)
    with _still_there(making):
        for name in _tracked(root, notes):
            source = os.path.join(root, name)
            if not os.path.lexists(source) or Path(source).is_relative_to(into.parent.resolve()):
                continue  # deleted in the working tree; or an earlier copy that somebody put under version control
            make_dir((making / name).parent, durable=False)
            copy_file(source, making / name, durable=False)
            count += 1
        if not count:
            raise UsageError(f"code: snapshot: git tracks no file in {root}", cure="git add the training's files")
        inside = os.path.relpath(os.path.realpath(folder), root)
        make_dir(making / inside, durable=False)
        about = {"version": 1, "code": code, "folder": inside, "notes": notes}
        write_atomic(making / _ABOUT, json.dumps(about), durable=False)
        settle_tree(making)


@contextlib.contextmanager
def _still_there(making: Path) -> Iterator[None]:
    """Fails at its end where the folder was removed meanwhile: it was made anew then, without what had been copied before."""
    fd = os.open(making, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
        if not os.fstat(fd).st_nlink:
            raise _missing(making)
    finally:
        os.close(fd)


def _missing(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _give_name(making: Path, into: Path) -> None:
    try:
        rename(making, into)
    except OSError:
        if _read(into) is not None:  # another was faster
            return
        remove_tree(into)  # one without its record is no copy of ours
        rename(making, into)


def not_in_snapshot(settings: Settings, taken: Snapshot) -> list[str]:
    """What the command names and the copy does not have, a sentence each: trials will not find it there."""
    folder, found = settings.working_directory, []
    for word in _paths_in(settings):
        here = os.path.join(folder, word)
        if not os.path.exists(here):
            continue
        top = os.path.normpath(os.path.join(os.path.realpath(folder), os.path.relpath(taken.root, taken.folder)))
        outside = not Path(os.path.realpath(here)).is_relative_to(top)
        if os.path.isabs(word):
            if not outside:
                found.append(f"{word}, which the command names, is used where it is, not from the copy of the code")
        elif outside and ".." in Path(word).parts:
            found.append(f"{word}, which the command names, lies outside of the repository: name it by its whole path")
        elif not (taken.folder / word).exists():
            found.append(f"{word}, which the command names, is not tracked by git: the copy of the code lacks it")
        elif untracked := _untracked(folder, word):
            what = f"{untracked} files that git does not track: the copy lacks them"
            found.append(f"{word}, which the command names, holds {what}")
    return [f"{text} (data: name it by its whole path; code: git add it; or code: live)" for text in found]


def _refuse_missing(settings: Settings, taken: Snapshot) -> None:
    """What the study file itself names must be in the copy: without it no trial can begin."""
    ids = (settings.trial.folds or {}).get("ids")
    wanted = [("config", settings.config), ("trial.folds.ids", ids if isinstance(ids, str) else None)]
    wanted += [(key, path) for key in ("derive", "function") for path in _module_files(getattr(settings, key))]
    for key, name in wanted:
        there = name and os.path.exists(os.path.join(settings.working_directory, name))
        if there and not (taken.folder / str(name)).exists():
            fact = f"{key}: {name} is not tracked by git, so the copy of the code in {taken.root} lacks it"
            raise UsageError(fact, cure="git add it, then --fresh takes a new copy; or `code: live`")


def _module_files(function: str | None) -> list[str]:
    module = (function or "").partition(":")[0].replace(".", "/")
    return [f"{module}.py", f"{module}/__init__.py"] if module else []


def _paths_in(settings: Settings) -> Iterator[str]:
    """Words of the command that may name files, ``--data=here`` included."""
    for word in (*(settings.command or ()), *settings.trial.resume_args):
        for part in {word, word.partition("=")[2]}:
            if part not in ("", ".", "/") and not macros(part):
                yield part


def _snapshot_around(folder: str) -> str | None:
    """What a snapshot that holds this folder was taken at; it is not the commit of a repository that the study lies in."""
    for place in (Path(os.path.abspath(folder)), *Path(os.path.abspath(folder)).parents):
        taken = _read(place)
        if taken is not None:
            return taken.code
    return None


def _read(place: Path) -> Snapshot | None:
    about = read_json(place / _ABOUT)
    if not isinstance(about, dict):
        return None
    inside = Path(os.path.normpath(place / str(about.get("folder", "."))))
    return Snapshot(place, inside, str(about.get("code", "")), tuple(about.get("notes", ())))


def _tracked(root: str, notes: list[str], prefix: str = "") -> list[str]:
    """The files of the index, those of submodules that are checked out included."""
    found: dict[str, None] = {}
    for entry in filter(None, (_git(root, "ls-files", "--stage", "-z") or b"").split(b"\0")):
        about, _, raw = entry.partition(b"\t")
        name = os.path.join(prefix, os.fsdecode(raw))
        if about.split()[0].decode() != _SUBMODULE:
            found[name] = None
        elif os.path.lexists(os.path.join(root, os.fsdecode(raw), ".git")):
            notes.append(f"submodule {name} is copied as it is checked out")
            found |= dict.fromkeys(_tracked(os.path.join(root, os.fsdecode(raw)), notes, name))
        else:
            cure = "git submodule update --init"
            notes.append(f"submodule {name} is not checked out: the copy of the code lacks it ({cure})")
    return list(found)


def _untracked(folder: str, word: str) -> int:
    """How many files below a folder git does not track, ignored ones included; what Python caches is nobody's."""
    if not os.path.isdir(os.path.join(folder, word)):
        return 0
    names = (_git(folder, "ls-files", "--others", "-z", "--", word) or b"").split(b"\0")
    return sum(bool(name) and b"__pycache__" not in name for name in names)


def _is_for_git(folder: str) -> bool:
    """Whether to ask git at all, which takes a process or two: not where no folder above could be a checkout's."""
    here = Path(os.path.realpath(folder))
    return "GIT_DIR" in os.environ or any(os.path.lexists(place / ".git") for place in (here, *here.parents))


def _git(folder: str, *arguments: str) -> bytes | None:
    """What git says; ``None`` where it fails, is not there, or takes too long."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, timeout=60, check=False)
        return done.stdout if done.returncode == 0 else None
    return None
