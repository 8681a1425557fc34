"""What a function that a study file names has for arguments, read from its source: nothing of it is imported or run."""

from __future__ import annotations

import ast
import os
import sys

_LARGEST = 2_000_000  # bytes of a module


def arguments_of(function: str, folder: str) -> frozenset[str] | None:
    """The names of a function's arguments, but for what ``**`` collects; ``None`` where its source does not tell.

    Args:
        function: ``package.module:name``.
        folder: Where it is imported from first.
    """
    module, _, name = function.partition(":")
    steps = module.split(".")
    for start in (folder, *sys.path):
        place = os.path.join(start or os.curdir, *steps)
        for path in (os.path.join(place, "__init__.py"), f"{place}.py"):
            if os.path.isfile(path):
                return _in_module(path, name)
    return None


def _in_module(path: str, name: str) -> frozenset[str] | None:
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(_LARGEST))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not found or found[-1].decorator_list:  # a decorator may make anything of it
        return None
    taken = found[-1].args
    return frozenset(each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs))
