"""LightGBM: reports each round, checkpoints every few rounds, saves and leaves when asked to stop, goes on from there.

::

    callback = OutlastCallback(rounds=500)
    booster = lightgbm.train(
        params, train, callback.rounds_left, valid_sets=[val], valid_names=["val"],
        init_model=callback.model, callbacks=[callback],
    )
"""

from __future__ import annotations

from typing import Any, Optional

import lightgbm

from outlast.client import current_trial

__all__ = ["OutlastCallback"]


class OutlastCallback:
    """Reports each round's metrics as ``DATA-METRIC`` (``val-auc``) at the round's number.

    Args:
        rounds: How many rounds the finished model has.
        every: Save a checkpoint every so many rounds.
        keep: How many checkpoints are kept.

    Attributes:
        model: The booster to go on from, for ``init_model=``; ``None`` at the beginning.
        rounds_left: How many rounds are left, for ``num_boost_round=`` or ``n_estimators=``; at least 1.
    """

    def __init__(self, rounds: int, *, every: int = 20, keep: int = 2) -> None:
        if every < 1:
            raise ValueError("OutlastCallback(every={!r}): a whole number from 1".format(every))
        self.order = 25  # among LightGBM's callbacks: after its printing, before its early stopping (30), which raises
        self._rounds, self._every, self._keep = rounds, every, keep
        self.model: Optional[Any] = None
        state = current_trial().load_checkpoint()
        if state is not None:
            self.model = lightgbm.Booster(model_str=state["booster"])
        done = self.model.current_iteration() if self.model is not None else 0
        self.rounds_left = max(1, rounds - done)  # LightGBM refuses to train for none

    def __call__(self, env: Any) -> None:
        """Called by LightGBM after each round: report, save where it is time, and ask whether to stop."""
        trial = current_trial()
        metrics = {"{}-{}".format(*entry[:2]): float(entry[2]) for entry in env.evaluation_result_list or ()}
        if metrics:
            trial.report(step=env.iteration, **metrics)
        done = env.iteration + 1
        if done >= self._rounds:
            return  # it ends here by itself
        stop = bool(trial.should_stop)
        if stop or done % self._every == 0:
            text = env.model.model_to_string(num_iteration=-1)
            trial.save_checkpoint({"booster": text}, step=env.iteration, keep=self._keep)
        if stop:
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])
