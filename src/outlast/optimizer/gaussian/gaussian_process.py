"""A Gaussian process on NumPy and SciPy over rows of `UnitRows`.

The kernel is Matérn 5/2 over a squared distance that adds up, each parameter with a weight of its own: the squared difference
of numbers, 1 for different choices (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 4; for
choices, Hutter, Automated Configuration of Algorithms, 2009). Weights, scale and noise are the most probable ones under the
priors that Optuna 5 chose for its own (`optuna._gp.prior`): a weight is around 1, noise is small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct
from scipy.linalg import cho_solve, cholesky, lapack
from scipy.optimize import fmin_l_bfgs_b
from scipy.special import erfcx, log_ndtr, ndtr
from threadpoolctl import ThreadpoolController

Array = Any
_ROOT5 = math.sqrt(5.0)
#: Of the values' variance, which is 1.
LEAST_NOISE = 1e-6
#: As bad as any: so many times as far from the middle as the middle is from the good ones.
WORST = 20.0
#: Evaluations of the likelihood at most: what is found later changes no suggestion.
MOST_EVALUATIONS = 40


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """A block in which linear algebra uses one thread: with two, waiting for each other takes a hundred times as long."""
    limited: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limited


def standing(values: Array) -> Array:
    """Values with mean 0 and variance 1, of which the good half counts as it is, and the bad half by its logarithm.

    A few terrible values would otherwise make all good ones look alike; how terrible they are does not matter beyond `WORST`.
    """
    values = np.clip(values, -1e300, 1e300)  # so that differences are finite
    middle, best = np.median(values), np.min(values)
    unit = max(middle - np.quantile(values, 0.25), (middle - best) / 4)
    above = (values - middle) / (unit if unit > 0 else max(np.max(values) - middle, 1e-300))
    above = np.where(above > 0, np.log1p(np.clip(above, 0.0, WORST)), above)
    spread = np.std(above)
    return (above - np.mean(above)) / spread if spread > 1e-12 else np.zeros(len(values))


def _matern(squared: Array) -> tuple[Array, Array]:
    """The kernel, and its derivative by the squared distance."""
    r = _ROOT5 * np.sqrt(squared)
    decay = np.exp(-r)
    return (1 + r + r * r / 3) * decay, -5 / 6 * (1 + r) * decay


def _squared(a: Array, b: Array, choice: bool) -> Array:
    """How far one parameter's places are apart, shape (len(a), len(b))."""
    apart = a[:, None] - b[None, :]
    return (apart != 0).astype(float) if choice else apart * apart


class Figures(Struct, frozen=True):
    """What a kernel is made of: weights (parameters,), the variance of the true values, and that of the noise."""

    weights: Array
    scale: float
    noise: float


class Process:
    """A process with these figures that has seen values `y` (n,) at rows `x` (n, parameters)."""

    def __init__(self, x: Array, y: Array, choices: Array, figures: Figures) -> None:
        self.x, self.y, self._choices, self.figures = x, y, choices, figures
        self._middle = float(np.mean(y))
        self._condition()

    def believing(self, x: Array) -> Process:
        """The same, having seen at these rows what it expects there, with the same figures."""
        mean, _ = self.predict(x)
        other = object.__new__(Process)
        other.x, other.y = np.vstack([self.x, x]), np.concatenate([self.y, mean])
        other._choices, other.figures, other._middle = self._choices, self.figures, self._middle
        other._condition()
        return other

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the true value, each (rows,)."""
        cross = self._kernel(x, self.x)
        variance = self.figures.scale - np.einsum("ij,ij->i", cross @ self._inverse, cross)
        return self._middle + cross @ self._solved, np.sqrt(np.maximum(variance, 1e-10))

    def _condition(self) -> None:
        factor = self._factor()
        self._inverse = cho_solve((factor, True), np.eye(len(self.x)), check_finite=False)
        self._solved = self._inverse @ (self.y - self._middle)

    def _factor(self) -> Array:
        """Of the covariance; rounding may have made it unfit for one, which more noise mends."""
        covariance, diagonal = self._kernel(self.x, self.x), np.diag_indices(len(self.x))
        noise = self.figures.noise
        covariance[diagonal] += noise
        while True:
            try:
                return cholesky(covariance, lower=True, check_finite=False)
            except np.linalg.LinAlgError:
                if noise > self.figures.scale:
                    raise
                covariance[diagonal] += 9 * noise
                noise *= 10

    def _kernel(self, a: Array, b: Array) -> Array:
        distance = np.zeros((len(a), len(b)))
        for at, (weight, choice) in enumerate(zip(self.figures.weights, self._choices, strict=True)):
            distance += weight * _squared(a[:, at], b[:, at], choice)
        return self.figures.scale * _matern(distance)[0]


def fit(x: Array, y: Array, choices: Array) -> Process:
    """The most probable process for values with mean 0 and variance 1, or near it."""
    d = x.shape[1]
    start = np.r_[np.zeros(d), 0.0, -4.0]
    bounds = [(-9.0, 6.0)] * d + [(-4.0, 3.0), (-14.0, 1.0)]
    found, _, _ = fmin_l_bfgs_b(
        improbable(x, y, choices), start, bounds=bounds, maxfun=MOST_EVALUATIONS, factr=1e9, pgtol=1e-2
    )
    figures = Figures(np.exp(found[:d]), math.exp(found[d]), math.exp(found[d + 1]) + LEAST_NOISE)
    return Process(x, y, choices, figures)


def improbable(x: Array, y: Array, choices: Array) -> Callable[[Array], tuple[float, Array]]:
    """How improbable figures are, and the slope of that, by the logarithms of the weights, the scale and the noise."""
    n, d = x.shape
    apart = np.stack([_squared(x[:, at], x[:, at], choices[at]).ravel() for at in range(d)])
    centred = y - np.mean(y)
    diagonal = np.diag_indices(n)

    def loss(logs: Array) -> tuple[float, Array]:
        weights, scale, noise = np.exp(logs[:d]), math.exp(logs[d]), math.exp(logs[d + 1])
        shape, slope = _matern((weights @ apart).reshape(n, n))
        covariance = scale * shape
        covariance[diagonal] += noise + LEAST_NOISE
        factor, failed = lapack.dpotrf(covariance, lower=1)
        if failed:
            return 1e10, np.zeros(d + 2)
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        solved = inverse @ centred
        rest = np.outer(solved, solved) - inverse
        value = 0.5 * centred @ solved + np.sum(np.log(np.diag(factor)))
        value += np.sum(0.1 / weights + 0.1 * weights) + scale - logs[d] + 30 * noise - 0.1 * logs[d + 1]
        by_weight = -0.5 * scale * weights * (apart @ (rest * slope).ravel()) - 0.1 / weights + 0.1 * weights
        by_scale = -0.5 * scale * np.sum(rest * shape) + scale - 1
        by_noise = -0.5 * noise * np.trace(rest) + 30 * noise - 0.1
        return float(value), np.r_[by_weight, by_scale, by_noise]

    return loss


def log_improvement(mean: Array, spread: Array, best: float) -> Array:
    """The logarithm of the expected improvement below `best`, to any depth (Ament et al., NeurIPS 2023)."""
    z = (best - mean) / spread
    density = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    near = np.log(np.maximum(z * ndtr(z) + np.exp(density), 1e-300))
    deep = np.minimum(z, -1.0)
    share = 1 + math.sqrt(math.pi / 2) * deep * erfcx(-deep / math.sqrt(2))
    far = np.where(deep > -1000.0, np.log(np.maximum(share, 1e-12)), -2 * np.log(-deep))
    return np.where(z > -3, near, density + far) + np.log(spread)


def log_chance(process: Process, x: Array) -> Array:
    """The logarithm of the chance that a value is above 0, by a process of values that are 1 or -1."""
    mean, spread = process.predict(x)
    return log_ndtr(mean / np.sqrt(spread**2 + 0.1))
