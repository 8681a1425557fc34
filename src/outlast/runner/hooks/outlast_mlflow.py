"""Lets an unchanged script log to MLflow into the run that was made for its trial, and spares the training the server's trouble.

What could not be logged there is among the reports all the same, from where it is sent later. A script that names another
server itself is left alone.
"""

from __future__ import annotations

import functools
import glob
import json
import os
import re
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Set

_LOGS = ("log_metric", "log_param", "log_batch", "set_tag", "set_terminated", "log_artifact", "log_artifacts")
_ANSWERS_WITHIN = 5.0  # seconds
_PATIENT = 10.0  # seconds that a script that logs to MLflow waits for the run of a trial that is among the first
_OF_MLFLOW = ("mlflow", "azure_ml")
_LEFT_ALONE = 60.0  # seconds: a server that failed is not asked again for so long
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}

_ours: Dict[
    str, str
] = {}  # the variables of the trial's run; empty where there is none, or the script has gone elsewhere
_is_looked_for = True
_down_until = 0.0
_said: Set[str] = set()


def install(mlflow: Any, client: Any) -> None:
    """Called once MLflow is imported, with the package and its ``MlflowClient``."""
    # A worker has none while it imports, and its forks do; one that asks for a trial's variables is not forked.
    has_trial = "OUTLAST_TRIAL_DIR" in list(os.environ)
    if has_trial and not os.path.isdir(_tracking_folder()):
        return  # the study is sent nowhere
    for name in _LOGS:
        setattr(client, name, _spared(getattr(client, name)))
    client.create_run = _below_ours(client.create_run)
    mlflow.set_experiment = _in_ours(mlflow, mlflow.set_experiment)
    mlflow.set_tracking_uri = _or_elsewhere(mlflow.set_tracking_uri)
    fluent: Any = sys.modules["mlflow.tracking.fluent"]
    mlflow.start_run = fluent.start_run = _looking(fluent.start_run)
    if has_trial:
        _look(0.0)


def _look(patience: float = _PATIENT) -> None:
    """Take the trial's run where it is known and its server answers. It may be made after the training began."""
    global _is_looked_for
    if not os.path.isdir(_tracking_folder()):
        return
    if _is_looked_for and not _ours:
        _await_entry(time.monotonic() + patience)
    given = _given() if _is_looked_for and not _ours else {}
    if not given:
        return
    if not _answers(given["MLFLOW_TRACKING_URI"]):
        _is_looked_for = False
        for name in given:
            os.environ.pop(name, None)
        _say("MLflow's server does not answer: this training logs where it would by itself; its metrics are sent later")
        return
    _ours.update(given)
    os.environ.update(given)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)


def _looking(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start_run(*args: Any, **kwargs: Any) -> Any:
        _look()
        return original(*args, **kwargs)

    return start_run


def make_one_by_one(utils: Any) -> None:
    """Called once ``mlflow.store.db.utils`` is imported: trainings that begin together make a new database's tables one after the
    other. MLflow itself has all of them do it at once, of which all but one fail."""
    original = utils._initialize_tables

    @functools.wraps(original)
    def initialize(engine: Any) -> None:
        import fcntl
        import hashlib
        import tempfile

        path = os.path.realpath(engine.url.database or "")
        digest = hashlib.sha256(path.encode()).hexdigest()[:16]
        name = "outlast-mlflow-{}-{}.lock".format(os.getuid(), digest)  # as in outlast.tracking.mlflow_local
        with open(os.path.join(tempfile.gettempdir(), name), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not utils._all_tables_exist(engine):
                original(engine)

    utils._initialize_tables = initialize


def _tracking_folder() -> str:
    trial = os.environ.get("OUTLAST_TRIAL_DIR")
    return os.path.join(os.path.dirname(os.path.dirname(trial)), "tracking") if trial else ""


def _await_entry(deadline: float) -> None:
    """Wait for the run of a trial that is among the first, as long as whoever makes it is not known to be in trouble."""
    while time.monotonic() < deadline and not any(_entries()):
        behind = _read(os.path.join(_tracking_folder(), "behind.json"))
        if behind and not any(name in behind and not behind[name].get("trouble") for name in _OF_MLFLOW):
            return
        time.sleep(0.05)


def _given() -> Dict[str, str]:
    """The variables of this trial's run, unless one of them is set to something else."""
    for found in _entries():
        given = {name: re.sub(r"\$\{(\w+)\}", _variable, value) for name, value in found.items()}
        if all(os.environ.get(name, value) == value for name, value in given.items()):
            return given
    return {}


def _entries() -> Iterator[Dict[str, str]]:
    trial = str(int(os.environ.get("OUTLAST_TRIAL") or 0))
    for path in sorted(glob.glob(os.path.join(glob.escape(_tracking_folder()), "*.environment"))):
        found = _read(path).get(trial)
        if isinstance(found, dict) and "MLFLOW_RUN_ID" in found:
            yield found


def _read(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _variable(match: Any) -> str:
    return os.environ.get(match.group(1), "")


def _answers(uri: str) -> bool:
    if not uri.startswith("http"):
        return True
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        urlopen(uri.rstrip("/") + "/health", timeout=_ANSWERS_WITHIN).close()  # noqa: S310, it is http or https
        return True
    except HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


def _spared(original: Callable[..., Any]) -> Callable[..., Any]:
    """For the trial's run: what a server in trouble does not take costs nothing. The script's own mistakes stay its own."""

    @functools.wraps(original)
    def call(self: Any, run_id: Any = None, *args: Any, **kwargs: Any) -> Any:
        global _down_until
        if not _ours or run_id != _ours["MLFLOW_RUN_ID"]:
            return original(self, run_id, *args, **kwargs)
        if time.monotonic() < _down_until:
            return None
        try:
            return original(self, run_id, *args, **kwargs)
        except Exception as error:
            if "Changing param values" in str(error):
                return _without_known_params(self, original, run_id, args, kwargs)
            if not _is_of_the_server(error):
                raise
            _down_until = time.monotonic() + _LEFT_ALONE
            _say("MLflow did not take what was logged ({}); the training goes on".format(_first_line(error)))
            return None

    return call


def _is_of_the_server(error: Exception) -> bool:
    code = getattr(error, "error_code", None)
    return code is not None and code not in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")


def _without_known_params(client: Any, original: Any, run_id: str, args: Any, kwargs: Any) -> Any:
    """A parameter has one value in MLflow for good: the trial's, or what an earlier attempt logged."""
    _say("parameters that the trial's MLflow run has already keep their value there")
    if original.__name__ != "log_batch":
        return args[1] if len(args) > 1 else kwargs.get("value")
    content = dict(zip(("metrics", "params", "tags"), args), **kwargs)  # noqa: B905, Python 3.8
    known = client.get_run(run_id).data.params
    content["params"] = [param for param in content.get("params", ()) if param.key not in known]
    return original(client, run_id, **content)


def _below_ours(original: Callable[..., Any]) -> Callable[..., Any]:
    """Runs that the script makes itself lie below the trial's, and say which trial that is."""

    @functools.wraps(original)
    def create_run(
        self: Any, experiment_id: Any, start_time: Any = None, tags: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if _ours:
            ours = {
                "mlflow.parentRunId": _ours["MLFLOW_RUN_ID"],
                "outlast.of_trial": os.environ.get("OUTLAST_TRIAL", ""),
            }
            tags = dict(ours, **(tags or {}))
        return original(self, experiment_id, start_time, tags, *args, **kwargs)

    return create_run


def _in_ours(mlflow: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def set_experiment(*args: Any, **kwargs: Any) -> Any:
        _look()
        if not _ours:
            return original(*args, **kwargs)
        _say("the training logs into its trial's MLflow run, in the experiment of the search")
        return mlflow.get_experiment(_ours["MLFLOW_EXPERIMENT_ID"])

    return set_experiment


def _or_elsewhere(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def set_tracking_uri(uri: Any, *args: Any, **kwargs: Any) -> Any:
        global _is_looked_for
        if _ours and str(uri).rstrip("/") != _ours["MLFLOW_TRACKING_URI"].rstrip("/"):
            for name in _ours:
                os.environ.pop(name, None)
            _ours.clear()
            _is_looked_for = False
        return original(uri, *args, **kwargs)

    return set_tracking_uri


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _say(what: str) -> None:
    if what not in _said:
        _said.add(what)
        print("outlast: " + what, file=sys.stderr)
