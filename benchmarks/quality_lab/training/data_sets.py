"""The data, split anew for each seed."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler


@cache
def _whole(name: str) -> tuple[Any, Any]:
    if name == "friedman":
        return datasets.make_friedman1(n_samples=800, n_features=10, noise=1.0, random_state=0)
    return getattr(datasets, f"load_{name}")(return_X_y=True)


@lru_cache(maxsize=64)
def split(name: str, seed: int, train: int) -> tuple[Any, Any, Any, Any]:
    """So many rows to train on and the others, at most 800, to score: x, y, x, y."""
    x, y = _whole(name)
    kept = y if name in ("digits", "wine", "breast_cancer") else None
    x, x_valid, y, y_valid = train_test_split(x, y, train_size=train, random_state=seed, stratify=kept)
    return x, y, x_valid[:800], y_valid[:800]


def scaled(way: str, x: Any, x_valid: Any) -> tuple[Any, Any]:
    """Features as they are, standardised, or between 0 and 1."""
    if way == "none":
        return x, x_valid
    scaler = (StandardScaler() if way == "standard" else MinMaxScaler()).fit(x)
    return scaler.transform(x), scaler.transform(x_valid)


def reduced(components: int, x: Any, x_valid: Any, seed: int) -> tuple[Any, Any]:
    """The first principal components; raises ``ValueError`` if there are not so many."""
    pca = PCA(components, random_state=seed, svd_solver="full").fit(x)
    return pca.transform(x), pca.transform(x_valid)
