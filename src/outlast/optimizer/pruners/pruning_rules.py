"""Pruning rules as functions of the reports known so far, each of one trial's reports up to the one being judged.

A rule is asked with every trial's `Curve`, values turned so that smaller is better. It keeps nothing: asked again after
a crash with the same reports it says the same. Rules of Optuna's that note decisions as they go (successive halving,
hyperband) are therefore written here in that form; where every step is reported they agree with Optuna's to the last
trial, and a test holds them to it.
"""

from __future__ import annotations

import binascii
import math
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from msgspec import Struct

from outlast.errors import StudyFileError
from outlast.optimizer.pruners.pruning_fields import Fields, at_place


class Curve:
    """A trial's reports in step order. Appending one costs the same whatever came before."""

    __slots__ = ("best", "steps", "values")

    def __init__(self, points: Mapping[int, float] | None = None) -> None:
        self.steps: list[int] = []  # rising
        self.values: list[float] = []
        self.best: list[float] = []  # the smallest number up to each step; infinity before the first
        for step, value in sorted((points or {}).items()):
            self.add(step, value)

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: int, value: float) -> int:
        """Take a report in; a step that is there already gets the new value. Returns its place."""
        at = len(self.steps) if not self.steps or step > self.steps[-1] else bisect_left(self.steps, step)
        if at == len(self.steps) or self.steps[at] != step:
            self.steps.insert(at, step)
            self.values.insert(at, value)
        self.values[at] = value
        del self.best[at:]
        for later in self.values[at:]:
            before = self.best[-1] if self.best else math.inf
            self.best.append(before if math.isnan(later) else min(before, later))
        return at

    def at(self, resource: int) -> float | None:
        """The value of the first report at or beyond a resource."""
        place = bisect_left(self.steps, resource)
        return self.values[place] if place < len(self.steps) else None


class Known(Struct, frozen=True):
    """What a rule looks at."""

    number: int  # of the trial that reported
    count: int  # how many of its reports lead up to the one being judged, that one included
    curves: Mapping[int, Curve]
    first_completed: int | None  # the last step of the trial that completed first
    fields: Fields[Curve]

    @property
    def curve(self) -> Curve:
        """The reports of the trial itself, later ones than the one being judged included."""
        return self.curves[self.number]

    @property
    def step(self) -> int:
        """Of the report being judged."""
        return self.curve.steps[self.count - 1]

    @property
    def value(self) -> float:
        """Of the report being judged."""
        return self.curve.values[self.count - 1]

    @property
    def step_before(self) -> int:
        """Of the report before; -1 if this is the first."""
        return self.curve.steps[self.count - 2] if self.count > 1 else -1

    def others(self, key: Hashable, of: Callable[[int, Curve], float | None]) -> Sequence[float]:
        """What a function finds in the reports of all trials but this one, the smallest first; it is known by its key."""
        return self.fields.get(key, of).others(self.number)


#: Whether to stop a trial now.
Rule: TypeAlias = Callable[[Known], bool]


def asha(
    *,
    min_resource: int | str = "auto",
    reduction_factor: int = 4,
    min_early_stopping_rate: int = 0,
    bootstrap_count: int = 0,
    _bracket: Callable[[int], bool] = lambda number: True,
    _key: Hashable = None,
) -> Rule:
    """Asynchronous successive halving (Li et al. 2018, arXiv 1810.05934), with Optuna's options and meaning."""
    _at_least(1, min_resource=min_resource if min_resource != "auto" else 1, reduction_factor=reduction_factor - 1)
    _at_least(0, min_early_stopping_rate=min_early_stopping_rate, bootstrap_count=bootstrap_count)
    if bootstrap_count and min_resource == "auto":
        raise ValueError("bootstrap_count needs min_resource as a number")

    def rule(known: Known) -> bool:
        lowest = min_resource
        if isinstance(lowest, str):
            if known.first_completed is None:
                return False
            lowest = max(known.first_completed // 100, 1)
        step, value, before = known.step, known.value, known.step_before
        rung = 0
        while (resource := lowest * reduction_factor ** (min_early_stopping_rate + rung)) <= step:
            if before < resource:  # this report is the first to reach the rung
                if math.isnan(value):
                    return True
                rivals = known.others((resource, _key), partial(_at_rung, resource, _bracket))
                if not _promoted(value, rivals, reduction_factor, bootstrap_count):
                    return True
            rung += 1
        return False

    return rule


def _at_rung(resource: int, bracket: Callable[[int], bool], number: int, curve: Curve) -> float | None:
    value = curve.at(resource) if bracket(number) else None
    return value if value == value else None


def _promoted(value: float, rivals: Sequence[float], reduction_factor: int, bootstrap_count: int) -> bool:
    count = len(rivals) + 1
    return count > bootstrap_count and bisect_left(rivals, value) <= max(count // reduction_factor - 1, 0)


def hyperband(
    *, min_resource: int = 1, max_resource: int | str = "auto", reduction_factor: int = 3, bootstrap_count: int = 0
) -> Rule:
    """Hyperband as brackets of successive halving (Li et al. 2018, JMLR 18-185), with Optuna's options and meaning."""
    _at_least(1, min_resource=min_resource, reduction_factor=reduction_factor - 1)
    _at_least(0, bootstrap_count=bootstrap_count)
    if isinstance(max_resource, str) and max_resource != "auto":
        raise ValueError("max_resource is a number of steps, or auto")
    _at_least(1, max_resource=max_resource if max_resource != "auto" else 1)
    if bootstrap_count and max_resource == "auto":
        raise ValueError("bootstrap_count needs max_resource as a number")

    def rule(known: Known) -> bool:
        highest = max_resource
        if isinstance(highest, str):
            if known.first_completed is None:
                return False
            highest = known.first_completed + 1
        brackets = max(math.floor(math.log(highest / min_resource, reduction_factor)) + 1, 1)
        mine = bracket_of(known.number, brackets, reduction_factor)
        halving = asha(
            min_resource=min_resource,
            reduction_factor=reduction_factor,
            min_early_stopping_rate=mine,
            bootstrap_count=bootstrap_count,
            _bracket=lambda number: bracket_of(number, brackets, reduction_factor) == mine,
            _key=(brackets, mine),
        )
        return halving(known)

    return rule


def bracket_of(number: int, brackets: int, reduction_factor: int) -> int:
    """A trial's bracket: drawn by its number alone, in proportion to the trials that each bracket needs."""
    budgets = [math.ceil(brackets * reduction_factor ** (brackets - 1 - i) / (brackets - i)) for i in range(brackets)]
    place = binascii.crc32(f"outlast_{number}".encode()) % sum(budgets)
    for bracket, budget in enumerate(budgets):
        place -= budget
        if place < 0:
            return bracket
    return brackets - 1


def bandit(
    *,
    slack_factor: float | None = None,
    slack_amount: float | None = None,
    evaluation_interval: int = 1,
    delay_evaluation: int = 0,
) -> Rule:
    """Azure ML's bandit policy: stop what is worse than the best by more than the slack, interval by interval.

    Each report is one interval; the policy looks at every ``evaluation_interval``-th from ``delay_evaluation`` on, and
    compares each trial's best value so far.
    """
    if (slack_factor is None) == (slack_amount is None):
        raise ValueError("give slack_factor or slack_amount")
    _at_least(1, evaluation_interval=evaluation_interval)
    _at_least(0, delay_evaluation=delay_evaluation, slack=slack_factor if slack_amount is None else slack_amount)

    def rule(known: Known) -> bool:
        interval = known.count
        if interval < delay_evaluation or interval % evaluation_interval:
            return False
        mine = known.curve.best[interval - 1]  # one that has not come this far is nothing to compare with
        others = known.others(interval, lambda _, curve: curve.best[interval - 1] if len(curve) >= interval else None)
        best = others[0] if others else math.inf
        if not math.isfinite(best):
            return False
        if slack_amount is not None:
            return not mine <= best + slack_amount
        factor = 1.0 + (slack_factor or 0.0)
        # "smaller is better": a turned score of -0.8 allows -0.8 / 1.2, a loss of 0.5 allows 0.5 * 1.2
        return not mine <= (best * factor if best > 0 else best / factor)

    return rule


def wandb_hyperband(
    *,
    min_iter: int | None = None,
    max_iter: int | None = None,
    s: int | None = None,
    eta: float = 3,
    strict: bool = False,
) -> Rule:
    """W&B's ``early_terminate: {type: hyperband}``: at the highest band reached, be among the best 1/eta there.

    Bands are counted in reports, as W&B counts history lines: from 0, so that band 3 is reached with the fourth.
    Unless ``strict``, a trial's best value so far is what is compared with the threshold.

    Source: ``hyperband_stop_runs`` in W&B's sweeps package, whose docstring's example is a test here.
    """
    bands = wandb_bands(min_iter, max_iter, s, eta)

    def rule(known: Known) -> bool:
        history = [v for v in known.curve.values[: known.count] if math.isfinite(v)]
        reached = [band for band in bands if band < len(history)]
        if not reached:
            return False
        band = reached[-1]
        others = known.others(band, lambda _, curve: _at_line(curve, band))
        place = int(1.0 / eta * (len(others) + 1))
        return (history[band] if strict else min(history)) > at_place(others, history[band], place)

    return rule


def wandb_bands(min_iter: int | None, max_iter: int | None, s: int | None, eta: float) -> list[int]:
    """The iterations at which W&B's rule compares."""
    if eta <= 1:
        raise ValueError(f"eta must be above 1, not {eta}")
    if max_iter is not None:
        if s is None:
            raise ValueError("max_iter needs s, the number of bands")
        bands = sorted(int(max_iter / eta**i) for i in range(1, s + 1) if max_iter / eta**i >= 1)
        if not bands:
            raise ValueError("no band lies at or above iteration 1: raise s or max_iter, or lower eta")
        return bands
    if min_iter is None:
        raise ValueError("give min_iter, or max_iter with s")
    _at_least(1, min_iter=min_iter)
    return [int(min_iter * eta**i) for i in range(100) if min_iter * eta**i < 2**53]


OWN_RULES: dict[str, Callable[..., Rule]] = {
    "asha": asha,
    "hyperband": hyperband,
    "bandit": bandit,
    "wandb_hyperband": wandb_hyperband,
}


def rule_of(name: str, options: Mapping[str, Any]) -> Rule:
    """The rule of a name with its options.

    Raises:
        StudyFileError: The options do not go together.
    """
    try:
        return OWN_RULES[name](**options)
    except (ValueError, TypeError) as error:
        raise StudyFileError(f"{name}: {error}", key="pruner") from error


def _at_line(curve: Curve, band: int) -> float | None:
    """The value of history line `band`, from 0; what is not finite makes no line."""
    if len(curve) <= band:
        return None
    finite = (value for value in curve.values if math.isfinite(value))
    return next(islice(finite, band, None), None)


def _at_least(least: int, **numbers: Any) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or number < least:
            raise ValueError(f"{name} {'is too small' if least else 'cannot be negative'}: {number!r}")
