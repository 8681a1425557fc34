"""Whether an objective is the one that a study was begun with: where it was written, what it was made with, what it does.

An objective that was edited is the same one, and its study goes on. Two that merely have one name are not: what one of them found
would stand for the other.
"""

from __future__ import annotations

import functools
import importlib
import io
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from msgspec import Struct

from outlast.core.file_names import StudyNames

_MOST_TEXT = 300  # characters of a value that is compared


class Fingerprint(Struct, frozen=True):
    """What tells objectives apart."""

    file: str  # where it was written; empty in a notebook, whose cells have no place that lasts
    name: str  # its qualified name
    # what a closure, a partial, an object or parsed arguments hold for it
    made_with: Mapping[str, str] = {}
    # plain global values that it reads; a script may compute them anew in each run
    reads: Mapping[str, str] = {}
    code: object = None  # what it does, line numbers left out; None for what is no Python function


#: Study folder → the objective that this process searched with last, and when.
_here: dict[str, tuple[Fingerprint, float]] = {}


def pickled_objective(
    objective: Callable[..., Any], *, takes_trial: bool, around: Mapping[str, Any] | None = None
) -> bytes:
    """What a training process needs: where modules are found, then the objective.

    Args:
        takes_trial: Whether it is called with a trial.
        around: What is done around such a call, see `outlast.objective.process`.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """Modules of a class of their own (`optuna.integration` is one) are imported there, too."""

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, ModuleType) and type(obj) is not ModuleType and sys.modules.get(obj.__name__) is obj:
                return importlib.import_module, (obj.__name__,)
            return super().reducer_override(obj)

    places, pickled = [os.path.abspath(place) for place in sys.path], io.BytesIO()
    Pickler(pickled).dump(places)
    Pickler(pickled).dump((objective, takes_trial, *filter(None, [around])))
    return pickled.getvalue()


def unpickled(path: Path) -> Callable[..., Any] | None:
    """The objective of the earlier trials; ``None`` where it cannot be had any more."""
    import cloudpickle

    try:
        with open(path, "rb") as file:
            cloudpickle.load(file)
            return cloudpickle.load(file)[0]  # type: ignore[no-any-return]
    except Exception:  # whatever its modules do on import
        return None


def fingerprint_of(objective: Callable[..., Any]) -> Fingerprint:
    """The fingerprint of a function, method, partial or callable object."""
    function, made_with = _function_in(objective)
    if function is None:
        return Fingerprint("", type(objective).__qualname__, made_with)
    code = function.__code__
    file = code.co_filename if os.path.isfile(code.co_filename) else ""
    cells = zip(code.co_freevars, function.__closure__ or (), strict=False)
    for name, cell in cells:
        try:
            made_with[name] = _text(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    given = zip(code.co_varnames[: code.co_argcount][::-1], (function.__defaults__ or ())[::-1], strict=False)
    made_with.update({name: _text(value) for name, value in (*given, *(function.__kwdefaults__ or {}).items())})
    names = set(_names(code))
    reads = {}
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        if isinstance(value, Namespace):
            made_with.update({f"{name}.{k}": _text(v) for k, v in vars(value).items() if k in names})
        elif value is None or isinstance(value, (bool, int, float, str)):
            reads[name] = _text(value)
    return Fingerprint(file, function.__qualname__, made_with, reads, _plain_code(code))


def remember(folder: Path, new: Fingerprint) -> None:
    """This process searches with it now."""
    _here[os.path.realpath(folder)] = new, time.time()


def compared(folder: Path, new: Fingerprint, *, results: bool) -> tuple[bool, str]:
    """What the objective of a study that is there has to do with this one.

    Args:
        new: The one that is to go on with it.
        results: Whether a trial of the study has ended well.

    Returns:
        Whether they are two, and in what they differ; the empty text if they do not.
    """
    earlier = _here.get(os.path.realpath(folder))
    if earlier is None:
        kept = unpickled(StudyNames(Path(folder)).objective)
        if kept is None:
            return False, "the objective of its trials cannot be read any more" if results else ""
        return _differ(fingerprint_of(kept), new, results=results, since=None)
    return _differ(earlier[0], new, results=results, since=earlier[1])


def _differ(old: Fingerprint, new: Fingerprint, *, results: bool, since: float | None) -> tuple[bool, str]:
    """`since` is when this very process began to search with the old one, if it did."""
    made = _first_difference(old.made_with, new.made_with)
    if old.code != new.code and _elsewhere(old, new):
        return True, f"theirs is {_where(old)}, this is {_where(new)}"
    if made:
        return True, f"it was made with {made}"
    read = _first_difference(old.reads, new.reads)
    if read:
        return since is not None, f"it reads {read}"
    if old.code == new.code:
        return False, ""
    edited = "the objective's code is not what it was"
    if not (old.file and new.file):  # two cells, or one that was edited: nobody can tell
        return results, edited
    return since is not None and os.path.getmtime(new.file) < since, edited


def _elsewhere(old: Fingerprint, new: Fingerprint) -> bool:
    if not (old.file and new.file):
        return old.name != new.name and bool(old.file or new.file)
    return old.name != new.name or os.path.realpath(old.file) != os.path.realpath(new.file)


def _where(one: Fingerprint) -> str:
    return f"{one.name} of {os.path.basename(one.file)}" if one.file else one.name


def _first_difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            return f"{name}={_short(old[name])}, this one with {_short(new[name])}"
    return ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _function_in(objective: Any) -> tuple[FunctionType | None, dict[str, str]]:
    """The function that does the work, and what wraps it."""
    held: dict[str, str] = {}
    while not isinstance(objective, FunctionType):
        if isinstance(objective, functools.partial):
            held.update({f"argument {at}": _text(value) for at, value in enumerate(objective.args)})
            held.update({name: _text(value) for name, value in objective.keywords.items()})
            objective = objective.func
        elif isinstance(objective, MethodType):
            held.update(
                {f"self.{name}": _text(value) for name, value in getattr(objective.__self__, "__dict__", {}).items()}
            )
            objective = objective.__func__
        elif isinstance(getattr(type(objective), "__call__", None), FunctionType):  # noqa: B004  the method itself
            objective = MethodType(type(objective).__call__, objective)
        else:
            return None, held
    return objective, held


def _text(value: Any) -> str:
    """A value as far as it can be compared between processes."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)[:_MOST_TEXT]
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_text, value[:20]))}, {len(value)})"[:_MOST_TEXT]
    if isinstance(value, dict):
        return f"dict({', '.join(f'{_text(k)}: {_text(v)}' for k, v in list(value.items())[:20])})"[:_MOST_TEXT]
    name = getattr(value, "__qualname__", None)
    shape = getattr(value, "shape", None)
    return (
        str(name)
        if isinstance(name, str)
        else f"{type(value).__qualname__} {shape if isinstance(shape, tuple) else ''}"
    )


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _plain_code(code: CodeType) -> tuple[object, ...]:
    return code.co_code, code.co_names, tuple(map(_plain_constant, code.co_consts))


def _plain_constant(value: object) -> object:
    if isinstance(value, CodeType):
        return _plain_code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
