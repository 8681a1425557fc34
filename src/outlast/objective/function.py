"""``python -m outlast.objective.function package.module:name``: a Python function as a training, in its own process.

The function is called with the trial's parameters as keyword arguments where it takes them, else with one mapping. What it
returns is the score: a number, a sequence (one per objective) or a mapping of metrics. ``outlast.current_trial()`` works inside.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any


def main(argv: Sequence[str]) -> int:
    """Load the function, call it, report what it returns."""
    load(argv)(None)
    return 0


def load(argv: Sequence[str]) -> Callable[[Any], None]:
    """Import the function. What is returned runs one trial, the one that the environment names by then."""
    module_name, _, name = argv[0].partition(":")
    sys.path.insert(0, os.getcwd())
    function: Any = importlib.import_module(module_name)
    for part in name.split("."):
        function = getattr(function, part)

    return partial(run_with_params, function)


def run_with_params(function: Callable[..., Any], _asked: Any) -> None:
    """One trial of a function that asks for nothing: called with the trial's parameters, its result reported."""
    from outlast.client import current_trial

    report_result(call(function, current_trial().params))


def call(function: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """Call with keyword arguments where the signature takes them all, else with the mapping."""
    try:
        inspect.signature(function).bind(**params)
    except TypeError:
        return function(dict(params))
    return function(**params)


def report_result(result: Any) -> None:
    """Report a returned score as the final one."""
    from outlast.client import current_trial

    if result is None:
        return
    names = os.environ.get("OUTLAST_METRICS", "").split(",")
    if isinstance(result, Mapping):
        scores = dict(result)
    elif isinstance(result, Sequence) and not isinstance(result, str):
        scores = dict(zip(names, result, strict=False))
    else:
        scores = {names[0]: result}
    current_trial().report(**scores)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
