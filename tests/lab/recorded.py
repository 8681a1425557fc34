"""A study folder as a search would have left it, without running one: its ledger is written by the ledger's own writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from outlast.config.load import settings_from_resolved
from outlast.core.records import RevisionMade, RunStarted, StudyCreated, StudyEnded
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.testing.studies import StudyBuilder

__all__ = ["record_study"]


def record_study(
    folder: Path, study_file: dict[str, Any], build: StudyBuilder, *, elapsed: float = 3600.0
) -> StudyPaths:
    """Write the ledger of a fabricated study that ended in order.

    Args:
        folder: The study folder; made if missing.
        study_file: In our dialect, as read from YAML.
        build: Its trials.
        elapsed: Seconds that it ran.
    """
    paths = StudyPaths.at(folder)
    folder.mkdir(parents=True, exist_ok=True)
    resolved = settings_from_resolved(study_file, str(folder)).resolved
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append(
        [
            StudyCreated(study_file["name"], build.at(0), study_seed=1),
            RevisionMade(1, build.at(0), resolved),
            RunStarted(build.at(0), "box", 1, working_directory="."),
            *(event for trial in build.study.trials.values() for event in trial.events()),
            StudyEnded(build.at(elapsed), "done", "the target is met", elapsed),
        ]
    )
    ledger.close()
    return paths
