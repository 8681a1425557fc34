"""The MLflow run that was made for this trial, as the study's folder hands it out: it may be made after the training began."""

from __future__ import annotations

import glob
import json
import os
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator

_ANSWERS_WITHIN = 5.0  # seconds
_OF_MLFLOW = ("mlflow", "azure_ml")
_VARIABLE = r"\$\{(?:envvar:|env:)?([A-Za-z_]\w*)\}"  # as `ADDRESS_VARIABLE` of outlast.config.secrets


def is_sent() -> bool:
    """Whether the trial's study is sent to trackers."""
    return os.path.isdir(_folder())


def given(until: float) -> Dict[str, str]:
    """The variables of this trial's run; nothing where there is none, or where one of them is set to something else.

    Args:
        until: Moment of `time.monotonic` up to which it is waited for, as long as whoever makes it is not in trouble.
    """
    while time.monotonic() < until and not any(True for _ in _entries()) and _is_to_come():
        time.sleep(0.05)
    for entry in _entries():
        if not all(os.environ.get(name) for value in entry.values() for name in re.findall(_VARIABLE, str(value))):
            continue  # an address without its password is none
        found = {name: re.sub(_VARIABLE, _variable, str(value)) for name, value in entry.items()}
        if "MLFLOW_RUN_ID" in found and all(os.environ.get(name, value) == value for name, value in found.items()):
            return found
    return {}


def _folder() -> str:
    trial = os.environ.get("OUTLAST_TRIAL_DIR")
    return os.path.join(os.path.dirname(os.path.dirname(trial)), "tracking") if trial else ""


def _entries() -> Iterator[Dict[str, Any]]:
    """What the trackers hand this trial. An empty one says that nothing will come."""
    trial = str(int(os.environ.get("OUTLAST_TRIAL") or 0))
    for path in sorted(glob.glob(os.path.join(glob.escape(_folder()), "*.environment"))):
        entry = (_read(path) or {}).get(trial)
        if isinstance(entry, dict) and ("MLFLOW_RUN_ID" in entry or not entry):
            yield entry


def _is_to_come() -> bool:
    """Whether whoever sends to MLflow has not begun yet, or takes what it is given."""
    behind = _read(os.path.join(_folder(), "behind.json"))
    return behind is None or any(name in behind and not behind[name].get("trouble") for name in _OF_MLFLOW)


def _read(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _variable(match: Any) -> str:
    return os.environ[match.group(1)]


def answers(uri: str) -> bool:
    """Whether somebody answers at an address. A certificate that only MLflow's settings trust, or a password, is an answer."""
    if not uri.startswith("http"):
        return True
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        urlopen(_open(uri).rstrip("/") + "/health", timeout=_ANSWERS_WITHIN).close()  # noqa: S310, it is http or https
        return True
    except HTTPError as error:
        return error.code < 500
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)
    except (OSError, ValueError):
        return False


def _open(uri: str) -> str:
    """Without user and password."""
    return re.sub(r"^(\w+://)[^/@]*@", r"\1", uri)


def is_same_place(uri: Any, other: str) -> bool:
    """Whether two addresses mean the same: local ones relative or absolute, with or without user and password."""
    return _plain(str(uri)) == _plain(other)


def _plain(uri: str) -> str:
    if uri.startswith("sqlite:///"):
        return "sqlite:///" + os.path.abspath(uri[len("sqlite:///") :])
    if uri.startswith("file:"):
        return os.path.abspath(re.sub(r"^file:(//)?", "", uri))
    if "://" in uri or re.match(r"(databricks|uc)\b", uri):
        return _open(uri).rstrip("/")
    return os.path.abspath(os.path.expanduser(uri))


# What a server cannot be asked for


def _entities() -> Any:
    from importlib import import_module

    return import_module("mlflow.entities")


def made_up_run(ours: Dict[str, str], run_id: str) -> Any:
    """A run of MLflow's that nobody has asked its server for."""
    entities = _entities()
    about = {
        "run_id": run_id, "experiment_id": ours["MLFLOW_EXPERIMENT_ID"], "user_id": "", "status": "RUNNING",
        "start_time": int(time.time() * 1000), "end_time": None, "lifecycle_stage": "active", "artifact_uri": "",
    }  # fmt: skip
    try:
        return entities.Run(entities.RunInfo(**about), entities.RunData())
    except TypeError:  # releases before 3
        return entities.Run(entities.RunInfo(run_uuid=run_id, **about), entities.RunData())


def made_up_experiment(ours: Dict[str, str]) -> Any:
    """The experiment of the search, as far as it is known here."""
    return _entities().Experiment(ours["MLFLOW_EXPERIMENT_ID"], ours.get("MLFLOW_EXPERIMENT_NAME", ""), "", "active")
