"""The code of an exported model: what its training runs from, copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from outlast._system.files import copy_file, remove_tree, rename
from outlast._system.syncing import make_dir
from outlast.config.command import macros
from outlast.config.settings import Settings
from outlast.engine.attempts.code_snapshot import in_checkout, snapshot_code
from outlast.engine.followup.archive import ABOUT
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths

#: Where no git says what is code: Python's files, and what the command names.
_CODE = (".py", ".pyi", ".sh", ".toml", ".cfg")
_NOT_CODE = ("studies", "__pycache__", "node_modules", "site-packages", "venv")
_MOST_FILES = 2000


def copy_code(settings: Settings, commands: Iterable[str], into: Path) -> tuple[str, list[str]]:
    """Copy the code that the commands of a study run from.

    Of a git checkout what is tracked, as it is now, below the working directory; the whole repository where a command names
    what lies beside it. Elsewhere Python's files below the working directory and what the commands name there.

    Args:
        settings: The study's; its working directory is where it runs, the copy of the code for ``code: snapshot``.
        commands: The words of its commands.
        into: The copy.

    Returns:
        The folder in the copy to run in, and what a person should know.
    """
    start, words = Path(settings.working_directory), [word for word in commands if not macros(word)]
    scripts = [word for word in words if word.endswith(_CODE) and not os.path.isabs(word)]
    if scripts and not any((start / word).is_file() for word in scripts):
        make_dir(into, durable=False)  # a study that was moved alone: whatever lies there is somebody else's
        return ".", [f"{scripts[0]} is not where the study runs: code/ is empty"]
    if not in_checkout(str(start)):
        return ".", _copy_plainly(start, words, into)
    whole = into.with_name(f".{into.name}.whole")
    remove_tree(whole)
    try:
        taken = snapshot_code(str(start), whole)
    except UsageError:  # git tracks nothing there
        return ".", _copy_plainly(start, words, into)
    inside = os.path.relpath(taken.folder, taken.root)
    outside = any((start / word).exists() and ".." in Path(word).parts for word in words)
    told = [
        f"{word}, which the command names, is not tracked by git and not in code/"
        for word in words
        if (start / word).is_file() and not os.path.isabs(word) and not (taken.folder / word).exists()
    ]
    rename(taken.root if outside else taken.folder, into, durable=False)
    remove_tree(whole)
    return (inside if outside else "."), told


def _copy_plainly(start: Path, words: Iterable[str], into: Path) -> list[str]:
    make_dir(into, durable=False)
    named = [
        Path(word)
        for word in words
        if (start / word).is_file() and not os.path.isabs(word) and ".." not in Path(word).parts
    ]
    found = [*named, *islice(_python_files(start), _MOST_FILES + 1)]
    for path in dict.fromkeys(found[:_MOST_FILES]):
        make_dir((into / path).parent, durable=False)
        copy_file(start / path, into / path, durable=False)
    return [f"only {_MOST_FILES} files of the code are in code/"] if len(found) > _MOST_FILES else []


def _python_files(start: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(start):
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".")
            and name not in _NOT_CODE
            and not (Path(folder) / name / "pyvenv.cfg").exists()
            and not (Path(folder) / name / StudyPaths.ledger.name).is_dir()  # a study
            and not (Path(folder) / name / ABOUT).exists()  # another export
        )
        yield from (Path(folder, name).relative_to(start) for name in sorted(names) if name.endswith(_CODE))


def copy_model(parts: Iterable[Path], into: Path) -> None:
    """Copy the files and folders of a model, links followed: what they point to stays behind. What is there already is left."""
    make_dir(into, durable=False)
    for part in parts:
        if (into / part.name).exists() or not _can_be_copied(part):
            continue
        if part.is_dir():
            shutil.copytree(part, into / part.name, ignore=_not_copied)
        else:
            copy_file(part.resolve(), into / part.name, durable=False)


def _not_copied(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".") or not _can_be_copied(Path(folder, name))]


def _can_be_copied(path: Path) -> bool:
    """Whether it is a file or folder, and no link to nothing or back to what it lies in."""
    if path.is_symlink() and path.resolve() in [path.parent.resolve(), *path.parent.resolve().parents]:
        return False
    return path.is_file() or path.is_dir()
