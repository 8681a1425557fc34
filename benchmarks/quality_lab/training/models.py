"""Trainings with scikit-learn and LightGBM: parameters and a seed in, the curve of losses out."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, NuSVC
from sklearn.tree import DecisionTreeClassifier
from training.data_sets import reduced, scaled, split

Params = dict[str, Any]
Losses = list[float]


def _error(model: Any, x: Any, y: Any) -> float:
    return 1.0 - float(model.score(x, y))


def svm_digits(p: Params, seed: int) -> Losses:
    """One error."""
    x, y, x_valid, y_valid = split("digits", seed, 300)
    x, x_valid = scaled(p["scaling"], x, x_valid)
    model = SVC(
        C=p["C"], gamma=p["gamma"], kernel=p["kernel"], degree=p.get("degree", 3), coef0=p.get("coef0", 0.0),
        max_iter=20_000, random_state=seed,
    )  # fmt: skip
    return [_error(model.fit(x, y), x_valid, y_valid)]


def sgd_breast(p: Params, seed: int) -> Losses:
    """An error an epoch."""
    x, y, x_valid, y_valid = split("breast_cancer", seed, 250)
    x, x_valid = scaled("standard", x, x_valid)
    model = SGDClassifier(
        loss=p["loss"], penalty=p["penalty"], l1_ratio=p.get("l1_ratio", 0.15), alpha=p["alpha"], learning_rate=p["rate"],
        eta0=p.get("eta0", 0.01), power_t=p.get("power_t", 0.5), average=p["average"] == "yes", random_state=seed,
    )  # fmt: skip
    losses, chance = [], np.random.default_rng(seed)
    for _ in range(27):
        order = chance.permutation(len(x))
        model.partial_fit(x[order], y[order], classes=[0, 1])
        losses.append(_error(model, x_valid, y_valid))
    return losses


def _boosted(p: Params, seed: int, data: str, train: int, rounds: int, **more: Any) -> Losses:
    x, y, x_valid, y_valid = split(data, seed, train)
    settings = {
        "learning_rate": p["learning_rate"], "num_leaves": p["num_leaves"], "min_child_samples": p["min_child_samples"],
        "feature_fraction": p["feature_fraction"], "lambda_l2": p["lambda_l2"], "seed": seed, "num_threads": 1,
        "verbose": -1, "min_data_in_bin": 1, "force_col_wise": True, "max_bin": 63, **more,
    }  # fmt: skip
    told: dict[str, dict[str, Losses]] = {}
    train_set = lightgbm.Dataset(x, y, params=settings)
    lightgbm.train(
        settings, train_set, rounds, valid_sets=[train_set.create_valid(x_valid, y_valid)],
        callbacks=[lightgbm.record_evaluation(told)],
    )  # fmt: skip
    ((losses,),) = [list(each.values()) for each in told.values()]
    return losses


def lightgbm_digits(p: Params, seed: int) -> Losses:
    """A cross-entropy a round."""
    return _boosted(p, seed, "digits", 300, 27, objective="multiclass", num_class=10)


def lightgbm_breast(p: Params, seed: int) -> Losses:
    """A cross-entropy a round."""
    kind = p["boosting"]
    more = {"boosting": "gbdt", "data_sample_strategy": "goss"} if kind == "goss" else {"boosting": kind}
    return _boosted(p, seed, "breast_cancer", 250, 81, objective="binary", drop_rate=p.get("drop_rate", 0.1), **more)


def lightgbm_diabetes(p: Params, seed: int) -> Losses:
    """A mean absolute error a round."""
    return _boosted(
        p, seed, "diabetes", 250, 81, objective={"l2": "regression", "l1": "mae", "huber": "huber"}[p["objective"]],
        alpha=p.get("huber_alpha", 0.9), bagging_fraction=p["bagging_fraction"], bagging_freq=1, max_depth=p["max_depth"],
        metric="mae",
    )  # fmt: skip


def forest_digits(p: Params, seed: int) -> Losses:
    """An error after every four trees."""
    x, y, x_valid, y_valid = split("digits", seed, 200)
    kind = RandomForestClassifier if p["kind"] == "forest" else ExtraTreesClassifier
    model = kind(
        n_estimators=4, criterion=p["criterion"], max_features=p["max_features"], max_depth=p["max_depth"],
        min_samples_leaf=p["min_samples_leaf"], bootstrap=p["bootstrap"] == "yes", max_samples=p.get("max_samples"),
        warm_start=True, random_state=seed,
    )  # fmt: skip
    losses = []
    for trees in range(4, 37, 4):
        model.set_params(n_estimators=trees)
        losses.append(_error(model.fit(x, y), x_valid, y_valid))
    return losses


def boosting_friedman(p: Params, seed: int) -> Losses:
    """A mean squared error after every second tree."""
    x, y, x_valid, y_valid = split("friedman", seed, 150)
    model = GradientBoostingRegressor(
        n_estimators=54, loss=p["loss"], alpha=p.get("alpha", 0.9), learning_rate=p["learning_rate"], max_depth=p["max_depth"],
        subsample=p["subsample"], max_features=p["max_features"], min_samples_leaf=p["min_samples_leaf"], random_state=seed,
    ).fit(x, y)  # fmt: skip
    return [float(np.mean((staged - y_valid) ** 2)) for staged in model.staged_predict(x_valid)][1::2]


def kernel_ridge_diabetes(p: Params, seed: int) -> Losses:
    """One mean absolute error."""
    x, y, x_valid, y_valid = split("diabetes", seed, 250)
    x, x_valid = scaled(p["scaling"], x, x_valid)
    middle = y.mean()
    model = KernelRidge(alpha=p["alpha"], kernel=p["kernel"], gamma=p.get("gamma"), degree=p.get("degree", 3))
    return [float(np.mean(np.abs(model.fit(x, y - middle).predict(x_valid) + middle - y_valid)))]


def pipeline_wine(p: Params, seed: int) -> Losses:
    """One error."""
    x, y, x_valid, y_valid = split("wine", seed, 60)
    x, x_valid = reduced(p["components"], *scaled(p["scaling"], x, x_valid), seed)
    match p["model"]:
        case "neighbours":
            model: Any = KNeighborsClassifier(p["neighbours"], weights=p["weights"])
        case "logistic":
            model = LogisticRegression(C=p["C"], max_iter=200)
        case "tree":
            model = DecisionTreeClassifier(
                max_depth=p["max_depth"], min_samples_leaf=p["min_samples_leaf"], random_state=seed
            )
        case _:
            model = SVC(C=p["C"], gamma=p["gamma"], max_iter=20_000)
    return [_error(model.fit(x, y), x_valid, y_valid)]


def neighbours_breast(p: Params, seed: int) -> Losses:
    """One error."""
    x, y, x_valid, y_valid = split("breast_cancer", seed, 150)
    x, x_valid = reduced(p["components"], *scaled(p["scaling"], x, x_valid), seed)
    return [_error(KNeighborsClassifier(p["neighbours"], weights=p["weights"], p=p["p"]).fit(x, y), x_valid, y_valid)]


def nu_svm_wine(p: Params, seed: int) -> Losses:
    """One error; not every nu can be, and there are 13 features only."""
    x, y, x_valid, y_valid = split("wine", seed, 60)
    x, x_valid = reduced(p["components"], *scaled(p["scaling"], x, x_valid), seed)
    return [
        _error(NuSVC(nu=p["nu"], kernel=p["kernel"], gamma=p["gamma"], max_iter=20_000).fit(x, y), x_valid, y_valid)
    ]
