"""What happens in a search is sent one way to other people's trackers: MLflow, Azure ML, W&B, TensorBoard, or a person's own.

Lives here: what a sink is given (`sink`), and a module for each tracker, which imports that tracker's package when it is opened.
Must not: read a study's folder, decide anything, or fail a search; `outlast.engine.sending` drives the sinks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.tracking.mlflow_setup import setup_mlflow_cross_platform, setup_mlflow_from_config

__all__ = ["setup_mlflow_cross_platform", "setup_mlflow_from_config"]


def __getattr__(name: str) -> Any:
    """Load one of the two functions that are for other people's programs when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'outlast.tracking' has no attribute {name!r}")
    from outlast.tracking import mlflow_setup

    return getattr(mlflow_setup, name)
