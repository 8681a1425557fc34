"""What is told, as values: a title, a text, and plain data for a command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from outlast.config.secrets import mask_inside, mask_text
from outlast.core.moments import parse_time
from outlast.monitor.health import HealthWarning
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.times import duration, local_time, metric_value

Event = Literal["finding", "over", "begun", "ended", "test"]
_MOST = 3000  # characters of a text: services cut longer ones, some refuse them


class Message(Struct, frozen=True):
    """One thing to be told."""

    event: Event
    title: str
    text: str
    data: Mapping[str, Any] = {}  # what a command is given beside them


def finding(study: str, found: HealthWarning, *, over: bool = False) -> Message:
    """That something is wrong, or that it is so no longer."""
    name = found.study or study
    since = parse_time(found.since)
    lines = [found.text[:1].upper() + found.text[1:]]
    lines += [f"Since {local_time(since)}."] if since is not None and not over else []
    lines += [f"What helps: {found.cure}"] if found.cure and not over else []
    what = f"{name}: over" if over else f"{name}: {found.level}"
    title = f"{what}: {found.key.replace('_', ' ')}"
    return _message("over" if over else "finding", title, lines, {**found.to_json(), "study": name})


def begun(study: str, found: HealthWarning) -> Message:
    """That the first trials ended well."""
    return _message("begun", f"{study}: began well", [found.text], {**found.to_json(), "study": study})


def ended(seen: Snapshot) -> Message:
    """How a search ended, with its best."""
    told = [f"{number} {state.value}" for state, number in seen.counts.items() if number]
    lines = [seen.reason, ", ".join(told), f"Ran for {duration(seen.time.running_seconds)}."]
    best: dict[str, Any] | None = None
    if seen.best is not None:
        name = seen.metrics[0][0]
        params = ", ".join(f"{key}={value}" for key, value in seen.best.params.items())
        lines += [f"Best: trial {seen.best.trial}, {name} {metric_value(name, seen.best.value)}", params]
        best = {"trial": seen.best.trial, "value": seen.best.value, "params": dict(seen.best.params)}
    lines += [f"Next: {seen.next_command}"]
    data = {"study": seen.study, "state": seen.state.value, "reason": seen.reason, "best": best,
            "counts": {state.value: number for state, number in seen.counts.items()}}  # fmt: skip
    return _message("ended", f"{seen.study}: {seen.state.value}", lines, data)


def all_ended(name: str, seen: Sequence[Snapshot]) -> Message:
    """How the searches of a campaign ended, a line each."""
    lines, data = [], []
    for each in seen:
        metric = each.metrics[0][0]
        best = (
            ""
            if each.best is None
            else f", best trial {each.best.trial}, {metric} {metric_value(metric, each.best.value)}"
        )
        lines.append(f"{each.study}: {each.state.value}, {each.finished} trials{best}")
        data.append(
            {"study": each.study, "state": each.state.value, "best": None if each.best is None else each.best.value}
        )
    return _message("ended", f"{name}: all studies have come to rest", lines, {"study": name, "studies": data})


def test(study: str) -> Message:
    """That telling works."""
    text = "This is a test: findings about this search will come here."
    return _message("test", f"{study}: a test", [text], {"study": study})


def signed(told: Message, folder: str) -> Message:
    """With the place that it speaks of, by its host and folder."""
    host, folder = os.uname().nodename, readable(folder)
    text = readable(f"{told.text}\n{host}:{folder}")
    return replace(told, title=readable(told.title), text=text, data={**told.data, "host": host, "folder": folder})


def readable(text: str) -> str:
    """Text that services and records take: a folder's name may hold bytes that no encoding has."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _message(event: Event, title: str, lines: Sequence[str], data: Mapping[str, Any]) -> Message:
    text = mask_text("\n".join(line for line in lines if line))
    cut = text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
    return Message(event, mask_text(title), cut, mask_inside(data))
