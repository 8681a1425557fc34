"""Whether two objects are made alike: attribute by attribute, with what only pickling shows of those whose state is in C.

What cannot be told of an object is different: it is for a promise that a later process makes the same one.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from types import MappingProxyType
from typing import Any

import numpy as np
from optuna.samplers._lazy_random_state import LazyRandomState

_DEEPEST = 60  # what makes up an object makes up something in turn: of those that go on for ever, nothing can be told
_ATOMS = (type(None), bool, int, float, complex, str, bytes)
_MISSING: Any = object()
#: Entropy of more bits came from the operating system, unless somebody wrote twenty digits.
_GIVEN_BITS = 64
#: Pairs that are compared already; they are kept, so that no other object gets their identity.
_Seen = dict[tuple[int, int], tuple[Any, Any]]


def difference(one: Any, other: Any, *, beside: Collection[str] = ()) -> str:
    """The first attribute in which two objects of a class differ; the empty text where they do not.

    Random numbers that nobody seeded are alike.

    Args:
        beside: Attributes that do not count.
    """
    return _difference(one, other, {(id(one), id(other)): (one, other)}, 0, beside)


def seed_of_numbers(numbers: LazyRandomState | np.random.RandomState | np.random.Generator) -> int | str:
    """The number that they were seeded with, ``unseeded``, or ``unknown``.

    A Mersenne twister keeps the number as the first word of its state until it is used; without one, its words come from the
    operating system, the first is a constant, and it stands a word before the end (NumPy's legacy seeding).
    """
    if isinstance(numbers, LazyRandomState):
        if numbers._rng is None:
            return "unseeded"
        found = seed_of_numbers(numbers._rng)
        return found if isinstance(found, int) else "unknown"
    if isinstance(numbers, np.random.Generator):
        entropy = getattr(numbers.bit_generator.seed_seq, "entropy", None)
        if not isinstance(entropy, (int, np.integer)):
            return "unknown"
        return int(entropy) if int(entropy).bit_length() <= _GIVEN_BITS else "unseeded"
    state: Any = numbers.get_state(legacy=False)
    words = state["state"].get("key")
    if words is None:  # of another kind than the Mersenne twister
        return "unknown"
    if np.array_equal(np.random.RandomState(words[0]).get_state(legacy=False)["state"]["key"], words):
        return int(words[0])
    return "unseeded" if (words[0], state["state"]["pos"]) == (0x80000000, len(words) - 1) else "unknown"


def _difference(one: Any, other: Any, seen: _Seen, depth: int, beside: Collection[str] = ()) -> str:
    left, right = getattr(one, "__dict__", {}), getattr(other, "__dict__", {})
    for name in sorted((left.keys() | right.keys()) - set(beside)):
        if not _same(left.get(name, _MISSING), right.get(name, _MISSING), seen, depth + 1):
            return str(name).lstrip("_")
    try:
        left, right = _kept(one, beside), _kept(other, beside)
    except Exception:  # somebody else's code: nothing is known
        return "state"
    return "" if _same(left, right, seen, depth + 1) else "state"


def _kept(value: Any, beside: Collection[str]) -> Any:
    """What pickling would keep: all of the state, whether Python or C holds it.

    Raises:
        Exception: It cannot be pickled.
    """
    found = value.__reduce_ex__(2)
    if isinstance(found, str):
        raise TypeError(f"{found} is one of its kind, and there are two")
    function, args, state, items, pairs = (*found, None, None, None)[:5]
    if isinstance(state, dict):
        state = {name: each for name, each in state.items() if name not in beside}
    return [function, args, state, None if items is None else list(items), None if pairs is None else list(pairs)]


def _same(one: Any, other: Any, seen: _Seen, depth: int) -> bool:
    if one is other or (id(one), id(other)) in seen:
        return True
    if type(one) is not type(other) or depth > _DEEPEST:
        return False
    if type(one) in _ATOMS:
        return bool(one == other or (one != one and other != other))
    if isinstance(one, type) or inspect.isfunction(one):  # a function made twice may hold other values
        return False
    seen[id(one), id(other)] = one, other
    if isinstance(one, (LazyRandomState, np.random.RandomState, np.random.Generator)):
        if seed_of_numbers(one) == seed_of_numbers(other) == "unseeded":
            return True
        if isinstance(one, LazyRandomState):
            return _same(one._rng, other._rng, seen, depth + 1)
        if isinstance(one, np.random.RandomState):
            return _same(one.get_state(legacy=False), other.get_state(legacy=False), seen, depth + 1)
    if type(one) is np.ndarray and not one.dtype.hasobject:
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
    if type(one) in (list, tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_same(a, b, seen, depth + 1) for a, b in pairs)
    if type(one) in (set, frozenset):
        return bool(one == other)
    if type(one) in (dict, MappingProxyType):
        return list(one) == list(other) and all(_same(one[key], other[key], seen, depth + 1) for key in one)
    return not _difference(one, other, seen, depth)
