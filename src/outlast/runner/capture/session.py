"""Everything that is captured of one attempt, behind one object."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from outlast.core.evidence import Report
from outlast.core.file_names import AttemptPaths
from outlast.core.plain_json import plain_json
from outlast.runner.capture.collect import Collected, collect
from outlast.runner.capture.curve import Curve
from outlast.runner.capture.filed import FiledPoints
from outlast.runner.capture.metric_files import MetricFiles
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.reports import FILED, PRINTED, ReportsReader
from outlast.runner.capture.scanner import OutputScanner


class Captured(Collected, frozen=True):
    """What was found of the scores, and the rest of what a runner knows of a training that is over."""

    tail: tuple[str, ...] = ()
    traceback: str = ""
    acknowledged: str = ""
    done: bool = False
    pruned: bool = False


class CaptureSession:
    """Made before the training starts, fed while it runs, asked once when it is over.

    Points that are read from the output and from metric files are written to ``reports.jsonl`` too, so that the
    coordinator finds every point of the attempt in one file.
    ``reports.jsonl`` lies in the attempt's folder. `shared`: other trials run in the working directory at the same time (see
    `MetricFiles`); it may be found out later.

    Raises:
        StudyFileError: A pattern that is no regular expression.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        *,
        trial: int,
        trial_dir: str | os.PathLike[str],
        attempt_dir: str | os.PathLike[str],
        working_directory: str | os.PathLike[str],
        shared: bool = False,
    ) -> None:
        self._objectives = tuple(objectives)
        self._path = os.fspath(AttemptPaths(Path(attempt_dir)).reports)
        self._reader = ReportsReader(self._path)
        self._curve = Curve(self._objectives)
        self._scanner = OutputScanner(
            [o.name for o in objectives], {o.name: o.pattern for o in objectives if o.pattern is not None}
        )
        self._files = MetricFiles(
            [o.file for o in objectives if o.file is not None], trial, trial_dir, working_directory, shared=shared
        )
        self._filed = FiledPoints(self._files, self._objectives)
        self._rows = 0  # points of the metric files
        self._write_failed = False
        self.fed = False  # points were printed since the last `poll`
        self._lines = 0  # of the reader and of the metric files, when `heard` was last asked

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the training's output."""
        self._scanner.feed(chunk)
        self.fed = self.fed or self._scanner.has_reports

    def poll(self) -> list[Report]:
        """Look what was reported, filed or printed since. Returns the objectives' new points, under the objectives' names."""
        self.fed = False
        self._reader.poll()
        for channel in (self._reader.filed, self._reader.printed):
            channel.drain()  # what this object wrote itself
        own = self._curve.take(0, self._reader.own.drain())
        filed = self._take_rows(self._filed.poll())
        followed = self._curve.take(2, self._reader.followed.drain())
        printed = self._curve.take(3, self._scanner.drain_reports())
        self._write_down(printed, PRINTED)
        return own + filed + followed + printed

    def take_lines(self) -> bytes:
        """The whole lines of ``reports.jsonl`` that were read since the last call; they are kept from the first one on."""
        self._reader.keeps_lines = True
        return self._reader.take_lines()

    def heard(self) -> bool:
        """Whether the training has reported anything, an objective or not, since this was last asked."""
        before, self._lines = self._lines, self._reader.lines + self._rows
        return self._lines > before

    @property
    def shared(self) -> bool:
        """Whether other trials run, or ran, in the working directory at the same time."""
        return self._files.shared

    @shared.setter
    def shared(self, shared: bool) -> None:
        self._files.shared = shared

    @property
    def cooperates(self) -> bool:
        """Whether the script looks at `should_stop`; one that does not is ended by a signal."""
        return self._reader.listens

    def finish(self, *, torn: bool = False) -> Captured:
        """The training is over and its output read to the end: what was it?

        `torn`: it did not end by itself, and well; what has no line end, printed or in a table, may be half a number.
        """
        self._scanner.close(torn=torn)
        self.poll()
        self._take_rows(self._filed.finish(torn=torn))
        found = collect(
            self._objectives,
            reports=self._reader,
            scanner=self._scanner,
            files=self._files,
            curve=self._curve.reports(),
            torn=torn,
        )
        return Captured(
            **asdict(found),
            tail=self._scanner.tail,
            traceback=self._scanner.traceback,
            acknowledged=self._reader.acknowledged,
            done=self._reader.done,
            pruned=self._reader.pruned,
        )

    def _take_rows(self, rows: Sequence[Report]) -> list[Report]:
        self._rows += len(rows)
        filed = self._curve.take(1, rows)
        self._write_down(filed, FILED)
        return filed

    def _write_down(self, reports: Sequence[Report], via: str) -> None:
        if not reports or self._write_failed:
            return
        at = round(time.time(), 3)
        lines = (
            json.dumps({"v": 1, "step": r.step, "at": at, "metrics": plain_json(r.metrics), "via": via})
            for r in reports
        )
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.write(fd, "".join(f"{line}\n" for line in lines).encode())
            finally:
                os.close(fd)
        except OSError as error:
            self._write_failed = True
            print(f"outlast: points read from output and files cannot be written down: {error}", file=sys.stderr)
