"""Who looks after a campaign, or after one study in the background, as an onlooker is told."""

from __future__ import annotations

from pathlib import Path

from outlast.monitor.snapshot import SupervisorFacts
from outlast.study.supervision import live_supervision


def supervisor_facts(record: Path) -> SupervisorFacts | None:
    """What the record says of who does so now; ``None`` where nobody does."""
    found = live_supervision(record)
    if found is None:
        return None
    restarts = {each.study: each.restarts for each in found.charges if each.restarts}
    return SupervisorFacts(found.process.host, found.process.pid, found.since, restarts)
