"""What the runner puts on the training's ``PYTHONPATH``: this folder, and nothing else.

It gives the training ``import outlast`` (`outlast.py`) and `outlast.callbacks`, and lets it be followed when it logs to
Weights & Biases or MLflow, or returns a value to Hydra, by itself (`sitecustomize.py`, `outlast_follow.py`), and log into the
MLflow run of its trial, where there is one (`outlast_mlflow.py`, which finds it by `outlast_mlflow_run.py`;
`outlast_mlflow_tables.py` has MLflow make a local database in peace); all load modules through `outlast_hooks.py`.
`outlast_options.py` describes a script's options to whoever drafts a study file.
These run in the training's Python, from 3.8 on, import only the standard library, and never break or slow a script. No
other module may lie here: its name would shadow one of the training's own.
"""

from __future__ import annotations

import os

__all__ = ["hooks_path"]


def hooks_path() -> str:
    """The absolute path of the folder to put first on the training's ``PYTHONPATH``."""
    return os.path.dirname(os.path.abspath(__file__))
