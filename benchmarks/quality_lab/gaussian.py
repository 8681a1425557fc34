"""A Gaussian process on NumPy and SciPy over mixed parameters: what `candidates` suggest by.

A configuration is a row of numbers in [0, 1] (a choice is its place on the list). The kernel is Matérn 5/2 over a squared
distance that adds up, each parameter with its own weight: the squared difference of numbers, 1 for different choices. Weights and
noise are the most probable ones under the priors of "Vanilla Bayesian Optimization Performs Great in High Dimensions" (Hvarfner
et al., ICML 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr, ndtri
from scipy.stats import rankdata, yeojohnson

Array = Any
_ROOT5 = math.sqrt(5.0)


def scores(values: Array, way: str) -> Array:
    """Values made to look normal: by rank, by a power, or only centred."""
    if way == "rank":
        return ndtri((rankdata(values) - 0.5) / len(values))
    centred = (values - np.median(values)) / max(float(np.subtract(*np.percentile(values, [75, 25]))), 1e-12)
    if way == "power":
        try:
            centred = yeojohnson(np.clip(centred, -20, 20))[0]
        except Exception:
            return scores(values, "rank")
    else:
        centred = np.clip(centred, -5, 5)
    spread = float(np.std(centred))
    return (centred - np.mean(centred)) / spread if spread > 1e-9 and math.isfinite(spread) else np.zeros(len(values))


def distances(a: Array, b: Array, choices: Array) -> Array:
    """Shape (parameters, rows of a, rows of b)."""
    different = a.T[:, :, None] - b.T[:, None, :]
    return np.where(choices[:, None, None], (different != 0).astype(float), different**2)


def _matern(squared: Array) -> tuple[Array, Array]:
    """The kernel and its derivative by the squared distance."""
    r = _ROOT5 * np.sqrt(squared)
    decay = np.exp(-r)
    return (1 + r + r**2 / 3) * decay, -5 / 6 * (1 + r) * decay


@dataclass
class Process:
    """A fitted process: `x` (n, d), weights (d,), what is needed to predict."""

    x: Array
    choices: Array
    weights: Array
    scale: float
    noise: float
    middle: float
    factor: Array
    solved: Array

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the true value, each (rows,)."""
        cross = self.scale * _matern(np.tensordot(self.weights, distances(x, self.x, self.choices), 1))[0]
        half = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        variance = np.maximum(self.scale - np.einsum("ij,ij->j", half, half), 1e-12)
        return self.middle + cross @ self.solved, np.sqrt(variance)


def loss_of(x: Array, y: Array, choices: Array) -> Callable[[Array], tuple[float, Array]]:
    """How improbable a process is, and the slope of that, by the logarithms of weights (d), scale and noise."""
    n, d = x.shape
    between, centred = distances(x, x, choices), y - np.mean(y)
    usual = math.sqrt(2) + math.log(d) / 2  # of the logarithm of a length

    def loss(theta: Array) -> tuple[float, Array]:
        weights, scale, noise = np.exp(theta[:d]), math.exp(theta[d]), math.exp(theta[d + 1])
        shape, slope = _matern(np.tensordot(weights, between, 1))
        try:
            factor = cholesky(scale * shape + (noise + 1e-8) * np.eye(n), lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros(d + 2)
        solved = cho_solve((factor, True), centred, check_finite=False)
        outer = np.outer(solved, solved) - cho_solve((factor, True), np.eye(n), check_finite=False)
        lengths = -0.5 * theta[:d] - usual
        value = 0.5 * centred @ solved + np.sum(np.log(np.diag(factor)))
        value += np.sum(lengths**2) / 6 + 0.5 * theta[d] ** 2 + 0.5 * (theta[d + 1] + 4) ** 2
        by_weight = -0.5 * scale * weights * np.tensordot(between, outer * slope, 2) - lengths / 6
        by_scale = -0.5 * scale * np.sum(outer * shape) + theta[d]
        by_noise = -0.5 * noise * np.trace(outer) + theta[d + 1] + 4
        return float(value), np.r_[by_weight, by_scale, by_noise]

    return loss


def fit(x: Array, y: Array, choices: Array, *, starts: int = 2, seed: int = 0) -> Process:
    """The most probable process."""
    d, chance, loss = x.shape[1], np.random.default_rng(seed), loss_of(x, y, choices)
    bounds = [(-12.0, 7.0)] * d + [(-3.0, 3.0), (-12.0, 0.5)]
    begins = [np.r_[np.zeros(d), 0.0, -4.0]]
    begins += [np.r_[chance.normal(0.0, 1.5, d), 0.0, chance.normal(-3.0, 1.0)] for _ in range(starts - 1)]
    found = [minimize(loss, at, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}) for at in begins]
    best = min(found, key=lambda result: result.fun).x
    weights, scale, noise = np.exp(best[:d]), math.exp(best[d]), math.exp(best[d + 1])
    return condition(x, y, choices, weights, scale, noise, float(np.mean(y)))


def condition(x: Array, y: Array, choices: Array, weights: Array, scale: float, noise: float, middle: float) -> Process:
    """The process with these figures, given these values."""
    shape = _matern(np.tensordot(weights, distances(x, x, choices), 1))[0]
    factor = cholesky(scale * shape + (noise + 1e-8) * np.eye(len(x)), lower=True, check_finite=False)
    return Process(
        x, choices, weights, scale, noise, middle, factor, cho_solve((factor, True), y - middle, check_finite=False)
    )


def log_improvement(mean: Array, spread: Array, best: float) -> Array:
    """The logarithm of the expected improvement below `best` (Ament et al., NeurIPS 2023)."""
    z = (best - mean) / spread
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        direct = np.log(np.maximum(z * np.exp(log_ndtr(z)) + np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi), 1e-300))
        far = (
            -0.5 * z**2
            - 0.5 * math.log(2 * math.pi)
            + np.log1p(-math.sqrt(math.pi / 2) * -z * erfcx(-z / math.sqrt(2)))
        )
    tail = np.where(z < -25, -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(np.abs(z) + 1e-12), far)
    return np.where(z > -3, direct, tail) + np.log(spread)
