"""How it stands, on one plain line: for a pipe, a file, a terminal that cannot move its cursor."""

from __future__ import annotations

from outlast.cli.phrases import counts_text, speed_text
from outlast.cli.text import one_line
from outlast.monitor.overview import Overview
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.times import metric_value


def plain_line(overview: Overview) -> str:
    """One study's state, or that of several together with each one's beginning."""
    if len(overview.sights) == 1 and overview.snapshots:
        return progress_line(overview.snapshots[0])
    total = f"{overview.counted}/{overview.target}" if overview.target is not None else f"{overview.counted}"
    share = "" if overview.share is None else f", {int(1000 * overview.share + 1e-6) / 10:.1f}%"
    studies = []
    for sight in overview.sights:
        found = sight.snapshot
        if found is None:
            studies.append(f"{one_line(sight.name)} not there: {one_line(sight.error)}")
            continue
        of = f"{found.counted}/{found.target}" if found.target is not None else f"{found.finished}"
        state = "" if found.live is not None else f" {found.state.value}"
        warned = f" (warning: {one_line(found.warnings[0].text)})" if found.warnings else ""
        studies.append(f"{one_line(sight.name)}{state} {of}{warned}")
    return f"{total} trials{share}; {'; '.join(studies)}"


def progress_line(snapshot: Snapshot) -> str:
    """The state on one plain line."""
    total = "" if snapshot.target is None else f"/{snapshot.target}"
    done = snapshot.finished if snapshot.target is None else snapshot.counted
    parts = [f"{done}{total} trials", counts_text(snapshot).plain]
    if snapshot.best is not None:
        name = snapshot.metrics[0][0]
        parts.append(f"best {name}={metric_value(name, snapshot.best.value)} (trial {snapshot.best.trial})")
    parts.append(speed_text(snapshot))
    parts += [f"warning: {warning.text}" for warning in snapshot.warnings[:1]]
    return "; ".join(filter(None, parts))
