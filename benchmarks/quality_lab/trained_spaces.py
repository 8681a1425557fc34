"""The tasks that train for real: their spaces, how many epochs they report, and how long a trial takes in simulated time.

What is done with a configuration stands in `training`, which runs in an environment of its own. All data is what
scikit-learn ships (digits, wine, breast cancer, diabetes) or makes (Friedman's function).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quality_lab.axes import Space, choice, real, whole

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """A task: `epochs` values are reported a trial, and the last one counts; `seconds` is what a trial takes, simulated."""

    space: Space
    epochs: int
    seconds: Callable[[Params], float]


def _lightgbm(extra: Space = ()) -> Space:
    return [
        real("learning_rate", 0.005, 0.5, log=True),
        whole("num_leaves", 2, 64, log=True),
        whole("min_child_samples", 1, 60, log=True),
        real("feature_fraction", 0.2, 1.0),
        real("lambda_l2", 1e-6, 30.0, log=True),
        *extra,
    ]


_NET = [
    choice("optimizer", ["sgd", "adam", "rmsprop"]),
    real("lr", 1e-5, 1.0, log=True),
    real("momentum", 0.0, 0.98, when={"optimizer": ["sgd"]}),
    whole("batch_size", 25, 250, log=True),
    whole("depth", 1, 3),
    whole("width", 8, 128, log=True),
    choice("activation", ["relu", "tanh", "gelu"]),
    real("dropout", 0.0, 0.7),
    real("weight_decay", 1e-7, 1e-1, log=True),
]
_SCHEDULE = [choice("schedule", ["constant", "cosine", "step"]), real("gamma", 0.1, 0.95, when={"schedule": ["step"]})]


def _net_seconds(params: Params) -> float:
    return 20.0 + 40.0 * params["depth"] * params["width"] / 128 + 60.0 * 25 / params["batch_size"]


TRAINED: Mapping[str, Trained] = {
    "svm_digits": Trained(
        [
            choice("kernel", ["rbf", "poly", "sigmoid"]),
            real("C", 1e-3, 1e3, log=True),
            real("gamma", 1e-5, 10.0, log=True),
            whole("degree", 2, 5, when={"kernel": ["poly"]}),
            real("coef0", 0.0, 2.0, when={"kernel": ["poly", "sigmoid"]}),
            choice("scaling", ["none", "standard", "unit"]),
        ],
        1, lambda p: 10.0 + (20.0 if p["kernel"] == "poly" else 0.0),
    ),
    "sgd_breast": Trained(
        [
            choice("loss", ["hinge", "log_loss", "modified_huber"]),
            choice("penalty", ["l1", "l2", "elasticnet"]),
            real("l1_ratio", 0.0, 1.0, when={"penalty": ["elasticnet"]}),
            real("alpha", 1e-7, 1.0, log=True),
            choice("rate", ["constant", "optimal", "invscaling"]),
            real("eta0", 1e-5, 1.0, log=True, when={"rate": ["constant", "invscaling"]}),
            real("power_t", 0.05, 0.9, when={"rate": ["invscaling"]}),
            choice("average", ["no", "yes"]),
        ],
        27, lambda p: 15.0 + (10.0 if p["penalty"] != "l2" else 0.0),
    ),
    "lightgbm_digits": Trained(_lightgbm(), 27, lambda p: 5.0 + p["num_leaves"] * p["feature_fraction"]),
    "lightgbm_breast": Trained(
        _lightgbm([choice("boosting", ["gbdt", "dart", "goss"]), real("drop_rate", 0.02, 0.5, when={"boosting": ["dart"]})]),
        81, lambda p: 5.0 + p["num_leaves"] * p["feature_fraction"] * (2.0 if p["boosting"] == "dart" else 1.0),
    ),
    "lightgbm_diabetes": Trained(
        _lightgbm([
            choice("objective", ["l2", "l1", "huber"]), real("huber_alpha", 1.0, 200.0, log=True, when={"objective": ["huber"]}),
            real("bagging_fraction", 0.3, 1.0), whole("max_depth", 1, 12),
        ]),
        81, lambda p: 5.0 + min(p["num_leaves"], 2 ** p["max_depth"]) * p["bagging_fraction"],
    ),
    "forest_digits": Trained(
        [
            choice("kind", ["forest", "extra"]),
            choice("criterion", ["gini", "entropy"]),
            real("max_features", 0.02, 1.0, log=True),
            whole("max_depth", 2, 30, log=True),
            whole("min_samples_leaf", 1, 20, log=True),
            choice("bootstrap", ["no", "yes"]),
            real("max_samples", 0.1, 1.0, when={"bootstrap": ["yes"]}),
        ],
        9, lambda p: 5.0 + 3.0 * p["max_depth"] * p["max_features"],
    ),
    "boosting_friedman": Trained(
        [
            choice("loss", ["squared_error", "huber", "absolute_error"]),
            real("alpha", 0.5, 0.99, when={"loss": ["huber"]}),
            real("learning_rate", 0.01, 1.0, log=True),
            whole("max_depth", 1, 8),
            real("subsample", 0.2, 1.0),
            real("max_features", 0.1, 1.0),
            whole("min_samples_leaf", 1, 50, log=True),
        ],
        27, lambda p: 3.0 + 5.0 * p["max_depth"] * p["subsample"],
    ),
    "kernel_ridge_diabetes": Trained(
        [
            choice("kernel", ["rbf", "laplacian", "polynomial", "linear"]),
            real("alpha", 1e-4, 100.0, log=True),
            real("gamma", 1e-4, 10.0, log=True, when={"kernel": ["rbf", "laplacian", "polynomial"]}),
            whole("degree", 2, 5, when={"kernel": ["polynomial"]}),
            choice("scaling", ["none", "standard", "unit"]),
        ],
        1, lambda p: 10.0 + (15.0 if p["kernel"] == "laplacian" else 0.0),
    ),
    "pipeline_wine": Trained(
        [
            choice("scaling", ["none", "standard", "unit"]),
            whole("components", 1, 13),
            choice("model", ["neighbours", "logistic", "tree", "svm"]),
            whole("neighbours", 1, 40, log=True, when={"model": ["neighbours"]}),
            choice("weights", ["uniform", "distance"], when={"model": ["neighbours"]}),
            real("C", 1e-4, 1e3, log=True, when={"model": ["logistic", "svm"]}),
            real("gamma", 1e-4, 10.0, log=True, when={"model": ["svm"]}),
            whole("max_depth", 1, 12, when={"model": ["tree"]}),
            whole("min_samples_leaf", 1, 30, log=True, when={"model": ["tree"]}),
        ],
        1, lambda p: {"neighbours": 2.0, "tree": 4.0, "logistic": 10.0, "svm": 15.0}[p["model"]],
    ),
    "net_digits": Trained(_NET, 27, _net_seconds),
    "net_diabetes": Trained([*_NET[:3], *_SCHEDULE, *_NET[3:6], *_NET[7:]], 27, _net_seconds),
    "neighbours_breast": Trained(
        [
            choice("scaling", ["none", "standard", "unit"]),
            whole("components", 1, 30, log=True),
            whole("neighbours", 1, 100, log=True),
            real("p", 1.0, 6.0),
            choice("weights", ["uniform", "distance"]),
        ],
        1, lambda p: 5.0 + p["components"],
    ),
    # Where a part cannot run, or diverges.
    "net_diverges": Trained(
        [
            real("lr", 1e-3, 100.0, log=True), real("momentum", 0.0, 0.99), whole("depth", 1, 6), *_NET[3:4],
            whole("width", 8, 512, log=True),
        ],
        27, lambda p: 20.0 + 60.0 * 25 / p["batch_size"],
    ),
    "nu_svm_wine": Trained(
        [
            real("nu", 0.01, 0.99), choice("kernel", ["rbf", "poly", "sigmoid"]), real("gamma", 1e-4, 10.0, log=True),
            whole("components", 1, 20), choice("scaling", ["none", "standard", "unit"]),
        ],
        1, lambda p: 10.0,
    ),
}  # fmt: skip
#: Of these a part cannot run.
BROKEN = ("net_diverges", "nu_svm_wine")
