"""The search space as a whole: which parameters are active, what fits, how many configurations there are."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from outlast.core.nearest import nearest
from outlast.space.expressions import Constraint, ExpressionError
from outlast.space.parameters import Parameter, SpaceError

#: Spaces with conditions or constraints are counted one by one up to this many configurations.
COUNT_LIMIT = 200_000


class Space:
    """Parameters, the conditions under which they are active, and the constraints that a configuration must satisfy.

    A configuration (``params``) holds the value of each active sampled parameter, without constants, by dotted name.
    Make one with `from_parameters`. It never changes.
    """

    def __init__(
        self, ordered: tuple[Parameter, ...], declared: tuple[Parameter, ...], constraints: tuple[Constraint, ...]
    ) -> None:
        self._ordered = ordered  # parents before children
        self._by_name = {parameter.name: parameter for parameter in declared}
        self.constraints = constraints
        self.constants: dict[str, Any] = {p.name: p.value for p in declared if p.constant and not p.when}
        off = _switched_off(ordered)
        self.sampled: tuple[Parameter, ...] = tuple(p for p in ordered if not p.constant and p.name not in off)
        self._answers: dict[tuple[str, str], bool] = {}

    @classmethod
    def from_parameters(cls, parameters: Sequence[Parameter], constraints: Sequence[str] = ()) -> Space:
        """The space of these parameters.

        Raises:
            SpaceError: A name twice, an unknown parent, a condition that can never be met, a circle
                of conditions, or a constraint that does not parse or mentions an unknown name.
        """
        declared = tuple(parameters)
        by_name: dict[str, Parameter] = {}
        for parameter in declared:
            if parameter.name in by_name:
                raise SpaceError("is there twice", name=parameter.name)
            by_name[parameter.name] = parameter
        for parameter in declared:
            _check_conditions(parameter, by_name)
        return cls(_order(declared), declared, tuple(_constraint(text, by_name) for text in constraints))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters as they were declared, constants included."""
        return tuple(self._by_name.values())

    def active(self, values: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """The sampled parameters that are active, given what is already decided, parents before children.

        A parameter whose parent is not decided yet is not active yet. Those that already have a value are included.
        """
        return tuple(p for p in self._walk(values) if not p.constant)

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with every active constant, in the order of the study file: what the training gets."""
        known = {**self.constants, **params}
        known |= {p.name: p.value for p in self._walk(params) if p.constant}
        return {name: known[name] for name in (*self._by_name, *params) if name in known}

    def decode(self, latent: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration for what a sampler drew. Draws of inactive parameters are left out."""
        params: dict[str, Any] = {}
        for parameter in self._walk(params):  # which sees what is decided on the way
            if not parameter.constant and parameter.name in latent:
                params[parameter.name] = parameter.decode(latent[parameter.name])
        return params

    def encode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a sampler would have drawn for these values; not all parameters need be there. Constants are left out.

        Raises:
            ValueError: A value or name that does not fit; the message names the parameter.
        """
        latent: dict[str, Any] = {}
        for name, value in params.items():
            drawn = self._parameter(name).encode(value)
            if not self._by_name[name].constant:
                latent[name] = drawn
        return latent

    def satisfies(self, params: Mapping[str, Any]) -> bool:
        """Whether every constraint holds; one that mentions an inactive parameter does."""
        if not self.constraints:
            return True
        values = self.complete(params)
        return all(constraint.holds(_spelled(constraint, values)) for constraint in self.constraints)

    def fits(self, params: Mapping[str, Any]) -> str | None:
        """Why a configuration does not belong to this space, or ``None`` if it does."""
        try:
            self.encode(params)
        except ValueError as error:
            return str(error)
        active = self._unconditional or {parameter.name for parameter in self.active(params)}
        for name in params:
            if name not in active and not self._by_name[name].constant:
                return f"{name}: has a value where it is not active"
        missing = active - params.keys()
        if missing:
            return f"{min(missing)}: has no value"
        values = self.complete(params) if self.constraints else {}
        broken = [c.text for c in self.constraints if not c.holds(_spelled(c, values))]
        return f"constraint `{broken[0]}` does not hold" if broken else None

    @cached_property
    def size(self) -> int | None:
        """How many distinct configurations there are; ``None`` if endless, or too many to count one by one."""
        product = 1
        for parameter in self.sampled:
            values = parameter.choices
            if values is None:
                return None
            product *= len(values)
        if not self.constraints and not any(parameter.when for parameter in self.sampled):
            return product
        count = 0
        for seen, params in enumerate(self._configurations(dict(self.constants), 0)):
            if seen >= COUNT_LIMIT:
                return None
            count += self._satisfied(params)
        return count

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every configuration of a discrete space, the first parameter varying slowest; constraints hold for all.

        Raises:
            SpaceError: A sampled parameter is continuous.
        """
        for parameter in self.sampled:
            if parameter.choices is None:
                raise SpaceError("is continuous: it has no grid", name=parameter.name)
        return (params for params in self._configurations(dict(self.constants), 0) if self._satisfied(params))

    @cached_property
    def inside_others(self) -> dict[str, str]:
        """The parameters whose names begin with another's, such as ``db.timeout`` where ``db`` has a value, and that other."""
        return _inside_others(self._by_name)

    def nest(self, params: Mapping[str, Any], groups: Collection[str] | None = None) -> dict[str, Any]:
        """Dotted names as nested mappings: ``{"optimizer.lr": 1}`` → ``{"optimizer": {"lr": 1}}``.

        Args:
            params: By dotted name.
            groups: The dotted names of those that hold others; other dots are part of a name. By default, every dot is a
                level, but what stands below another parameter's own value keeps its dots (see `inside_others`).
        """
        nested: dict[str, Any] = {}
        whole = _inside_others({*self._by_name, *params}) if groups is None else {}  # one may be an earlier revision's
        for name, value in params.items():
            *path, last = [name] if name in whole else _levels(name, groups)
            place = nested
            for part in path:
                place = place.setdefault(part, {})
            place[last] = value
        return nested

    # -- inside ----------------------------------------------------------------------------------------------------

    @cached_property
    def _unconditional(self) -> frozenset[str]:
        """The names of the sampled parameters, where each of them is always active; none where conditions tell."""
        names = frozenset(parameter.name for parameter in self.sampled)
        return frozenset() if any(parameter.when for parameter in self._ordered) else names

    def _walk(self, values: Mapping[str, Any]) -> Iterator[Parameter]:
        """Every active parameter but the constants without a condition. ``values`` may grow between two of them."""
        known = dict(self.constants)
        for parameter in self._ordered:
            if parameter.name in known or not _met(parameter, known):
                continue
            yield parameter
            if parameter.constant:
                known[parameter.name] = parameter.value
            elif parameter.name in values:
                known[parameter.name] = values[parameter.name]

    def _parameter(self, name: str) -> Parameter:
        if name not in self._by_name:
            raise SpaceError("is not a parameter of this space", name=name, cure=nearest(name, self._by_name))
        return self._by_name[name]

    def _configurations(self, known: dict[str, Any], index: int) -> Iterator[dict[str, Any]]:
        """Every configuration, conditions met and constraints not looked at."""
        if index == len(self._ordered):
            yield {p.name: known[p.name] for p in self.sampled if p.name in known}
            return
        parameter = self._ordered[index]
        if parameter.name in self.constants or not _met(parameter, known):
            yield from self._configurations(known, index + 1)
            return
        for value in parameter.choices or ():
            known[parameter.name] = value
            yield from self._configurations(known, index + 1)
        known.pop(parameter.name, None)

    def _satisfied(self, params: Mapping[str, Any]) -> bool:
        """As `satisfies`, remembering the answer for the few values that a constraint mentions: for counting."""
        values = self.complete(params) if self.constraints else {}
        for constraint in self.constraints:
            mentioned = _spelled(constraint, values)
            key = (constraint.text, repr(mentioned))
            if key not in self._answers:
                self._answers[key] = constraint.holds(mentioned)
            if not self._answers[key]:
                return False
        return True


def flat(nested: Mapping[str, Any], whole: Collection[str] = (), prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted name. An empty one is a value, and so is one whose dotted name is among ``whole``."""
    out: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        out |= (
            flat(value, whole, f"{name}.")
            if isinstance(value, Mapping) and value and name not in whole
            else {name: value}
        )
    return out


def same(left: Any, right: Any) -> bool:
    """Equal as values of a study file: ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, (list, tuple, dict)):
        return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    return bool(left == right)


def _inside_others(names: Collection[str]) -> dict[str, str]:
    found = {}
    for name in names:
        ends = [end for end, letter in enumerate(name) if letter == "." and name[:end] in names]
        if ends:
            found[name] = name[: ends[0]]
    return found


def _levels(name: str, groups: Collection[str] | None) -> list[str]:
    if groups is None:
        return name.split(".")
    levels, begin = [], 0
    for group in sorted((g for g in groups if name.startswith(f"{g}.")), key=len):
        levels.append(group[begin:])
        begin = len(group) + 1
    return [*levels, name[begin:]]


def _met(parameter: Parameter, known: Mapping[str, Any]) -> bool:
    return all(
        parent in known and any(same(known[parent], value) for value in values)
        for parent, values in (parameter.when or {}).items()
    )


def _switched_off(ordered: Sequence[Parameter]) -> set[str]:
    """Parameters that can never be active, because one of their parents is fixed at another value or never active itself."""
    off: set[str] = set()
    fixed: dict[str, Any] = {}
    for parameter in ordered:  # parents before children
        for parent, values in (parameter.when or {}).items():
            if parent in off or (parent in fixed and not any(same(fixed[parent], value) for value in values)):
                off.add(parameter.name)
        if parameter.constant:
            fixed[parameter.name] = parameter.value
    return off


def _check_conditions(parameter: Parameter, by_name: Mapping[str, Parameter]) -> None:
    for parent, values in (parameter.when or {}).items():
        if parent not in by_name:
            raise SpaceError(
                f"is active when `{parent}` has a value, but that is no parameter",
                name=parameter.name,
                cure=nearest(parent, by_name) or f"parameters: {', '.join(by_name)}",
            )
        if by_name[parent].constant:
            continue  # fixing a parent switches its children off: that is no mistake
        for value in values:
            try:
                by_name[parent].encode(value)
            except ValueError as error:
                raise SpaceError(f"can never be active: {error}", name=parameter.name) from None


def _order(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    ordered: list[Parameter] = []
    placed: set[str] = set()
    waiting = list(parameters)
    while waiting:
        ready = [p for p in waiting if all(parent in placed for parent in p.when or {})]
        if not ready:
            circle = ", ".join(p.name for p in waiting)
            raise SpaceError(f"the conditions of {circle} wait for each other", name=waiting[0].name)
        first = ready[0]
        waiting.remove(first)
        ordered.append(first)
        placed.add(first.name)
    return tuple(ordered)


def _constraint(text: str, by_name: Mapping[str, Parameter]) -> Constraint:
    try:
        constraint = Constraint(text)
    except ExpressionError as error:
        raise SpaceError(str(error), constraint=text) from None
    if not constraint.names:
        raise SpaceError("mentions no parameter", constraint=text)
    spelled = {_spell(name) for name in by_name}
    for name in constraint.names:
        if name not in spelled:
            raise SpaceError(
                f"`{name}` is not a parameter",
                constraint=text,
                cure=nearest(name, spelled) or f"parameters: {', '.join(sorted(spelled))}",
            )
    return constraint


def _spell(name: str) -> str:
    """A name as constraints write it: ``batch-size`` would be a difference, so it is ``batch_size`` there."""
    return name.replace("-", "_")


def _spelled(constraint: Constraint, values: Mapping[str, Any]) -> dict[str, Any]:
    return {_spell(name): value for name, value in values.items() if _spell(name) in constraint.names}
