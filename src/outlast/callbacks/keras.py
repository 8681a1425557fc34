"""Keras 3, on any backend: reports each epoch, checkpoints each epoch, stops when asked, resumes at the next epoch.

::

    callback = OutlastCallback()
    model.fit(x, y, epochs=20, initial_epoch=callback.initial_epoch, callbacks=[callback])
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import keras
import numpy

from outlast.callbacks._common import numbers, say
from outlast.client import current_trial, random_states, restore_random_states

__all__ = ["OutlastCallback"]


class OutlastCallback(keras.callbacks.Callback):
    """Reports an epoch's logs under their names (``val_accuracy``) at the epoch's number.

    A checkpoint holds the model's weights and other state (such as the seeds of dropout), the optimizer's, and the
    random generators. Keras can begin at an epoch, not within one. Asked to stop within an epoch, the training leaves
    after the current batch, and the next attempt begins that epoch again from its own start.

    Args:
        every_n_epochs: How often a checkpoint is saved, in epochs.
        keep: How many checkpoints are kept.

    Attributes:
        initial_epoch: Where to begin, for ``fit(initial_epoch=...)``; 0 unless there is something to resume from.
    """

    def __init__(self, *, every_n_epochs: int = 1, keep: int = 2) -> None:
        super().__init__()
        if every_n_epochs < 1:
            raise ValueError("OutlastCallback(every_n_epochs={!r}): a whole number from 1".format(every_n_epochs))
        self._every_n_epochs = every_n_epochs
        self._keep = keep
        self._left_midway = False
        self._reported: Dict[str, float] = {}
        self._resumed: Optional[Dict[str, Any]] = current_trial().load_checkpoint(rng=False)
        self._expected = self.initial_epoch = self._resumed["epoch"] + 1 if self._resumed else 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Put the state of the checkpoint in; where nothing is left to do, report again what was reported last."""
        if self._resumed is None:
            return
        resumed, self._resumed = self._resumed, None
        _put_in(self.model.variables, resumed["model"], "the model")
        if self.model.optimizer is not None:
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            _put_in(self.model.optimizer.variables, resumed["optimizer"], "the optimizer")
        restore_random_states(resumed["rng"])
        if self.initial_epoch >= self.params["epochs"] and resumed["metrics"]:
            current_trial().report(step=resumed["epoch"], **resumed["metrics"])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Check that ``fit()`` begins where the checkpoint ends."""
        if self._expected and epoch < self._expected:
            say("epochs are trained once more: use fit(..., initial_epoch=callback.initial_epoch)")
        self._expected = 0
        self._left_midway = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ask whether to stop. After the last batch, where it is known to be the last, that waits for the epoch's end."""
        steps = self.params.get("steps")
        last = steps is not None and batch + 1 >= steps
        if not (last or self.model.stop_training) and current_trial().should_stop:
            self._left_midway = True
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report, save, ask whether to stop. An epoch that was left midway counts for nothing."""
        if self._left_midway:
            return
        trial = current_trial()
        self._reported = numbers(logs or {})
        if self._reported:
            trial.report(step=epoch, **self._reported)
        ends = self.model.stop_training or epoch + 1 >= self.params["epochs"]
        stop = not ends and bool(trial.should_stop)
        if stop or ends or (epoch + 1) % self._every_n_epochs == 0:
            self._save(epoch)
        if stop:
            self.model.stop_training = True

    def _save(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        state = {
            "epoch": epoch,
            "model": _values(self.model.variables),
            "optimizer": _values(optimizer.variables) if optimizer is not None else [],
            "rng": random_states(),
            "metrics": self._reported,
        }
        current_trial().save_checkpoint(state, step=epoch, keep=self._keep)


def _values(variables: Any) -> List[Any]:
    return [numpy.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _put_in(variables: Any, values: List[Any], what: str) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    saved = [tuple(value.shape) for value in values]
    if shapes != saved:
        raise ValueError(
            "the checkpoint does not fit {}: {} variables saved, {} now, or of other shapes. "
            "Build the same model in every attempt of a trial".format(what, len(saved), len(shapes))
        )
    for variable, value in zip(variables, values):
        variable.assign(value)
