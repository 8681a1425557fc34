"""Public helpers for tests: fault injection, fakes, contract tests."""
