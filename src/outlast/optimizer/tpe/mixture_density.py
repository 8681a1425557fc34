"""The density of a mixture of TPE's kernels at a few points, without evaluating an error function for each kernel and point.

Optuna's own evaluation costs most of a suggestion once there are thousands of kernels. This one agrees with it to about ten
digits: what lies closer together than `CLOSE` is for Optuna's to tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from outlast.optimizer.ranges import FloatRange, IntRange

#: Two log densities further apart than this are told apart by `log_density`. Its error is a thousandth of it.
CLOSE = 1e-7
#: The least width of a bell among many is this part of the range (Optuna's "magic clip").
NARROWEST = 0.01
#: Multiplications of one product of matrices: their terms fit into a core's cache, and OpenBLAS (`interface/gemm.c`) takes no
#: second thread for so few, which would cost more than it saves.
_AT_ONCE = 200_000
_MOST_STEPS = 5000  # of a lattice whose terms are tabulated
_FARTHEST = 4.0  # from the middle of the range, in ranges: beyond, too few digits are left
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_erfc = np.frompyfunc(math.erfc, 1, 1)

Array = np.ndarray[Any, np.dtype[np.float64]]
Numbers = np.ndarray[Any, np.dtype[np.intp]]


class Bells(Struct):
    """Kernels of a number: normal distributions, cut at the ends of the range."""

    mu: Array  # logarithms, if `log`
    sigma: Array
    low: float  # ends of the range, of logarithms as well
    high: float
    log: bool
    step: float = 0.0  # between the values of a lattice, which the kernels are rounded to
    scale: Array | None = None  # `log_scale` of those of the least width, if it is known

    @property
    def near(self) -> bool:
        """Whether all lie near enough to be calculated with here."""
        range_ = self.high - self.low
        return bool(len(self.mu) and np.abs(self.mu - 0.5 * (self.low + self.high)).max() <= _FARTHEST * range_)


class Choices(Struct):
    """Kernels of choices: each stands for one of them, and the last for none."""

    chosen: Numbers
    rows: Array  # the probabilities of the choices, a row for each kind of kernel; the last row is the last kernel's


Kernels = Bells | Choices


def trial_weights(count: int) -> Array:
    """How much each of so many trials counts, in order of their numbers: the last 25 alike, earlier ones less and less."""
    if count < 25:
        return np.ones(count)
    return np.concatenate([np.linspace(1.0 / count, 1.0, num=count - 25), np.ones(25)])


def ends_of(range_: FloatRange | IntRange) -> tuple[float, float]:
    """The ends of the range in which kernels of a range lie."""
    half = 0.0 if range_.step is None else range_.step / 2
    low, high = range_.low - half, range_.high + half
    return (np.log(low), np.log(high)) if range_.log else (low, high)


def widths(mu: Array, order: Numbers, low: float, high: float) -> Array:
    """How wide the bells at these places are: as far as it is to the farther neighbour, within Optuna's limits."""
    ordered = np.concatenate([[low], mu[order], [high]])
    gaps = np.diff(ordered)
    wide = np.maximum(gaps[:-1], gaps[1:])
    if len(mu) > 1:  # the ends of the range are no neighbours
        wide[0], wide[-1] = gaps[1], gaps[-2]
    sigma = np.empty(len(mu))
    sigma[order] = wide
    return np.clip(sigma, (high - low) / min(1 / NARROWEST, 2.0 + len(mu)), high - low)


def even_widths(count: int, together: int, low: float, high: float) -> Array:
    """How wide so many bells are, all alike, where so many parameters are drawn together.

    By Scott's rule (Multivariate Density Estimation, 1992) for values that spread over a fifth of the range, and no narrower than
    Optuna's.
    """
    wide = 0.2 * max(count, 1) ** (-1.0 / (together + 4))
    return np.full(count, (high - low) * max(wide, 1.0 / min(1 / NARROWEST, 2.0 + count)))


def log_density(points: Mapping[str, Array], weights: Array, kernels: Sequence[Kernels]) -> Array:
    """The logarithm of the density at each of the points; not a number where it cannot be calculated here.

    Args:
        points: Values of each parameter.
        weights: Of the kernels, each a product over parameters.
        kernels: Of each parameter.
    """
    log_weights = np.log(weights)
    bells, tables = [], []
    for x, each in zip(points.values(), kernels, strict=True):
        if isinstance(each, Bells) and not each.near:
            return np.full(len(x), np.nan)
        if isinstance(each, Bells) and each.step == 0.0:
            bells.append(_Smooth(each, x))
        else:
            tables.append(_Table(each, x))
    count = len(next(iter(points.values())))
    peak, total = np.full(count, -np.inf), np.zeros(count)
    some = max(64, _AT_ONCE // (count * max(4, len(bells))))
    for begin in range(0, len(weights), some):
        here = slice(begin, begin + some)
        terms = _smooth_terms(bells, here) + log_weights[here] if bells else np.tile(log_weights[here], (count, 1))
        for table in tables:
            terms += table.terms[:, table.which[here]]
        highest = np.maximum(peak, terms.max(axis=1))
        terms -= highest[:, None]
        total = total * np.exp(peak - highest) + np.exp(terms, out=terms).sum(axis=1)
        peak = highest
    return np.asarray(np.log(total) + peak)


def log_scale(mu: Array, sigma: Array | float, low: float, high: float) -> Array:
    """The logarithm of what a bell, cut at both ends, is multiplied with."""
    mass = _log_mass((low - mu) / sigma, (high - mu) / sigma)
    return np.asarray(-mass - np.log(sigma) - _LOG_ROOT_2PI)


class _Smooth:
    """The bells of a continuous parameter, and the points."""

    def __init__(self, bells: Bells, x: Array) -> None:
        middle = 0.5 * (bells.low + bells.high)  # numbers around 0 lose least
        self.x = (np.log(x) if bells.log else x) - middle
        self.mu = bells.mu - middle
        self.precision = 1.0 / (bells.sigma * bells.sigma)
        self.scale = bells.scale
        if self.scale is None:
            self.scale = log_scale(bells.mu, bells.sigma, bells.low, bells.high)
        else:
            wide = np.flatnonzero(bells.sigma > (bells.high - bells.low) * NARROWEST * (1 + 1e-12))
            self.scale[wide] = log_scale(bells.mu[wide], bells.sigma[wide], bells.low, bells.high)


def _smooth_terms(bells: Sequence[_Smooth], here: slice) -> Array:
    """``Σ -(x - mu)² / 2 sigma² + scale`` of all continuous parameters, for each point and kernel: two products of matrices."""
    x = np.array([each.x for each in bells]).T
    mu = np.array([each.mu[here] for each in bells])
    precision = np.array([each.precision[here] for each in bells])
    tilt = mu * precision
    apart = np.sum([each.scale[here] for each in bells if each.scale is not None], axis=0) - 0.5 * (mu * tilt).sum(
        axis=0
    )
    return np.asarray(x @ tilt - (0.5 * x * x) @ precision + apart)


class _Table:
    """The kernels of a parameter with few values: each has one of a few columns of terms."""

    def __init__(self, kernels: Kernels, x: Array) -> None:
        if isinstance(kernels, Choices):
            self.terms, self.which = np.log(kernels.rows).T[x.astype(int)], kernels.chosen
            return
        mu, sigma, self.which = _distinct(kernels)
        half = kernels.step / 2
        left, right = (np.log(edge) if kernels.log else edge for edge in (x - half, x + half))
        within = _log_mass((left[:, None] - mu) / sigma, (right[:, None] - mu) / sigma)
        self.terms = within - _log_mass((kernels.low - mu) / sigma, (kernels.high - mu) / sigma)


def _distinct(kernels: Bells) -> tuple[Array, Array, Numbers]:
    """Kernels on a lattice, most of which are alike: places, widths, and which of these each kernel has."""
    mu, sigma, step = kernels.mu, kernels.sigma, kernels.step
    low, high = (np.exp(end) if kernels.log else end for end in (kernels.low, kernels.high))
    places = ((np.exp(mu) if kernels.log else mu) - low) / step - 0.5
    codes = np.rint(places).astype(np.intp)
    count = round((high - low) / step)
    alike = (sigma == sigma.min()) & (codes >= 0) & (codes < count) & (np.abs(places - codes) < 1e-6)
    if count > _MOST_STEPS:
        alike[:] = False
    example = np.full(count, -1, dtype=np.intp)  # a kernel at each place
    example[codes[alike]] = np.flatnonzero(alike)
    taken, others = np.flatnonzero(example >= 0), np.flatnonzero(~alike)
    place = np.zeros(count, dtype=np.intp)
    place[taken] = np.arange(len(taken))
    which = np.empty(len(mu), dtype=np.intp)
    which[alike] = place[codes[alike]]
    which[others] = len(taken) + np.arange(len(others))
    kept = np.concatenate([example[taken], others])
    return mu[kept], sigma[kept], which


def _log_mass(a: Array, b: Array) -> Array:
    """The logarithm of a normal distribution's mass between two points; ``-inf`` where that is too small to count."""
    root = math.sqrt(0.5)
    flip = a > 0  # the left tail is the one that is calculated well
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    left = b <= 0
    below_a = 0.5 * np.asarray(_erfc(-a * root), dtype=float)
    below_b = 0.5 * np.asarray(
        _erfc(np.where(left, -b, b) * root), dtype=float
    )  # of the central ones: what lies above b
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.where(left, below_b - below_a, 1.0 - below_a - below_b)))
