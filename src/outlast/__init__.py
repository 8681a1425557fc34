"""Outlast: hyperparameter searches that outlast crashes, preemptions and deadlines.

Importing this package costs milliseconds: everything heavy is loaded when it is first asked for.
"""

from __future__ import annotations

from outlast._version import __version__

__all__ = ["Study", "Trial", "__version__", "current_trial", "optimize", "run_local_hpo_sweep", "watch"]

TYPE_CHECKING = False  # without `typing`: it would be most of what a script's `import outlast` costs
if TYPE_CHECKING:
    from typing import Any

    from outlast.api.optimizing import optimize
    from outlast.api.reference_sweep import run_local_hpo_sweep
    from outlast.api.study import Study
    from outlast.cli.live.notebook import watch
    from outlast.client import Trial, current_trial

_LAZY = {
    "Study": "outlast.api.study",
    "Trial": "outlast.client",
    "current_trial": "outlast.client",
    "optimize": "outlast.api.optimizing",
    "run_local_hpo_sweep": "outlast.api.reference_sweep",
    "watch": "outlast.cli.live.notebook",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'outlast' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
