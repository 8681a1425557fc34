"""What the page of one study shows, as plain data: what the report of it does, but for what takes long. Pure."""

from __future__ import annotations

import hashlib
from datetime import timezone
from typing import Any

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.monitor.snapshot import Snapshot
from outlast.results.page_data import FromFiles, page_data
from outlast.results.report_facts import drawn_space

#: What nobody looks at while a search runs: the report has it.
_LEFT_OUT = ("study_file", "environment", "stories")


def mark_of_study(study: Study) -> str:
    """Changes with every record that changes what the page shows. Curves of running trials come with the first page."""
    attempts = sum(len(trial.attempts) for trial in study.trials.values())
    told = (
        study.last_at,
        len(study.trials),
        attempts,
        sorted(study.counts().items()),
        len(study.revisions),
        study.runs,
    )
    return hashlib.sha256(repr((told, study.ended)).encode()).hexdigest()


def study_data(study: Study, settings: Settings, snapshot: Snapshot) -> dict[str, Any]:
    """Trials, attempts and curves in columns, the best configuration, and the figures above them.

    Args:
        study: The folded ledger.
        settings: In force.
        snapshot: How it stands.
    """
    made_at = snapshot.now.astimezone(timezone.utc).isoformat(timespec="seconds")
    told, facts = snapshot.to_json(), {"drawn": drawn_space(study)}
    data = page_data(study, settings, FromFiles(snapshot.folder), status=told, facts=facts, made_at=made_at)
    return {name: value for name, value in data.items() if name not in _LEFT_OUT}
