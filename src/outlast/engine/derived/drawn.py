"""Whether what was drawn from a ledger lies there as it was drawn: told from a look at each file, without drawing anything.

It is derived itself, and believed only while every file has the length and the time that it had; in doubt, and after another
version of Outlast drew them, they are compared with the ledger.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from outlast._system.files import has_temporaries, write_atomic
from outlast._system.mounts import is_shared
from outlast._system.reading import read_bytes
from outlast._version import __version__
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.states import StudyState
from outlast.study.layout import StudyPaths
from outlast.study.segments import can_be_opened


def keep_drawn(paths: StudyPaths, study: Study) -> None:
    """Put down that index, tables and best files say what this study is. Nobody waits for the disk.

    Raises:
        OSError: The folder cannot be written.
    """
    text = "\n".join([_of(study), *_marks(paths)])
    write_atomic(paths.drawn, f"{zlib.crc32(text.encode()):08x}\n{text}", durable=False)


def is_drawn(paths: StudyPaths, study: Study) -> bool:
    """Whether all of it was drawn from this very study, and nothing of it has changed since."""
    return _kept(paths) == _of(study)


def may_be_done(paths: StudyPaths, settings: Settings) -> bool:
    """Whether what lies there is of a study that was done under these settings: told without reading its ledger."""
    kept = _kept(paths)
    return kept is not None and kept.endswith(f" {StudyState.DONE.value} {_crc(settings.resolved)}")


def _kept(paths: StudyPaths) -> str | None:
    """Of which study everything was drawn that lies there as it was drawn; ``None``: in doubt, or somebody died while writing."""
    try:
        if has_temporaries(paths.root):
            return None
        crc, _, text = (read_bytes(paths.drawn) or b"").decode(errors="replace").partition("\n")
        of, _, marks = text.partition("\n")
        sound = int(crc, 16) == zlib.crc32(text.encode()) and marks == "\n".join(_marks(paths))
    except (OSError, ValueError):
        return None
    return of if sound else None


def _of(study: Study) -> str:
    """What tells one state of a study from all others; at its end how it came to rest, and under which settings."""
    number, settings = (0, "") if study.revision is None else (study.revision.number, _crc(study.revision.settings))
    state = "" if study.ended is None else study.ended.state
    trials = ",".join(f"{count} {kind.value}" for kind, count in sorted(study.counts().items()))
    return f"{__version__} {study.identity} {study.last_at} {number} {trials} {state} {settings}"


def _crc(settings: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(settings, sort_keys=True, default=str).encode()):08x}"


def _marks(paths: StudyPaths) -> Iterator[str]:
    shared = is_shared(paths.root)
    for path in (
        paths.study_file,
        paths.index,
        paths.trials_table,
        paths.summary,
        paths.best_config,
        paths.best_results,
    ):
        yield _mark(path, shared)
    yield from (_mark(Path(f"{paths.index}{suffix}"), shared) for suffix in ("-journal", "-wal"))
    link = paths.best_checkpoint
    yield f"{_mark(link, shared)}:{os.readlink(link) if os.path.islink(link) else ''}:{os.path.exists(link)}"


def _mark(path: Path, shared: bool) -> str:
    """A file's length and time; a link's own. Over a network what is known of it here may be a minute old until it is opened,
    which asks the server (nfs(5), "Close-to-open cache consistency")."""
    try:
        if shared:
            can_be_opened(path)
        found = os.lstat(path)
    except FileNotFoundError:
        return f"{path.name}:none"
    return f"{path.name}:{found.st_size}:{found.st_mtime_ns}"
