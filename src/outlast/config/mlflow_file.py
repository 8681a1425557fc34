"""``config/mlflow.yaml``, and ``infrastructure.yaml`` beside it: whether, and to which Azure ML workspace, a project's runs go.

The first says ``azure_ml: {enabled, workspace_name}``, the second which workspace there is; they have to agree. What else they
hold is for others. A study file follows them by ``tracking: {mlflow: {config: config/mlflow.yaml}}``; one that asks for
``azure_ml`` and names no workspace takes it from there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from outlast.config import yaml
from outlast.config.scalars import Flag, Text
from outlast.config.secrets import variables_in, with_variables
from outlast.config.shapes import At, Fields
from outlast.config.tracking_section import TRACKERS
from outlast.config.yaml import Document, Path, dotted

#: Where it is looked for, from where the command runs.
USUAL = ("config/mlflow.yaml", "mlflow.yaml")
_INFRASTRUCTURE = "infrastructure.yaml"
_SHAPE = Fields(
    {
        "azure_ml": Fields(
            {"enabled": Flag(), "workspace_name": Text(), "resource_group": Text(), "subscription_id": Text()},
            open=True,
        )
    },
    open=True,
)
#: What ``infrastructure.yaml`` may say, by our names.
_WORDS = {
    "workspace_name": ("workspace_name",),
    "resource_group": ("resource_group", "resource_group_name"),
    "subscription_id": ("subscription_id",),
}


def azure_workspace(path: str, environ: Mapping[str, str]) -> dict[str, str] | None:
    """The Azure ML workspace that runs go to, or ``None`` where that is not enabled.

    Args:
        path: Of ``mlflow.yaml``.
        environ: Stands for ``${NAME}`` in ``infrastructure.yaml``.

    Returns:
        ``workspace_name``, and ``resource_group`` and ``subscription_id`` where the files say them.

    Raises:
        StudyFileError: A file that is no such file, or the two of them disagree.
    """
    document = yaml.read(path)
    given: dict[str, Any] = _SHAPE.read(document.data, At(document)).get("azure_ml", {})
    if not given.get("enabled", False):
        return None
    said = {name: str(given[name]) for name in _WORDS if name in given}
    there = os.path.join(os.path.dirname(path), _INFRASTRUCTURE)
    if os.path.exists(there):
        said = {**_agreed(document, said, there, environ), **said}
    if "workspace_name" not in said:
        raise document.error(("azure_ml",), "is enabled and names no workspace", "add `workspace_name: …`")
    return said


def _agreed(document: Document, said: Mapping[str, str], path: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What ``infrastructure.yaml`` says, where it is nothing else than ``mlflow.yaml`` says."""
    infrastructure = yaml.read(path)
    found: dict[str, str] = {}
    for name, words in _WORDS.items():
        for place, text in _texts(infrastructure.data):
            value = _in_place(text, environ)
            if place[-1] not in words or not value:
                continue
            if said.get(name, value) != value:
                where = infrastructure.place(place)
                other = f"{where.file}:{where.line} says {dotted(place)}: {value}"
                cure = "write the same in both, or take it out of one"
                raise document.error(("azure_ml", name), f"is {said[name]}, but {other}", cure)
            found.setdefault(name, value)
    return found


def _texts(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(data, str):
        yield path, data
    for key, value in data.items() if isinstance(data, Mapping) else ():
        yield from _texts(value, (*path, key))


def _in_place(text: str, environ: Mapping[str, str]) -> str:
    """Text with its variables in place; nothing where one of them is not there."""
    return with_variables(text, environ) if all(environ.get(name) for name in variables_in(text)) else ""


def follow_mlflow_file(document: Document, folder: str, environ: Mapping[str, str] | None = None) -> None:
    """Put what ``mlflow.yaml`` says into a study file's ``tracking``.

    Args:
        document: The study file, in our dialect.
        folder: Where its command runs and relative paths start.
        environ: This process's by default.

    Raises:
        StudyFileError: A named file is not there, or `azure_workspace` raises it; no file says a workspace that is asked for.
    """
    tracking = tracking_as_mapping(document.data.get("tracking"))
    known = os.environ if environ is None else environ
    mlflow = tracking.get("mlflow")
    if isinstance(mlflow, Mapping) and isinstance(mlflow.get("config"), str):
        _follow_named(document, tracking, mlflow, folder, known)
    elif "azure_ml" in tracking:
        _find_workspace(document, tracking, folder, known)


def tracking_as_mapping(given: Any) -> dict[str, Any]:
    """``tracking`` of a study file, in whichever form, as tracker → what is said of it; nothing where it is no such thing."""
    names = [given] if isinstance(given, str) else given
    if isinstance(names, list):
        ours: dict[str, Any] = {name: {} for name in names if name in TRACKERS}
        own = [name for name in names if name not in TRACKERS]
        return {**ours, "sinks": own} if own else ours
    return dict(given) if isinstance(given, Mapping) else {}


def _follow_named(
    document: Document, tracking: dict[str, Any], mlflow: Mapping[str, Any], folder: str, environ: Mapping[str, str]
) -> None:
    path = os.path.join(folder, os.path.expanduser(mlflow["config"]))
    if not os.path.exists(path):
        raise document.error(("tracking", "mlflow", "config"), f"there is no file {_shown(path)}", _ABOUT)
    workspace = azure_workspace(_shown(path), environ)
    ours = {key: value for key, value in mlflow.items() if key != "config"}
    if workspace is None:
        document.put(("tracking",), {**tracking, "mlflow": ours})
        return
    for key, said in ((("mlflow", "uri"), "uri" in ours), (("azure_ml",), "azure_ml" in tracking)):
        if said:
            cure = "leave one of them out, or say `enabled: false` there"
            raise document.error(("tracking", *key), f"is there beside the workspace of {_shown(path)}", cure)
    tracking = {name: value for name, value in tracking.items() if name != "mlflow"}
    document.put(("tracking",), {**tracking, "azure_ml": {**_unsaid(workspace, environ), **ours}})


_ABOUT = "it is relative to where the command runs, and says `azure_ml: {enabled: true, workspace_name: …}`"


def _find_workspace(document: Document, tracking: dict[str, Any], folder: str, environ: Mapping[str, str]) -> None:
    azure = tracking["azure_ml"] if tracking["azure_ml"] is not None else {}
    if not isinstance(azure, Mapping) or azure.get("workspace_name") or azure.get("enabled") is False:
        return
    paths = [_shown(os.path.join(folder, name)) for name in USUAL]
    path = next((each for each in paths if os.path.exists(each)), None)
    at = ("tracking", "azure_ml")
    if path is None:
        raise document.error(at, f"names no workspace, and there is no {paths[0]}", "add `workspace_name: …`")
    workspace = azure_workspace(path, environ)
    if workspace is None:
        cure = "enable it there, or follow that file either way by `tracking: {mlflow: {config: …}}`"
        raise document.error(at, f"names no workspace, and {path} does not enable `azure_ml`", cure)
    document.put(("tracking",), {**tracking, "azure_ml": {**_unsaid(workspace, environ), **azure}})


def _unsaid(workspace: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What the files say, but for what AZURE_* variables say: these are looked at when runs are sent."""
    by_variable = {"subscription_id": "AZURE_SUBSCRIPTION_ID", "resource_group": "AZURE_RESOURCE_GROUP"}
    return {name: value for name, value in workspace.items() if not environ.get(by_variable.get(name, ""))}


def _shown(path: str) -> str:
    """As a person would write it."""
    near = os.path.relpath(path)
    return path if near.startswith("..") else near
