"""How much a report knows of its study, which its page says at its end: told without loading what draws it."""

from __future__ import annotations

import os
import re
from datetime import datetime

from outlast.core.fold import Study

_MARK = re.compile(rb"<!-- outlast: (\d+) -->\s*$")  # as `outlast.results.report_page` writes it


def mark_of(study: Study) -> int:
    """How much of a study is known: when anything was put on record last, in milliseconds."""
    try:
        return int(datetime.fromisoformat(study.last_at).timestamp() * 1000)
    except ValueError:
        return 0


def is_newer(path: str | os.PathLike[str], study: Study) -> bool:
    """Whether the page there knows more than we do, or as much."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 200))
            mark = mark_of_report(file.read())
    except OSError:
        return False
    return mark is not None and mark >= mark_of(study)


def mark_of_report(end: bytes) -> int | None:
    """The mark of a page, from its last bytes; ``None`` where it has none."""
    found = _MARK.search(end)
    return None if found is None else int(found[1])
