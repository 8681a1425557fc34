"""Shared by all tests."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "OUTLAST_PLOTS", "0"
)  # a second for every search that a test runs; tests of the plots ask for them

# A machine that runs two tests at once has no say about how long one example may take.
settings.register_profile("outlast", deadline=None)
settings.load_profile("outlast")
