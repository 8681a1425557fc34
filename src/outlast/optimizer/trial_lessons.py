"""Trials of the ledger as a sampler is to see them: in this space's terms, one as a row of Optuna's or many for columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study._constrained_optimization import _get_constraints_from_system_attrs
from optuna.trial import TrialState as Row

from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import Lesson, standing
from outlast.optimizer.optuna_distributions import Axis, contains, parsed
from outlast.optimizer.proposals import PLANNED
from outlast.optimizer.trial_columns import Ended, Group, Shape
from outlast.space.parameters import Parameter
from outlast.space.space import Space

_MISSING: Any = object()


class Lessons:
    """Reads trials in terms of a space, or of what define-by-run objectives asked for where none is declared."""

    def __init__(self, space: Space, axes: Mapping[str, Axis], *, defined_by_run: bool) -> None:
        self._space, self._axes, self._defined_by_run = space, axes, defined_by_run
        self._as_it_is = {p.name: _as_it_is(p, axes[p.name]) for p in space.sampled}
        self._parents = tuple(dict.fromkeys(parent for p in space.sampled for parent in p.when or {}))
        self._active: dict[tuple[Any, ...], Shape] = {}
        self._shapes: dict[tuple[Any, ...], Shape] = {}
        self._met: dict[str, BaseDistribution] = {}  # by an objective, under a name

    def known(self, trial: Trial) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """A trial's values as a sampler knows them.

        Raises:
            ValueError: It does not fit the space.
        """
        if self._defined_by_run:
            distributions = {n: parsed(d) for n, d in trial.distributions.items() if d}
            return {name: trial.params[name] for name in distributions}, distributions
        drawn = {}
        for parameter in self._space.active(trial.params):
            name = parameter.name
            if name not in trial.params:
                raise ValueError(f"{name}: has no value")
            value = trial.params[name]
            latent = trial.latent.get(name, value)
            if not (self._axes[name].contains(latent) and parameter.decode(latent) == value):
                latent = parameter.encode(value)  # of another revision, imported, or asked for by a person
            drawn[name] = latent
        return drawn, {name: self._axes[name].distribution for name in drawn}

    def groups(self, trials: Iterable[Trial]) -> tuple[list[Group], list[int]]:
        """Trials by their parameters, and the numbers of those that do not fit the space."""
        found: dict[Shape, Group] = {}
        misfits = []
        read = self._read_run if self._defined_by_run else self._read_declared
        for trial in trials:
            try:
                shape, values = read(trial)
            except ValueError:  # of an earlier revision
                misfits.append(trial.number)
                continue
            group = found.get(shape)
            if group is None:
                group = found[shape] = Group(shape)
            group.ends.append(_end_of(trial))
            group.values.append(values)
        return list(found.values()), misfits

    def _read_declared(self, trial: Trial) -> tuple[Shape, Sequence[Any]]:
        params = trial.params
        parents: tuple[Any, ...] = tuple([(type(value), value) for value in map(params.get, self._parents)])
        try:
            shape = self._active.get(parents)
        except TypeError:  # a list, which is a choice as well
            parents = (repr(parents),)
            shape = self._active.get(parents)
        if shape is None:
            names = [p.name for p in self._space.active(params)]
            shape = self._active[parents] = self._shape_of({name: self._axes[name].distribution for name in names})
        if not trial.latent:
            values = [params.get(name, _MISSING) for name in shape.distributions]
            if all(self._as_it_is[name](value) for name, value in zip(shape.distributions, values, strict=True)):
                return shape, values
        drawn, distributions = self.known(trial)
        return self._shape_of(distributions), list(drawn.values())

    def _read_run(self, trial: Trial) -> tuple[Shape, Sequence[Any]]:
        ahead = {} if trial.state.finished else self._planned(trial)
        key = (*trial.distributions.items(), *ahead)
        shape = self._shapes.get(key)
        if shape is None:
            asked = {name: parsed(text) for name, text in trial.distributions.items() if text}
            self._met.update(asked)
            shape = self._shapes[key] = Shape({**asked, **{name: self._met[name] for name in ahead}})
        return shape, [trial.params[name] if name in trial.params else ahead[name] for name in shape.distributions]

    def _planned(self, trial: Trial) -> dict[str, Any]:
        """What a running trial will be given when it asks: others are not to be given the same."""
        planned = trial.system_attrs.get(PLANNED) or {}
        return {
            name: value
            for name, value in planned.items()
            if name not in trial.params and name in self._met and contains(self._met[name], value)
        }

    def _shape_of(self, distributions: Mapping[str, BaseDistribution]) -> Shape:
        return self._shapes.setdefault(tuple(distributions), Shape(distributions))


def _end_of(trial: Trial) -> Ended:
    row, values = standing(trial, Lesson.PRUNED, None)
    violation = 0.0
    if trial.system_attrs and row is not Row.RUNNING:
        found = _get_constraints_from_system_attrs(trial.system_attrs)
        violation = sum(value for value in found.values() if value > 0)
    last = None
    if trial.state is TrialState.PRUNED:
        last = max(trial.judged_curve().items(), default=None)
    return Ended(trial.number, row, values[0] if values else 0.0, last, violation)


def _as_it_is(parameter: Parameter, axis: Axis) -> Callable[[Any], bool]:
    """A quick test whether a value is what was drawn for it: where it says no, somebody has to look closer."""
    drawn: Any = axis.distribution
    if parameter.distribution in ("uniform", "log_uniform_values"):
        return lambda value: type(value) is float and drawn.low <= value <= drawn.high
    if parameter.distribution in ("int_uniform", "int_log_uniform"):
        return lambda value: type(value) is int and drawn.low <= value <= drawn.high
    if parameter.distribution == "categorical" and axis.latent.kind == "categorical":
        decoded = {
            (type(c), c)
            for c in axis.latent.choices
            if type(c) is type(parameter.decode(c)) and c == parameter.decode(c)
        }
        return lambda value: type(value) in _HASHABLE and (type(value), value) in decoded
    return lambda value: False


_HASHABLE = (str, int, float, bool, type(None))
