"""Finding the score of a training that owes us nothing: in its reports, its files, its output.

Lives here: reading what a training leaves behind, and choosing among it by name. Must not: judge an outcome, start or
stop anything, import anything heavy — this is imported at every attempt.

A supervisor needs `CaptureSession`, a coordinator `LiveReports`. The parts: `OutputScanner` (output as it comes),
`ReportsReader` (``reports.jsonl`` as it grows), `MetricFiles` (files that appeared), `Curve` (the points that pruning
sees) and `collect` (which source counts for the score).
"""

from __future__ import annotations

from outlast.runner.capture.collect import Collected, collect
from outlast.runner.capture.curve import Curve, LiveReports
from outlast.runner.capture.files import MetricFiles
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.reports import ReportsReader
from outlast.runner.capture.scanner import OutputScanner
from outlast.runner.capture.session import CaptureSession

__all__ = [
    "CaptureSession",
    "Collected",
    "Curve",
    "LiveReports",
    "MetricFiles",
    "Objective",
    "OutputScanner",
    "ReportsReader",
    "collect",
]
