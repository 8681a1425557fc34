"""Executors by name: our own, those that installed packages register, and any class by its dotted path.

A package registers one in its ``pyproject.toml``::

    [project.entry-points."outlast.executors"]
    pods = "my_lab.cloud:Pods"
"""

from __future__ import annotations

import inspect

from outlast.config.plugins import build, check_options, is_dotted, load_class
from outlast.config.settings import ExecutorSettings
from outlast.core.nearest import nearest
from outlast.errors import StudyFileError
from outlast.executors.base import Executor, StudyFacts

#: The group of entry points.
GROUP = "outlast.executors"
_OURS = {"psij": "outlast.executors.psij.PsijExecutor"}
_RESERVED = ("local", "worker")  # what the slots of this machine and of workers are called


def make_executor(settings: ExecutorSettings, study: StudyFacts) -> Executor:
    """The executor that a study file names, with the options that it gives.

    Raises:
        StudyFileError: It cannot be imported, is no executor, or does not take these options.
        OutlastError: What it says itself of why it cannot start anything here.
    """
    what = "an executor: a class made from outlast.executors.base.Executor"
    cls = load_class(_path_of(settings.name), Executor, "executor", what)  # type: ignore[type-abstract]
    lacks = sorted(getattr(cls, "__abstractmethods__", ()))
    if inspect.isabstract(cls):
        raise StudyFileError(f"{settings.name} is no whole executor: it lacks {', '.join(lacks)}", key="executor")
    check_options(settings.name, settings.options, "executor", of=cls, hidden=("study",))
    return build(cls, settings.name, {"study": study, **settings.options}, "executor")


def _path_of(name: str) -> str:
    if is_dotted(name):
        return name
    from importlib.metadata import entry_points  # which only an executor by another name than ours needs

    registered = {found.name: found.value for found in entry_points(group=GROUP)}
    if name in _RESERVED and name in registered:
        fact = f"{registered[name]} is registered as {name}, which is our own name for something else"
        raise StudyFileError(fact, key="executor", cure="name it by its dotted path, or register it by another name")
    known = {each: path for each, path in registered.items() if each not in _RESERVED} | _OURS
    if name not in known:
        near = nearest(name, ["local", *known]) or "or the dotted path of a class; a package registers names"
        listed = ", ".join(sorted({"local", *known}))
        raise StudyFileError(f"{name} is no executor that is installed here: {listed}", key="executor", cure=near)
    return known[name]
