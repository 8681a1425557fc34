"""Finding and loading modules for the two that lie beside: past this folder, in place of a name, or with a follower."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(os.path.dirname(_HERE))


def installed_elsewhere(name: str) -> Any:
    """The spec of a top-level module as it would be found without this folder on the path, or ``None``."""
    for finder in sys.meta_path:
        if not hasattr(finder, "find_spec"):
            continue  # the kind from before Python 3.4, which 3.12 dropped
        if getattr(finder, "__name__", "") == "PathFinder":
            spec = finder.find_spec(name, [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE])
        else:
            spec = finder.find_spec(name, None)  # an editable install, a zipped application
        if spec is not None and spec.loader is not None and os.path.dirname(spec.origin or "") != _HERE:
            return spec
    return None


def load(spec: Any) -> ModuleType:
    """Load a module under its own name, in place of whatever has that name."""
    module = type(sys)(spec.name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    module.__package__ = spec.parent
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def load_client(name: str) -> ModuleType:
    """`client.py`, two folders up, as a package of this name that holds itself as ``client``, and the callbacks."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    path = os.path.join(_PACKAGE, "client.py")
    client: Any = load(ModuleSpec(name, SourceFileLoader(name, path), origin=path))
    client.__path__ = []  # a package, but none of the files beside it is a part of it: only what the finder knows
    client.client = sys.modules[name + ".client"] = client
    sys.meta_path.append(_Callbacks(name + ".callbacks"))
    return sys.modules[name]


class _Callbacks:
    """A finder of one package: the callbacks. Their modules are found in its folder as ever."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        from importlib.util import spec_from_file_location

        folder = os.path.join(_PACKAGE, "callbacks")
        return spec_from_file_location(name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])


def follow(name: str, path: Any, target: Any, asker: object, follower: str) -> Any:
    """The spec of a package such as wandb, whose loader puts a follower in once it is loaded. ``None``: not followed.

    Never raises: an import hook that raises would break the script's import.
    """
    try:
        finders = [finder for finder in sys.meta_path if finder is not asker and hasattr(finder, "find_spec")]
        found = (finder.find_spec(name, path, target) for finder in finders)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None:
            _wrap_loader(spec.loader, name, follower)
        return spec
    except Exception as error:
        print("outlast: {} is not followed ({!r})".format(name, error), file=sys.stderr)
        return None


def _wrap_loader(loader: Any, name: str, follower: str) -> None:
    execute: Callable[[ModuleType], None] = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        __import__(follower).install(name)

    loader.exec_module = exec_module
