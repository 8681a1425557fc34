"""Which pages ``plots/`` has, and what each was drawn from: known without drawing anything."""

from __future__ import annotations

import os
import re

#: The files in the folder ``plots``, and what each shows.
PLOTS = {
    "optimization_history.html": "history",
    "param_importances.html": "importances",
    "parallel_coordinate.html": "parallel",
}


def mark_of(page: str | os.PathLike[str]) -> str | None:
    """The mark that a page was written with; ``None`` where there is no such page."""
    try:
        with open(page, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 500))
            end = file.read().decode(errors="replace")
    except OSError:
        return None
    found = re.search(r"<!-- outlast: (.*) -->\s*$", end)
    return None if found is None else found[1]
