"""Outlast from Python: a search over an Optuna objective or any function, and what it has come to.

Each name is loaded when it is first used: looking at a study does not load what decides. Nothing here is a second way to do
what `engine` does, or knows a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.api.optimizing import optimize
    from outlast.api.result import Result
    from outlast.api.study import Study

__all__ = ["Result", "Study", "optimize"]

_LAZY = {"Result": "outlast.api.result", "Study": "outlast.api.study", "optimize": "outlast.api.optimizing"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'outlast.api' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
