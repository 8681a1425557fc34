"""Whether this process is a notebook's kernel, and whether a person sits at it."""

from __future__ import annotations

import os
import sys


def is_notebook() -> bool:
    """Whether this is a notebook's kernel."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()


def ends_with_its_last_cell() -> bool:
    """Whether this is a version that Kaggle runs: its session ends behind the last cell."""
    return is_notebook() and os.environ.get("KAGGLE_KERNEL_RUN_TYPE", "").lower() == "batch"
