"""Finding the score of a training that owes us nothing: in its reports, its files, its output.

Lives here: reading what a training leaves behind, and choosing among it by name. Must not: judge an outcome, start or
stop anything, import anything heavy — this is imported at every attempt.

A supervisor needs `CaptureSession`, a coordinator `LiveReports`. The parts: `OutputScanner` (output as it comes),
`ReportsReader` (``reports.jsonl`` as it grows), `MetricFiles` (files that appeared), `Curve` (the points that pruning
sees) and `collect` (which source counts for the score).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.runner.capture.objective import Objective as Objective
    from outlast.runner.capture.session import CaptureSession as CaptureSession


def __getattr__(name: str) -> Any:
    """What whoever tries the capture needs, loaded when it is asked for: who reads one part of this room loads no other."""
    if name == "CaptureSession":
        from outlast.runner.capture.session import CaptureSession

        return CaptureSession
    if name == "Objective":
        from outlast.runner.capture.objective import Objective

        return Objective
    raise AttributeError(name)
