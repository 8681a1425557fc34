"""Shared by all tests."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("lab")

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup a search takes itself for unattended, and behaves otherwise
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "OUTLAST_PLOTS", "0"
)  # a second for every search that a test runs; tests of the plots ask for them

# A machine that runs two tests at once has no say about how long one example may take.
settings.register_profile("outlast", deadline=None)
settings.load_profile("outlast")
