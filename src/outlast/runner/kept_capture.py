"""What a kept worker knows of a trial that is over: the same sources and rules as a runner's, without files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from outlast.runner.capture.collect import collect
from outlast.runner.capture.curve import Curve
from outlast.runner.capture.metric_files import FoundFile, MetricFiles
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.reports import ReportsReader
from outlast.runner.capture.scanner import OutputScanner
from outlast.runner.capture.session import Captured

_CHUNK = 1 << 20


def captured(
    objectives: Sequence[Objective], lines: Iterable[Mapping[str, Any]], printed: tuple[str, int, int], *, torn: bool
) -> Captured:
    """What was reported and printed.

    Args:
        objectives: What is looked for.
        lines: That were reported.
        printed: The file with the output, where in it the trial's begins, and where it ends.
        torn: The trial did not end by itself, and well.
    """
    reader, curve = ReportsReader(os.devnull), Curve(objectives)
    for line in lines:
        reader.take_in(line)
    patterns = {o.name: o.pattern for o in objectives if o.pattern is not None}
    scanner = OutputScanner([o.name for o in objectives], patterns)
    _scan(scanner, *printed)
    scanner.close(torn=torn)
    curve.take(0, reader.own.drain())
    curve.take(2, reader.followed.drain())
    curve.take(3, scanner.drain_reports())
    found = collect(objectives, reports=reader, scanner=scanner, files=_NoFiles(), curve=curve.reports(), torn=torn)
    return Captured(
        **asdict(found),
        tail=scanner.tail,
        traceback=scanner.traceback,
        acknowledged=reader.acknowledged,
        done=reader.done,
        pruned=reader.pruned,
    )


class _NoFiles(MetricFiles):
    """Trials that share a process write no files of scores: nobody could tell whose they are."""

    def __init__(self) -> None:
        self.shared = True

    def read(self, pattern: str, *, torn: bool = False) -> FoundFile | None:
        """None."""
        return None

    def score_file(self) -> float | str | None:
        """None."""
        return None


def _scan(scanner: OutputScanner, path: str, start: int, end: int) -> None:
    if end <= start:
        return
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115
    except FileNotFoundError:  # somebody has removed it: nothing that anybody can read was printed
        return
    with file:
        file.seek(start)
        while start < end and (chunk := file.read(min(_CHUNK, end - start))):
            scanner.feed(chunk)
            start += len(chunk)
