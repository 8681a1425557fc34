"""Trials of the ledger as a sampler is to see them: in this space's terms, one as a row of Optuna's or many for columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.axes import Axis
from outlast.optimizer.failure_feedback import Lesson, Row, standing
from outlast.optimizer.proposals import PLANNED
from outlast.optimizer.ranges import ChoiceRange, Range, contains, parsed
from outlast.optimizer.tpe.trial_groups import Ended, Group, Shape
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
        self._met: dict[str, Range] = {}  # by an objective, under a name
        self._before_met: set[int] = (
            set()
        )  # trials that will be given values of names nobody had asked for when they were read
        #: Told the numbers of trials that are to be read again: more can be said of them now.
        self.read_again: Callable[[Iterable[int]], object] = lambda numbers: None

    def known(self, trial: Trial) -> tuple[dict[str, Any], dict[str, Range]]:
        """A trial's values as a sampler knows them; of one that runs, what it will be given as well.

        Raises:
            ValueError: It does not fit the space.
        """
        if self._defined_by_run:
            ranges = {n: parsed(d) for n, d in trial.distributions.items() if d}
            self._meet(ranges)
            ahead = {} if trial.state.finished else self._planned(trial)
            asked = {name: trial.params[name] for name in ranges}
            return {**asked, **ahead}, {**ranges, **{name: self._met[name] for name in ahead}}
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
        return drawn, {name: self._axes[name].range for name in drawn}

    def are_drawn(self, params: Mapping[str, Any]) -> bool:
        """Whether these are as they were drawn: all that are active and no others. Quick; it may say no all the same."""
        names = self._active_shape(params).ranges
        return len(names) == len(params) and all(
            name in params and self._as_it_is[name]((params[name],)) for name in names
        )

    def groups(self, trials: Iterable[Trial]) -> tuple[list[Group], list[int]]:
        """Trials by their parameters, and the numbers of those that do not fit the space."""
        alike: dict[Shape, list[Trial]] = {}
        found: list[Group] = []
        misfits: list[int] = []
        odd: list[Trial] = []
        for trial in trials:
            if self._defined_by_run and not trial.state.finished:
                found.append(self._asked_for(trial))
            elif self._defined_by_run:
                alike.setdefault(self._asked_shape(trial), []).append(trial)
            elif trial.latent:
                odd.append(trial)
            else:
                alike.setdefault(self._active_shape(trial.params), []).append(trial)
        for shape, those in alike.items():
            group = self._group(shape, those)
            if not (self._defined_by_run or self._hold(group)):
                odd += [trial for trial in those if not self.are_drawn(trial.params)]
                group = self._group(shape, [trial for trial in those if self.are_drawn(trial.params)])
            found += [group] if group.ends else []
        return [*found, *self._looked_at(odd, misfits)], misfits

    def _group(self, shape: Shape, trials: Sequence[Trial]) -> Group:
        params = [trial.params for trial in trials]
        try:
            values = [[given[name] for given in params] for name in shape.ranges]
        except KeyError:  # of another revision
            values = [[given.get(name, _MISSING) for given in params] for name in shape.ranges]
        return Group(shape, [_end_of(trial) for trial in trials], values)

    def _looked_at(self, trials: Iterable[Trial], misfits: list[int]) -> Iterable[Group]:
        """Those that were not drawn as they are, in this space's terms."""
        found: dict[Shape, tuple[list[Ended], list[list[Any]]]] = {}
        for trial in trials:
            try:
                drawn, ranges = self.known(trial)
            except ValueError:  # of an earlier revision
                misfits.append(trial.number)
                continue
            ends, rows = found.setdefault(self._shape_of(ranges), ([], []))
            ends.append(_end_of(trial))
            rows.append(list(drawn.values()))
        return [Group(shape, ends, list(zip(*rows, strict=True))) for shape, (ends, rows) in found.items()]

    def _hold(self, group: Group) -> bool:
        """Whether all values are as they were drawn."""
        return all(self._as_it_is[name](values) for name, values in zip(group.shape.ranges, group.values, strict=True))

    def _active_shape(self, params: Mapping[str, Any]) -> Shape:
        parents: tuple[Any, ...] = ()
        if self._parents:
            parents = tuple([(type(value), value) for value in map(params.get, self._parents)])
        try:
            shape = self._active.get(parents)
        except TypeError:  # a list, which is a choice as well
            parents = (repr(parents),)
            shape = self._active.get(parents)
        if shape is None:
            names = [p.name for p in self._space.active(params)]
            shape = self._active[parents] = self._shape_of({name: self._axes[name].range for name in names})
        return shape

    def _asked_shape(self, trial: Trial, *ahead: str) -> Shape:
        key = (*trial.distributions.items(), *ahead)
        shape = self._shapes.get(key)
        if shape is None:
            asked = {name: parsed(text) for name, text in trial.distributions.items() if text}
            self._meet(asked)
            shape = self._shapes[key] = Shape({**asked, **{name: self._met[name] for name in ahead}})
        return shape

    def _asked_for(self, trial: Trial) -> Group:
        """A running trial, with what it will be given."""
        values = {**self._planned(trial), **trial.params}
        shape = self._asked_shape(trial, *(name for name in values if name not in trial.params))
        return Group(shape, [_end_of(trial)], [[values[name]] for name in shape.ranges])

    def _meet(self, asked: Mapping[str, Range]) -> None:
        """An objective asked for these. What is known of a trial must not depend on when it was read."""
        new = not asked.keys() <= self._met.keys()
        self._met.update(asked)
        if new and self._before_met:
            numbers, self._before_met = self._before_met, set()
            self.read_again(numbers)

    def _planned(self, trial: Trial) -> dict[str, Any]:
        """What a running trial will be given when it asks: others are not to be given the same."""
        planned = {**(trial.system_attrs.get(PLANNED) or {})}
        self._meet({name: parsed(text) for name, (text, _) in trial.offered.items() if name not in self._met})
        planned.update((name, value) for name, (_, value) in trial.offered.items())
        if not planned.keys() <= self._met.keys():
            self._before_met.add(trial.number)
        return {
            name: value
            for name, value in planned.items()
            if name not in trial.params and name in self._met and _is_of(self._met[name], value)
        }

    def _shape_of(self, ranges: Mapping[str, Range]) -> Shape:
        return self._shapes.setdefault(tuple(ranges), Shape(ranges))


def _end_of(trial: Trial) -> Ended:
    if trial.state is TrialState.COMPLETE and trial.values and not trial.system_attrs:  # as most of a long history are
        return Ended(trial.number, Row.COMPLETE, trial.values[0])
    row, values = standing(trial, Lesson.PRUNED, None)
    violation = 0.0
    if trial.system_attrs and row is not Row.RUNNING:
        violation = sum(value for value in _constraints(trial.system_attrs) if value > 0)
    last = None
    if trial.state is TrialState.PRUNED:
        last = max(trial.judged_curve().items(), default=None)
    return Ended(trial.number, row, values[0] if values else 0.0, last, violation)


def _constraints(attrs: Mapping[str, Any]) -> Iterable[float]:
    """What a trial notes of its constraints where Optuna keeps them: each under its name, or a list of earlier versions."""
    listed = {str(place): value for place, value in enumerate(attrs.get("constraints") or ())}
    named = {key.partition(":")[2]: value for key, value in attrs.items() if key.startswith("constraints:")}
    return {**listed, **named}.values()


def _is_of(range_: Range, value: Any) -> bool:
    """Whether a value is of a kind with those that were drawn from it, whatever their range was at the time."""
    if isinstance(range_, ChoiceRange):
        return contains(range_, value)
    return type(value) in (int, float)


def _as_it_is(parameter: Parameter, axis: Axis) -> Callable[[Sequence[Any]], bool]:
    """A quick test whether values are what was drawn for them: where it says no, somebody has to look closer."""
    drawn: Any = axis.range
    kind: type = {"uniform": float, "log_uniform_values": float}.get(parameter.distribution, int)
    if parameter.distribution in ("uniform", "log_uniform_values", "int_uniform", "int_log_uniform"):
        return lambda values: {*map(type, values)} == {kind} and drawn.low <= min(values) and max(values) <= drawn.high
    if parameter.distribution == "categorical" and axis.latent.kind == "categorical":
        choices = axis.latent.choices
        same = {(type(c), c) for c in choices if type(parameter.decode(c)) is type(c) and parameter.decode(c) == c}
        return lambda values: (
            {*map(type, values)} <= _HASHABLE and {*zip(map(type, values), values, strict=True)} <= same
        )
    return lambda values: False


_HASHABLE = {str, int, float, bool, type(None)}
