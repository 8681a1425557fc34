"""Classes of others by dotted path, and the options that each takes: samplers, pruners, executors."""

from __future__ import annotations

import importlib
import inspect
import types
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

from outlast.core.nearest import nearest
from outlast.errors import StudyFileError

T = TypeVar("T")


def is_dotted(name: str) -> bool:
    """Whether a name is a path to a class rather than one of our words."""
    return "." in name or ":" in name


def load_class(name: str, base: type[T], key: str, what: str) -> type[T]:
    """The class behind ``package.module.Class`` or ``package.module:Class``.

    Args:
        name: The path.
        base: What it has to be a subclass of.
        key: Of the study file.
        what: What it is not if it is no `base`, with its article.

    Raises:
        StudyFileError: It cannot be imported or is not a `base`.
    """
    module, _, attribute = name.rpartition(":") if ":" in name else name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        cure = "write package.module.ClassName, and install its package where outlast runs"
        if module == "__main__":
            cure = (
                "it was defined in the script or notebook that began this study: go on from there, once it is defined; or "
                f"move it into a module, and say `{key}: package.module.{attribute}`"
            )
        raise StudyFileError(f"{name} cannot be imported: {error}", key=key, cure=cure) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise StudyFileError(f"{name} is not {what}", key=key)
    return found


def _legal_options(cls: Callable[..., Any], hidden: Collection[str]) -> dict[str, Any] | None:
    """The options of a class or function with their defaults, without `hidden` ones; ``None`` if it takes anything."""
    parameters = inspect.signature(cls).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {
        p.name: (None if p.default is p.empty else p.default)
        for p in parameters
        if p.name not in hidden and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }


#: What an option can be in a study file, by its annotation.
_PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def check_options(
    name: str,
    options: Mapping[str, Any],
    key: str,
    *,
    of: Callable[..., Any] | None,
    hidden: Collection[str] = (),
    beside: Collection[str] = (),
) -> None:
    """Refuse options that the sampler, pruner or executor does not know, and values of a type that it cannot use.

    Args:
        name: Of the sampler, pruner or executor.
        options: As written in the study file.
        key: Of the study file.
        of: The class or function that takes them; ``None`` takes none. Its annotations say what type a value must have:
            Optuna itself may notice in the middle of a search only.
        hidden: Options of it that a study file cannot give.
        beside: Keys that may stand beside its options.

    Raises:
        StudyFileError: With all legal options and their defaults.
    """
    for option, value in options.items():
        allowed = () if of is None else _plain_types(of, option)
        if allowed and not any(_is_a(value, each) for each in allowed):
            wanted = " or ".join(_PLAIN[each] for each in allowed if each is not type(None))
            raise StudyFileError(f"{option} must be {wanted}, not {value!r}", key=f"{key}.{option}")
    legal = {} if of is None else _legal_options(of, hidden)
    if legal is None:
        return
    for option in options:
        if option not in legal:
            listed = ", ".join(f"{k} ({v})" for k, v in legal.items()) or "none"
            raise StudyFileError(
                f"{name} has no option {option}; its options (defaults): {listed}",
                key=f"{key}.{option}",
                cure=nearest(option, [*legal, *beside]),
            )


def _plain_types(of: Callable[..., Any], option: str) -> tuple[type, ...]:
    """The types that an option's annotation allows; empty where it says none, or others than a file can express."""
    function = inspect.unwrap(of.__init__ if isinstance(of, type) else of)  # type: ignore[misc]
    try:
        about = types.SimpleNamespace(__annotations__={option: function.__annotations__[option]})
        hint = get_type_hints(about, function.__globals__)[option]
    except (AttributeError, KeyError, NameError, TypeError):  # a name for type checkers only, or no Python function
        return ()
    found = get_args(hint) or (hint,)
    return found if all(each in _PLAIN for each in found) else ()


def _is_a(value: Any, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def build(cls: type[T], name: str, options: Mapping[str, Any], key: str) -> T:
    """Make an instance, with Optuna's notices about experimental options left out.

    Raises:
        StudyFileError: The options do not go together or have a wrong type.
    """
    try:
        with quiet():
            return cls(**options)
    except (TypeError, ValueError, AssertionError, AttributeError) as error:
        raise StudyFileError(f"{name} does not take these options: {error}", key=key) from error


class quiet(warnings.catch_warnings):
    """A block in which Optuna's warnings, meant for somebody who calls it by hand, are not shown."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        return entered
