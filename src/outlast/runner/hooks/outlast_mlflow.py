"""Lets an unchanged script log to MLflow into the run that was made for its trial, and spares the training the server's trouble.

What could not be logged there is among the reports all the same, from where it is sent later. A script that names another
server itself is left alone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import time

import outlast_mlflow_run as handed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Optional, Set

#: Methods of the client that say something of the run that is their first argument, and answer nothing that is needed.
_LOGS = (
    "log_metric", "log_param", "log_batch", "log_inputs", "set_tag", "update_run", "set_terminated", "log_artifact",
    "log_artifacts",
)  # fmt: skip
_UPLOADS = ("log_artifact", "log_artifacts")  # which may take long
_PATIENT = 10.0  # seconds that a script that logs to MLflow waits for its trial's run, once
_LEFT_ALONE, _LEFT_ALONE_AT_MOST = 60.0, 600.0  # seconds: a server that failed is not asked again for so long
_IN_A_HURRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_OF_THE_SCRIPT = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")  # errors that are its own

_ours: Dict[
    str, str
] = {}  # the variables of the trial's run; empty where there is none, or the script has gone elsewhere
_is_looked_for = True
_waited_until: Optional[float] = None
_gone_to: Optional[str] = None  # where the script says that it logs
_below: Set[str] = set()  # runs that it made below the trial's
_nowhere: Dict[str, Any] = {}  # those that the server did not make: what is logged to them goes nowhere
_stands_in = False  # the trial's run is to be taken without asking for it
_down_until, _pause = 0.0, _LEFT_ALONE
_said: Set[str] = set()


def install(mlflow: Any, client: Any) -> None:
    """Called once MLflow is imported, with the package and its ``MlflowClient``."""
    # A worker has none while it imports, and its forks do; one that asks for a trial's variables is not forked.
    has_trial = "OUTLAST_TRIAL_DIR" in list(os.environ)
    if has_trial and not handed.is_sent():
        return
    for name in _LOGS:
        if hasattr(client, name):
            setattr(client, name, _spared(getattr(client, name)))
    client.create_run = _below_ours(client.create_run)
    client.get_run = _with_those_of_nowhere(client.get_run)
    for name, variable in (
        ("get_experiment", "MLFLOW_EXPERIMENT_ID"),
        ("get_experiment_by_name", "MLFLOW_EXPERIMENT_NAME"),
    ):
        setattr(client, name, _known_experiment(getattr(client, name), variable))
    mlflow.set_experiment = _in_ours(mlflow, mlflow.set_experiment)
    mlflow.set_tracking_uri = mlflow.tracking.set_tracking_uri = _or_elsewhere(mlflow.set_tracking_uri)
    fluent: Any = sys.modules["mlflow.tracking.fluent"]
    mlflow.start_run = fluent.start_run = _started(fluent.start_run)
    if has_trial:
        _look(0.0)


# Which run it is


def _look(patience: float = _PATIENT) -> None:
    """Take the trial's run where it is known and its server answers. It is waited for once."""
    global _is_looked_for, _waited_until
    if not _is_looked_for or _ours or not handed.is_sent():
        return
    if patience and _waited_until is None:
        _waited_until = time.monotonic() + patience
    given = handed.given(_waited_until or 0.0)
    if not given:
        return
    if _gone_to is not None and not handed.is_same_place(_gone_to, given["MLFLOW_TRACKING_URI"]):
        _is_looked_for = False
    elif not handed.answers(given["MLFLOW_TRACKING_URI"]):
        _is_looked_for = False
        for name in given:
            os.environ.pop(name, None)
        _say(
            "MLflow's server does not answer: this training logs to MLflow's local default; its metrics are sent later"
        )
    else:
        _ours.update(given)
        os.environ.update(given)


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
        global _is_looked_for, _gone_to
        _gone_to = str(uri)
        if _ours and not handed.is_same_place(uri, _ours["MLFLOW_TRACKING_URI"]):
            for name in _ours:
                os.environ.pop(name, None)
            _ours.clear()
            _is_looked_for = False
        return original(uri, *args, **kwargs)

    return set_tracking_uri


def _started(original: Callable[..., Any]) -> Callable[..., Any]:
    """A server that has died since it was looked at is no reason not to begin; the run is the trial's all the same."""

    @functools.wraps(original)
    def start_run(run_id: Any = None, *args: Any, **kwargs: Any) -> Any:
        global _stands_in
        _look()
        is_ours = bool(_ours) and (run_id or os.environ.get("MLFLOW_RUN_ID")) == _ours["MLFLOW_RUN_ID"]
        if not is_ours:
            return original(run_id, *args, **kwargs)
        started = _asked(lambda: original(run_id, *args, **kwargs))
        if started is not None:
            return started
        os.environ.pop("MLFLOW_RUN_ID", None)
        kwargs.pop("parent_run_id", None)
        _stands_in = True
        try:
            return original(None, *args, **kwargs)
        finally:
            _stands_in = False

    return start_run


def _below_ours(original: Callable[..., Any]) -> Callable[..., Any]:
    """Runs that the script makes itself lie below the trial's, and say which trial that is."""

    @functools.wraps(original)
    def create_run(
        self: Any, experiment_id: Any, start_time: Any = None, tags: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if not _ours:
            return original(self, experiment_id, start_time, tags, *args, **kwargs)
        if _stands_in:
            return handed.made_up_run(_ours, _ours["MLFLOW_RUN_ID"])
        ours = {
            "mlflow.parentRunId": _ours["MLFLOW_RUN_ID"],
            "outlast.of_trial": os.environ.get("OUTLAST_TRIAL", ""),
        }
        tags = dict(ours, **(tags or {}))
        run = _asked(lambda: original(self, experiment_id, start_time, tags, *args, **kwargs))
        if run is None:
            import uuid

            run = handed.made_up_run(_ours, uuid.uuid4().hex)
            _nowhere[run.info.run_id] = run
        else:
            _below.add(run.info.run_id)
        return run

    return create_run


# What a server in trouble costs: nothing


def _spared(original: Callable[..., Any]) -> Callable[..., Any]:
    """For the trial's run: what a server in trouble does not take costs nothing. The script's own mistakes stay its own."""

    @functools.wraps(original)
    def call(self: Any, run_id: Any = None, *args: Any, **kwargs: Any) -> Any:
        if run_id in _nowhere:
            return None
        is_ours = bool(_ours) and (run_id == _ours["MLFLOW_RUN_ID"] or run_id in _below)
        if not is_ours or _is_asynchronous(kwargs):
            return original(self, run_id, *args, **kwargs)
        return _asked(
            lambda: _logged(self, original, run_id, args, kwargs), in_a_hurry=original.__name__ not in _UPLOADS
        )

    return call


def _is_asynchronous(kwargs: Dict[str, Any]) -> bool:
    """Whether the script is given something to wait for: MLflow logs it on a thread of its own."""
    wanted = kwargs.get("synchronous")
    return (
        not wanted if wanted is not None else os.environ.get("MLFLOW_ENABLE_ASYNC_LOGGING", "").lower() in ("true", "1")
    )


def _asked(call: Callable[[], Any], *, in_a_hurry: bool = True) -> Any:
    """What a call of the server gives; ``None`` while it is in trouble."""
    global _pause
    if time.monotonic() < _down_until:
        return None
    try:
        with _in_a_hurry() if in_a_hurry else contextlib.nullcontext():
            result = call()
    except Exception as error:
        if not _is_of_the_server(error):
            raise
        _leave_alone(error)
        return None
    _pause = _LEFT_ALONE
    return result


@contextlib.contextmanager
def _in_a_hurry() -> Iterator[None]:
    """A training does not wait minutes for a small request, unless the user says so."""
    ours = [name for name in _IN_A_HURRY if name not in os.environ]
    os.environ.update({name: _IN_A_HURRY[name] for name in ours})
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _leave_alone(error: Exception) -> None:
    global _down_until, _pause
    _down_until, _pause = time.monotonic() + _pause, min(2 * _pause, _LEFT_ALONE_AT_MOST)
    _say("MLflow did not take what was logged ({}); the training goes on".format(_first_line(error)))


def _is_of_the_server(error: Exception) -> bool:
    code = getattr(error, "error_code", None)
    if code is not None:
        return code not in _OF_THE_SCRIPT
    family = type(error).__module__.partition(".")[0]  # uploads raise what `requests` does
    return family in ("requests", "urllib3", "urllib") or isinstance(error, (ConnectionError, TimeoutError))


def _logged(client: Any, original: Any, run_id: str, args: Any, kwargs: Any) -> Any:
    try:
        return original(client, run_id, *args, **kwargs)
    except Exception as error:
        if "Changing param values" not in str(error):
            raise
    return _without_known_params(client, original, run_id, args, kwargs)


def _without_known_params(client: Any, original: Any, run_id: str, args: Any, kwargs: Any) -> Any:
    """A parameter has one value in MLflow for good: the trial's, or what an earlier attempt logged."""
    _say("parameters that the trial's MLflow run has already keep their value there")
    if original.__name__ != "log_batch":
        return args[1] if len(args) > 1 else kwargs.get("value")
    content = dict(zip(("metrics", "params", "tags"), args), **kwargs)  # noqa: B905, Python 3.8
    known = client.get_run(run_id).data.params
    content["params"] = [param for param in content.get("params", ()) if param.key not in known]
    return original(client, run_id, **content)


def _with_those_of_nowhere(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_run(self: Any, run_id: Any, *args: Any, **kwargs: Any) -> Any:
        return _nowhere[run_id] if run_id in _nowhere else original(self, run_id, *args, **kwargs)

    return get_run


def _known_experiment(original: Callable[..., Any], variable: str) -> Callable[..., Any]:
    """The experiment of the search is asked for as well; where the server does not answer, its id and its name are known."""

    @functools.wraps(original)
    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _ours or [*args, *kwargs.values()] != [_ours.get(variable)]:
            return original(self, *args, **kwargs)
        found = _asked(lambda: original(self, *args, **kwargs))
        return handed.made_up_experiment(_ours) if found is None else found

    return get


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return re.sub(r"(\w+://)[^/@\s]*@", r"\1***@", line)


def _say(what: str) -> None:
    if what not in _said:
        _said.add(what)
        print("outlast: " + what, file=sys.stderr)
