"""Runs at the start of every Python in the training: waits for wandb, mlflow or Hydra, and makes way for the sitecustomize
that the environment has itself."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Follow:
    """A finder that finds nothing by itself: it only wraps the loading of the packages that are followed."""

    def __init__(self, names: Any, follower: str) -> None:
        self._names, self._follower = names, follower

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Called for every import; all but a few names leave at once."""
        if name not in self._names:
            return None
        import outlast_hooks

        return outlast_hooks.follow(name, path, target, self, self._follower)


def _hand_over() -> None:
    """Run the next sitecustomize on the path, which this one hides: Debian's, conda's, the user's."""
    import outlast_hooks

    spec = outlast_hooks.installed_elsewhere("sitecustomize")
    if spec is not None:
        outlast_hooks.load(spec)


_FOLLOWED = ("wandb", "mlflow", "mlflow.store.db.utils", "hydra.core.utils")
if os.environ.get("OUTLAST_TRIAL_DIR"):
    sys.meta_path.insert(0, _Follow(_FOLLOWED, "outlast_follow"))
if os.environ.get("OUTLAST_OPTIONS_FILE"):
    import outlast_options

    outlast_options.install("argparse")
    sys.meta_path.insert(0, _Follow(outlast_options.CLICK, "outlast_options"))
_hand_over()
