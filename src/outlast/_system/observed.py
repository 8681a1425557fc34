"""Whoever watches the operations that change the disk: nobody, outside of tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

#: Environment variables by which faults are injected: runners see them, no training does.
FAULT_VARIABLES = ("OUTLAST_FAULTS", "OUTLAST_OBSERVER")

#: Called as ``observer(operation, path, **detail)`` before every operation that changes the disk.
observer: Callable[..., None] | None = None


def see(operation: str, path: str, **detail: Any) -> None:
    """Say that an operation comes now; whoever watches may record it, raise or kill this process."""
    if observer is not None:
        observer(operation, path, **detail)


def observe_from_environment(role: str) -> None:
    """Let what ``OUTLAST_OBSERVER`` names (``module:function``) put an observer here: faults are injected so.

    It is handed the role of this process, ``coordinator`` or ``runner``.
    """
    module, _, function = os.environ.get("OUTLAST_OBSERVER", "").partition(":")
    if module:
        from importlib import import_module

        getattr(import_module(module), function)(role)
