"""Executors start runners and know whether they live."""
