"""Lightning: reports each validated epoch, keeps checkpoints, saves and leaves when asked to stop, resumes bit for bit.

::

    trainer = Trainer(max_epochs=20, callbacks=[OutlastCallback()])
    trainer.fit(model, ckpt_path=resume_path())

Lightning by itself restores neither the random generators nor the place in the shuffled data; the callback does both,
for a training in one process whose data loaders keep no state of their own.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Optional

if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning.callbacks import Checkpoint
else:
    try:
        from lightning.pytorch.callbacks import Checkpoint
    except ImportError:
        from pytorch_lightning.callbacks import Checkpoint

from outlast.callbacks._common import is_whole, numbers, resume_candidates, say
from outlast.client import current_trial, random_states, restore_random_states

__all__ = ["OutlastCallback", "resume_path"]

_PREFIX, _SUFFIX = "outlast-", ".ckpt"
_KEPT = 2


def resume_path() -> Optional[str]:
    """The newest whole checkpoint of `OutlastCallback`, for ``trainer.fit(model, ckpt_path=resume_path())``.

    Returns:
        A path, or ``None`` where there is nothing to resume from. One that is cut off is passed over for the one before.
    """
    for path in _ours(resume_candidates()):
        if is_whole(path):
            return path
        say("checkpoint {} is not used: it was cut off while it was written".format(path))
    return None


def _ours(paths: List[str]) -> List[str]:
    names = [(path, os.path.basename(path)) for path in paths]
    return [path for path, name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]


class OutlastCallback(Checkpoint):
    """Reports ``trainer.callback_metrics``, checkpoints into the trial's folder, stops when asked.

    A report's step is the epoch; where validation runs more or less often than once an epoch by count of batches, it is
    ``trainer.global_step``. Checkpoints are complete ones of the Trainer, written aside and renamed; the newest two are
    kept, whatever other checkpoint callbacks keep of the best. When asked to stop between two batches it saves there
    and lets ``fit()`` return, without validating.

    Args:
        every_n_epochs: How often a checkpoint is saved, in epochs.
        every_n_batches: Save every so many batches of an epoch too, where an epoch takes long.
    """

    def __init__(self, *, every_n_epochs: int = 1, every_n_batches: Optional[int] = None) -> None:
        if every_n_epochs < 1 or (every_n_batches is not None and every_n_batches < 1):
            raise ValueError("OutlastCallback(every_n_epochs=..., every_n_batches=...): whole numbers from 1")
        self._every_n_epochs = every_n_epochs
        self._every_n_batches = every_n_batches
        self._validated = False
        self._left_midway = False
        self._trained = False
        self._limit_val_batches: Any = None
        self._reported: Dict[str, Any] = {}
        self._batches_done = 0  # of the current epoch
        self._epoch_began: Dict[str, Any] = {}  # random states from which the order of its data is drawn
        self._resumed: Dict[str, Any] = {}

    # What a checkpoint holds of this callback

    def state_dict(self) -> Dict[str, Any]:
        """The random generators, the place in the data, and the last report."""
        return {
            "rng": random_states(),
            "batches_done": self._batches_done,
            "epoch_began": self._epoch_began,
            "reported": self._reported,
        }

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Keep it until the training begins."""
        self._resumed = dict(state_dict)
        self._reported = self._resumed.get("reported", {})

    # Going on

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Where the checkpoint was saved between two batches: take up the epoch behind those that are done."""
        self._trained = True
        self._left_midway = False
        self._validated = False
        if not (self._resumed.get("batches_done") and trainer.world_size == 1):
            return
        self._epoch_began = self._resumed["epoch_began"]
        restore_random_states(self._epoch_began["rng"])
        _skip_batches(trainer, self._resumed["batches_done"], anew=self._epoch_began["anew"])
        restore_random_states(self._resumed["rng"])
        self._resumed = {}

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Where the checkpoint was saved at an epoch's end: draw on where that epoch ended."""
        anew = trainer.current_epoch > 0
        if self._resumed and trainer.world_size == 1:
            restore_random_states(self._resumed["rng"])
        self._epoch_began = {"rng": random_states(), "anew": anew}
        if self._resumed and getattr(trainer.fit_loop, "is_resuming", False):
            _iterate_anew(trainer)  # what Lightning does at the start of every epoch but the first one of a process
        self._resumed = {}
        self._batches_done = 0

    # What it tells

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report now if validation goes by batches, otherwise at the epoch's end."""
        if trainer.sanity_checking or self._left_midway or not self._trained:
            return
        self._validated = True
        if not _by_epoch(trainer):
            self._report(trainer, trainer.global_step)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Where a resumed training had nothing left to do, report again what it reported last."""
        if not self._trained and self._reported:
            current_trial().report(step=self._reported["step"], **self._reported["metrics"])
        self._trained = False
        if self._limit_val_batches is not None:
            trainer.limit_val_batches, self._limit_val_batches = self._limit_val_batches, None

    def _report(self, trainer: Any, step: int) -> None:
        metrics = numbers(trainer.callback_metrics)
        if metrics:
            self._reported = {"step": step, "metrics": metrics}
            current_trial().report(step=step, **metrics)

    # Checkpoints and stopping

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Between two batches: save where it is time, and ask whether to stop."""
        self._batches_done = batch_idx + 1
        if trainer.is_last_batch or self._batches_done % trainer.accumulate_grad_batches or _validates_now(trainer):
            return  # the epoch's end, half a step, or a validation that is due: better a batch later
        if not _has_ended(trainer) and _asked_to_stop(trainer):
            self._left_midway = True
            self._save(trainer)
            _leave(trainer)
            self._limit_val_batches, trainer.limit_val_batches = trainer.limit_val_batches, 0
        elif self._every_n_batches and self._batches_done % self._every_n_batches == 0:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Report, save, and ask whether to stop."""
        if self._left_midway:
            return
        self._batches_done = 0
        if _by_epoch(trainer) and (self._validated or not trainer.enable_validation):
            self._report(trainer, trainer.current_epoch)
        self._validated = False
        stop = not _has_ended(trainer, epochs_done=trainer.current_epoch + 1) and _asked_to_stop(trainer)
        if stop or (trainer.current_epoch + 1) % self._every_n_epochs == 0:
            self._save(trainer)
        if stop:
            _leave(trainer)

    def _save(self, trainer: Any) -> None:
        """One checkpoint, whole or not at all; called on every rank."""
        if trainer.fast_dev_run:
            return
        folder = str(current_trial().checkpoint_dir)
        name = "{}epoch={}-step={}{}".format(_PREFIX, trainer.current_epoch, trainer.global_step, _SUFFIX)
        final = os.path.join(folder, name)
        trainer.save_checkpoint(final + ".tmp")
        if trainer.is_global_zero:
            _put_in_place(final + ".tmp", final)
            _keep_newest(folder, final)
        trainer.strategy.barrier("outlast")


def _put_in_place(temporary: str, final: str) -> None:
    for path in _files_below(temporary):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    _remove(final)
    os.replace(temporary, final)


def _files_below(path: str) -> List[str]:
    if not os.path.isdir(path):
        return [path]
    return [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]


def _keep_newest(folder: str, newest: str) -> None:
    entries = [entry.path for entry in os.scandir(folder)]
    others = [path for path in _ours(entries) if path != newest]
    others.sort(key=os.path.getmtime, reverse=True)
    for path in others[_KEPT - 1 :]:
        _remove(path)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil

        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _by_epoch(trainer: Any) -> bool:
    """Whether validation runs at most once an epoch, at its end."""
    if trainer.check_val_every_n_epoch is None:
        return False
    every = trainer.val_check_batch
    return every is not None and bool(every >= trainer.num_training_batches)  # None: by the clock; infinite: at the end


def _validates_now(trainer: Any) -> bool:
    every = trainer.val_check_batch
    if not trainer.enable_validation or every is None or every == float("inf"):
        return False
    whole = trainer.check_val_every_n_epoch is None
    done = (trainer.fit_loop.total_batch_idx if whole else trainer.fit_loop.batch_idx) + 1
    return bool(done % every == 0)


def _has_ended(trainer: Any, epochs_done: int = 0) -> bool:
    """Whether the training ends here by itself: then nobody needs to ask it."""
    most_epochs, most_steps = trainer.max_epochs, trainer.max_steps
    by_epochs = most_epochs not in (None, -1) and epochs_done >= most_epochs
    by_steps = most_steps not in (None, -1) and trainer.global_step >= most_steps
    return bool(trainer.should_stop or by_epochs or by_steps)


def _asked_to_stop(trainer: Any) -> bool:
    """Whether any rank was asked: the same answer on every rank."""
    asked = bool(current_trial().should_stop)
    return bool(trainer.strategy.reduce_boolean_decision(asked, all=False))


def _leave(trainer: Any) -> None:
    """End ``fit()`` after this batch or epoch; a minimum of epochs or steps is for early stopping, not for this."""
    trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = 0
    trainer.should_stop = True


def _fetcher(trainer: Any) -> Any:
    """What hands out batches, unless the data loaders know their place by themselves (and Lightning restores it)."""
    fetcher = getattr(trainer.fit_loop, "_data_fetcher", None)
    if fetcher is None or type(fetcher).__name__ == "_DataLoaderIterDataFetcher":
        return None
    loaders = fetcher.combined_loader.flattened
    return None if all(hasattr(loader, "load_state_dict") for loader in loaders) else fetcher


def _iterate_anew(trainer: Any) -> None:
    fetcher = _fetcher(trainer)
    if fetcher is not None:
        iter(fetcher)


def _skip_batches(trainer: Any, done: int, anew: bool) -> None:
    """Draw the epoch's order once more and pass over the batches that are done.

    Args:
        trainer: In ``on_train_start``, where Lightning has made the first iterator.
        done: How many batches of the epoch are done.
        anew: Whether the epoch's own iterator was made after its start, as in all epochs but the first.
    """
    fetcher = _fetcher(trainer)
    if fetcher is None:
        return
    if anew:
        iter(fetcher)
    for _ in range(done):
        next(fetcher)
    fetcher.fetched -= done  # Lightning adds them itself
