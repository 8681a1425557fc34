"""How it stands, on one plain line: for a pipe, a file, a terminal that cannot move its cursor."""

from __future__ import annotations

from outlast.cli.render.phrases import counts_text, total_text
from outlast.cli.render.text import one_line
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.speed_words import speed_text
from outlast.monitor.times import metric_value


def plain_line(overview: Overview) -> str:
    """One study's state, or that of several together with each one's beginning."""
    if len(overview.sights) == 1 and overview.snapshots:
        return progress_line(overview.snapshots[0])
    studies = ", ".join(map(_of_study, overview.sights))
    wrong = [sight.name for sight in overview.sights if sight.is_wrong]
    troubles = [f"something is wrong with {', '.join(map(one_line, wrong))}"] if wrong else []
    troubles += [one_line(each.text) for each in overview.findings if each.is_trouble and not each.study]
    return "; ".join([f"{total_text(overview)}: {studies}", *troubles])


def _of_study(sight: Sight) -> str:
    """``criteria 12/800``, with its state unless it is run."""
    at, name = sight.snapshot, one_line(sight.name)
    if at is None or at.live is None:
        name += f" {sight.state}"
    return name if at is None else f"{name} {tally(at)}"


def tally(snapshot: Snapshot) -> str:
    """``12/800``."""
    return f"{snapshot.finished}" if snapshot.target is None else f"{snapshot.counted}/{snapshot.target}"


def progress_line(snapshot: Snapshot) -> str:
    """The state on one plain line."""
    total = "" if snapshot.target is None else f"/{snapshot.target}"
    done = snapshot.finished if snapshot.target is None else snapshot.counted
    parts = [f"{done}{total} trials", counts_text(snapshot).plain]
    if snapshot.best is not None:
        name = snapshot.metrics[0][0]
        parts.append(f"best {name}={metric_value(name, snapshot.best.value)} (trial {snapshot.best.trial})")
    parts.append(speed_text(snapshot))
    parts += [f"{'warning' if each.is_trouble else 'note'}: {each.text}" for each in snapshot.warnings[:1]]
    return "; ".join(filter(None, parts))
