"""Quantiles of normal distributions that are cut at both ends, to the last digit as Optuna calculates them.

Formulas and the order of the calculation are those of ``optuna.samplers._tpe._truncnorm`` (5.0), which goes back to SciPy's
``truncnorm``; another order would change the last digit of what TPE suggests. A test holds them to it.
"""

from __future__ import annotations

import math
import sys
from itertools import count
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

#: So many numbers at once Optuna calculates in another way, with other last digits.
TOO_MANY = 2000
_LOG_ROOT_2PI = math.log(math.sqrt(2 * math.pi))
_LOGISTIC = math.sqrt(3) / math.pi  # the logistic distribution with this scale looks like the normal one
_STEPS = 100  # of Newton's method; a few are enough


def quantile(q: Array, a: Array, b: Array) -> Array:
    """Where a standard normal distribution between `a` and `b` has the part `q` of its mass below it; arrays of one shape."""
    out, mass = np.empty_like(q), _log_mass(a, b)
    left = a < 0
    if (here := q[left]).size:
        out[left] = _inverse(np.logaddexp(_log_below(a[left]), np.log(here) + mass[left]))
    right = ~left  # seen from the other side, where small masses keep their digits
    if (here := q[right]).size:
        out[right] = -_inverse(np.logaddexp(_log_below(-b[right]), np.log1p(-here) + mass[right]))
    out[q == 0], out[q == 1], out[a == b] = a[q == 0], b[q == 1], np.nan
    return out


def _log_mass(a: Array, b: Array) -> Array:
    """The logarithm of the mass between two points."""
    out = np.full_like(a, np.nan)
    left, right = b <= 0, a > 0
    both = ~(left | right)
    for where, low, high in ((left, a, b), (right, -b, -a)):
        if where.any():
            most, less = _log_below(high[where]), _log_below(low[where])
            out[where] = most + np.log1p(-np.exp(less - most))
    if both.any():  # what lies beyond the ends is small, and is taken off
        out[both] = np.log1p(-_below(a[both]) - _below(-b[both]))
    return out


def _below(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.array([math.erf(each) for each in x / 2**0.5]))


def _log_below_one(x: float) -> float:
    """The logarithm of the mass below a point."""
    if x > 6:
        return -_below_one(-x)
    if x > -20:
        return math.log(_below_one(x))
    total, before, odd, power = 1.0, 0.0, 1.0, 1.0  # 1 - 1/x² + 3/x⁴ - 15/x⁶ …
    inverse = 1 / x**2
    for i in count(1):
        if abs(before - total) <= sys.float_info.epsilon:
            break
        before, odd, power = total, odd * (1 - 2 * i), power * inverse
        total += odd * power
    return -0.5 * x**2 - math.log(-x) - 0.5 * math.log(2 * math.pi) + math.log(total)


def _below_one(x: float) -> float:
    x = x / 2**0.5
    if x < -1 / 2**0.5:
        return 0.5 * math.erfc(-x)
    return 0.5 + 0.5 * math.erf(x) if x < 1 / 2**0.5 else 1.0 - 0.5 * math.erfc(x)


_all_log_below = np.frompyfunc(_log_below_one, 1, 1)


def _log_below(x: Array) -> Array:
    return np.asarray(_all_log_below(x), dtype=np.float64)


def _inverse(logs: Array) -> Array:
    """The points below which masses of these logarithms lie: from a guess by Newton's method, all of them until none moves."""
    near_one = logs > -1e-2  # of these the mass above
    z = logs.copy()
    z[near_one] = np.log(-np.expm1(logs[near_one]))
    x = np.empty_like(z)
    tail = z < -5
    x[tail] = -np.sqrt(-2.0 * (z[tail] + _LOG_ROOT_2PI))
    x[~tail] = -_LOGISTIC * np.log(np.expm1(-z[~tail]))
    for _ in range(_STEPS):
        below = _log_below(x)
        step = (below - z) * np.exp(below - (-0.5 * x**2 - _LOG_ROOT_2PI))
        x -= step
        if (np.abs(step) < 1e-8 * np.abs(x)).all():
            break
    x[near_one] *= -1
    return np.asarray(x)
