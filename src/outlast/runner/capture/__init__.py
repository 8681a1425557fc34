"""Finding the score of a training that owes us nothing: in its reports, its files, its output.

Lives here: reading what a training leaves behind, and choosing among it by name. Must not: judge an outcome, start or
stop anything, import anything heavy — this is imported at every attempt.

A supervisor needs `CaptureSession`, a coordinator `LiveReports`. The parts: `OutputScanner` (output as it comes),
`ReportsReader` (``reports.jsonl`` as it grows), `MetricFiles` (files that appeared), `Curve` (the points that pruning
sees) and `collect` (which source counts for the score).
"""
