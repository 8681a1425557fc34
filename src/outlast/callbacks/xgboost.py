"""XGBoost: reports each round, checkpoints every few rounds, saves and leaves when asked to stop, goes on from there.

::

    callback = OutlastCallback(rounds=500)
    booster = xgboost.train(
        params, dtrain, callback.rounds_left, evals=[(dval, "val")], xgb_model=callback.model, callbacks=[callback]
    )

or ``XGBClassifier(n_estimators=callback.rounds_left, callbacks=[callback]).fit(..., xgb_model=callback.model)``.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

import xgboost

from outlast.client import current_trial

__all__ = ["OutlastCallback"]

_SEEDS = 2**31 - 1
_SPREAD = 1_000_003
_DRAWING = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")


class OutlastCallback(xgboost.callback.TrainingCallback):
    """Reports each round's metrics as ``DATA-METRIC``, the way XGBoost prints them (``val-logloss``), at the round's number.

    Where the parameters draw rows or columns, XGBoost goes on from a model with the first of its random numbers, not
    with the next. So every round is seeded here, from the parameter ``seed`` and the round's number: after a resume the
    same rows and columns are drawn as without one.

    Args:
        rounds: How many rounds the finished model has.
        every: Save a checkpoint every so many rounds.
        keep: How many checkpoints are kept.
        exact: Seed every round. It costs about a millisecond each, on the CPU only, and only where something is drawn.

    Attributes:
        model: The booster to go on from, for ``xgb_model=``; ``None`` at the beginning.
        rounds_left: How many rounds are left, for ``num_boost_round=`` or ``n_estimators=``.
    """

    def __init__(self, rounds: int, *, every: int = 20, keep: int = 2, exact: bool = True) -> None:
        super().__init__()
        if every < 1:
            raise ValueError("OutlastCallback(every={!r}): a whole number from 1".format(every))
        self._rounds, self._every, self._keep = rounds, every, keep
        self._exact = exact
        self._seeding: Optional[_Seeding] = None
        self.model: Optional[Any] = None
        state = current_trial().load_checkpoint()
        if state is not None:
            self.model = xgboost.Booster()
            self.model.load_model(bytearray(state["booster"]))
        self.rounds_left = max(0, rounds - (self.model.num_boosted_rounds() if self.model is not None else 0))

    def before_training(self, model: Any) -> Any:
        """See whether rounds have to be seeded."""
        self._seeding = _Seeding.of(model) if self._exact else None
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Seed this round."""
        if self._seeding is not None:
            self._seeding.seed(model, model.num_boosted_rounds())
        return False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report, save where it is time, and ask whether to stop.

        Returns:
            Whether to stop.
        """
        trial = current_trial()
        done = model.num_boosted_rounds()
        metrics = _latest(evals_log)
        if metrics:
            trial.report(step=done - 1, **metrics)
        if done >= self._rounds:
            return False  # it ends here by itself
        stop = bool(trial.should_stop)
        if stop or done % self._every == 0:
            trial.save_checkpoint({"booster": bytes(model.save_raw("ubj"))}, step=done - 1, keep=self._keep)
        return stop

    def after_training(self, model: Any) -> Any:
        """Give the booster its own seed back."""
        if self._seeding is not None:
            self._seeding.restore(model)
        return model


class _Seeding:
    """Sets XGBoost's random generators to what they are at a round, whichever process comes to it.

    One of them is seeded by the parameter ``seed`` when that changes. The other, which draws columns, belongs to the tree
    updater, and is drawn from the first when the updater is made; naming another ``tree_method`` in between has it made
    anew.
    """

    def __init__(self, seed: int, tree_method: str) -> None:
        self._own: Dict[str, Any] = {"seed": seed, "tree_method": tree_method}
        self._other_method = "hist" if tree_method == "approx" else "approx"

    @classmethod
    def of(cls, model: Any) -> Optional[_Seeding]:
        """Of this booster, or ``None`` where nothing is drawn, or not by these generators."""
        learner = json.loads(model.save_config())["learner"]
        booster = learner["gradient_booster"]
        trees = booster.get("gbtree", booster)
        about = trees.get("tree_train_param", {})
        draws = booster["name"] == "dart" or any(float(about.get(name, 1)) != 1 for name in _DRAWING)
        on_cpu = str(learner["generic_param"].get("device", "cpu")).startswith("cpu")
        if not (about and draws and on_cpu) or trees.get("specified_updater"):
            return None
        return cls(int(learner["generic_param"]["seed"]), trees["gbtree_train_param"]["tree_method"])

    def seed(self, model: Any, done: int) -> None:
        """For the round after this many."""
        model.set_param({"tree_method": self._other_method})
        model.save_config()  # a parameter takes effect when something asks for it
        model.set_param(dict(self._own, seed=(self._own["seed"] * _SPREAD + done) % _SEEDS))

    def restore(self, model: Any) -> None:
        """The parameters as they were given."""
        model.set_param(self._own)


def _latest(evals_log: Any) -> Dict[str, float]:
    """The last value of each metric of each data set."""
    found = {}
    for data, metrics in evals_log.items():
        for name, values in metrics.items():
            last = values[-1]  # a pair of mean and deviation in cross-validation
            found["{}-{}".format(data, name)] = float(last[0] if isinstance(last, tuple) else last)
    return found
