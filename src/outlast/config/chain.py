"""A study file and what it extends as one document in our own dialect."""

from __future__ import annotations

import os
from collections.abc import Sequence

from outlast.config import native, overrides, yaml
from outlast.config.yaml import Document
from outlast.errors import StudyFileError

_SHARED = ("name", "description", "metric", "parameters", "command", "extends", "matrix", "cwd")


def read_chain(file: str, extending: Document | None = None) -> list[Document]:
    """A file and all that it extends, the farthest first. A base's own name is not handed down.

    Args:
        file: To be read, or what `extending` is of.
        extending: That file as it was read, or a part of it which is a study. Taken over: it is changed.

    Raises:
        StudyFileError: One of them cannot be read, or they go round in a circle.
    """
    documents: list[Document] = []
    seen: list[str] = []
    here, document = file, extending
    while True:
        real = os.path.realpath(here)
        if real in seen:
            raise documents[-1].error(("extends",), f"goes round in a circle: `{here}` is extended already")
        seen.append(real)
        if document is None:
            document = yaml.read(here)
        if documents:
            document.data.pop("name", None)
        overrides.spell(document)
        documents.append(document)
        base = document.data.get("extends")
        if base is None:
            return documents[::-1]
        if not isinstance(base, str) or not base:
            raise document.error(("extends",), "must be a study file's path")
        here = os.path.join(os.path.dirname(here), base)
        if not os.path.exists(here):
            raise document.error(("extends",), f"`{base}` does not exist", "paths start at the study file's folder")
        document = None


def resolve_chain(chain: Sequence[Document], changes: Sequence[str], folder: str) -> tuple[Document, tuple[str, ...]]:
    """The document in our dialect, with everything that it extends and every override; and what was noted on the way.

    Args:
        chain: Of `read_chain`, or several of these behind each other: whatever comes later changes what is before it.
        changes: ``key=value`` texts, as of ``--set``.
        folder: That of the last document.

    Raises:
        StudyFileError: Something is wrong with one of them, or with a change.
    """
    from outlast.config import reference_dialect, wandb

    _rebase(chain)
    notes = tuple(
        note for document in chain if _dialect(document) == "wandb" for note in wandb.as_wandb_reads(document)
    )
    dialects = [dialect for dialect in (_dialect(document) for document in chain) if dialect]
    parsed = [overrides.parse_override(change) for change in changes]
    if len(set(dialects)) > 1:  # each is translated by itself
        translated = []
        for document in chain:
            one, more = _translate(document, _dialect(document) or "outlast", folder, files=False)
            translated.append(one)
            notes += more
        document, dialect = _merged(translated), "outlast"
    else:
        document, dialect = _merged(chain), dialects[0] if dialects else "outlast"
    own = {"wandb": tuple(wandb.SWEEP_FILE.shapes), "reference": tuple(reference_dialect.HPO_FILE.shapes)}.get(
        dialect, ()
    )
    later = []
    for parts, value, place in parsed:
        if parts[0] == "extends":
            raise StudyFileError(
                "is read from a study file only", file=place.file, cure="write `extends:` into the file"
            )
        if parts[0] in own:
            overrides.override(document, parts, value, place, own)
        else:
            later.append((parts, value, place))
    document, more = _translate(document, dialect, start_of(document, folder), files=True)
    for parts, value, place in later:
        overrides.override(document, parts, value, place, tuple(native.STUDY_FILE.shapes))
    document.data.pop("extends", None)
    return document, notes + more


def start_of(document: Document, folder: str) -> str:
    """Where the command runs and relative paths start: the study file's folder, or what `cwd` says from there."""
    cwd = document.data.get("cwd")
    if not isinstance(cwd, str):  # none, or one that its shape refuses
        return folder
    start = os.path.normpath(os.path.join(folder, cwd))
    if not os.path.isdir(start):
        raise document.error(("cwd",), f"`{cwd}` is no folder", "it is relative to the study file's folder")
    return start


def _translate(document: Document, dialect: str, folder: str, *, files: bool) -> tuple[Document, tuple[str, ...]]:
    from outlast.config import reference_dialect, wandb

    if dialect == "wandb":
        return wandb.translate(document, folder=folder, files=files)
    if dialect == "reference":
        return reference_dialect.translate(document)
    return document, ()


def _rebase(chain: Sequence[Document]) -> None:
    """Paths of bases in other folders, as they are seen from where the study file's own start."""
    homes = [os.path.dirname(os.path.abspath(document.file)) for document in chain]
    starts: list[str] = []
    for document, home in zip(chain, homes, strict=True):
        cwd = document.data.get("cwd")
        handed_down = starts[-1] if starts and "cwd" in _keys(chain[: len(starts)]) else home
        starts.append(os.path.normpath(os.path.join(home, cwd)) if isinstance(cwd, str) else handed_down)
        if isinstance(cwd, str) and home != homes[-1] and not os.path.isabs(cwd):
            document.data["cwd"] = os.path.relpath(starts[-1], homes[-1])
    for document, start in zip(chain, starts, strict=True):
        for key in ("config", "program"):
            value = document.data.get(key)
            if isinstance(value, str) and not os.path.isabs(value) and start != starts[-1]:
                document.data[key] = os.path.relpath(os.path.join(start, value), starts[-1])


def _keys(chain: Sequence[Document]) -> set[str]:
    return {key for document in chain for key, value in document.data.items() if value is not None}


def _merged(chain: Sequence[Document]) -> Document:
    document = chain[0]
    for top in chain[1:]:
        document = overrides.merge(document, top)
    return document


def _dialect(document: Document) -> str | None:
    """Whose words a file speaks; ``None`` where it has only words that all share."""
    from outlast.config import reference_dialect, wandb

    ours = [key for key in document.data if key in native.STUDY_FILE.shapes and key not in _SHARED]
    sweep = [key for key in document.data if key in wandb.ONLY_KEYS]
    hpo = [key for key in document.data if key in reference_dialect.ONLY_KEYS]
    if hpo:
        mixed = [*sweep, *(key for key in document.data if key in reference_dialect.COUNTERPARTS)]
        if mixed:
            raise _mixture(document, mixed[0], hpo[0], "an HPO file's")
        return "reference"
    if sweep and ours:
        raise _mixture(document, ours[0], sweep[0], "a W&B sweep file's")
    if sweep:
        return "wandb"
    return "outlast" if ours else None


def _mixture(document: Document, ours: str, theirs: str, whose: str) -> StudyFileError:
    return document.error(
        (ours,),
        f"two dialects in one file: `{theirs}` (line {document.place((theirs,)).line}) is {whose}, `{ours}` is not",
        f"keep one, or put `{ours}` into a file of its own that says `extends: {os.path.basename(document.file)}`",
    )
