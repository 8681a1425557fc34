"""Where the benchmark keeps what it builds and finds: a folder outside of the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from quality_lab.results import Results

#: The folder, unless the command line says another.
VARIABLE = "OUTLAST_QUALITY_CACHE"
#: What the repository keeps of it.
RECORDED = Path(__file__).parents[1] / "recorded"


def default_folder() -> Path:
    """`OUTLAST_QUALITY_CACHE`, or a folder in the user's cache."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outlast-quality"


@dataclass(frozen=True)
class Places:
    """Every path in that folder."""

    folder: Path

    @property
    def environments(self) -> Path:
        """One virtual environment a peer."""
        return self.folder / "environments"

    @property
    def logs(self) -> Path:
        """What peers print; made by whoever writes there."""
        made = self.folder / "logs"
        made.mkdir(parents=True, exist_ok=True)
        return made

    @property
    def trainings(self) -> Path:
        """Every training that was ever run, by task, configuration and seed."""
        return self.folder / "trainings.sqlite"

    @property
    def results(self) -> Results:
        """One line a search."""
        return Results(self.folder / "searches.jsonl", RECORDED / "searches.jsonl")

    @property
    def pruned_results(self) -> Results:
        """One line a search with a pruner."""
        return Results(self.folder / "pruned-searches.jsonl", RECORDED / "pruned-searches.jsonl")
