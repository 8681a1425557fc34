"""Public helpers for tests: fault injection, fakes, contract tests."""

__all__ = ["clock", "executors", "faults", "slurm", "studies"]
