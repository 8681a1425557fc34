"""The contract of an executor: it starts runners somewhere and says whether they live. It never says how a trial ended.

- `submit` starts the runner of an open attempt and returns at once. Submitting an attempt twice is harmless: the runner that
  claims ``started.json`` first runs it. Raises `outlast.errors.StorageError` if no process can be started.
- `adopt` takes over the watch of a runner that an earlier coordinator started.
- `ended` says whether the attempt's runner has certainly ended (``True``), certainly lives (``False``), or cannot be told
  (``None``). Unknown is never an ending.
- `wait` returns when a runner that it watches has ended, or after the timeout; earlier is allowed.
- `cancel` ends a runner that has not claimed its attempt, or is beyond being asked. Only runners of ours.
- `close` forgets everything and ends nothing: runners outlive their coordinator.

The coordinator alone calls these, from one thread.
"""

from __future__ import annotations

import abc

from outlast._system import Identity

__all__ = ["Executor"]


class Executor(abc.ABC):
    """Starts runners; see the module's contract."""

    @abc.abstractmethod
    def submit(self, name: str, marker: str, log: str, *, keep_fds: tuple[int, ...] = ()) -> None:
        """Start the runner of attempt `name` (``0007.2``), whose marker file is `marker`; its own words go to `log`."""

    @abc.abstractmethod
    def adopt(self, name: str, runner: Identity) -> None:
        """Watch a runner that is running already."""

    @abc.abstractmethod
    def ended(self, name: str) -> bool | None:
        """Whether the runner has ended."""

    @abc.abstractmethod
    def wait(self, timeout: float) -> None:
        """Sleep until something may have changed."""

    @abc.abstractmethod
    def cancel(self, name: str) -> None:
        """End the runner."""

    @abc.abstractmethod
    def forget(self, name: str, *, spoilt: bool = False) -> None:
        """Stop watching: the attempt is over. `spoilt`: badly, and nothing that it was made from is to be used again."""

    @abc.abstractmethod
    def close(self) -> None:
        """Forget everything."""
