"""An MLflow server, database or folder, as the sink talks to it: bounded in time, in parts it takes, its errors told apart.

MLflow's package is imported when one is opened. What it reads from the environment, it reads within `bounded`, which puts
everything back: nothing of MLflow's global state is touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from outlast.config.secrets import mask_text
from outlast.tracking.mlflow_content import Row
from outlast.tracking.mlflow_local import artifacts_of, bounded, local_database, make_database, one_by_one
from outlast.tracking.mlflow_names import (
    METRICS_AT_ONCE,
    PARAMS_AT_ONCE,
    TAGS_AT_ONCE,
    in_parts,
    tag_text,
    taken_names,
    texts_in_parts,
)
from outlast.tracking.sink import SinkError


class Gone(SinkError):
    """It says for certain that it has no such thing."""


class Refused(SinkError):
    """It does not take this, however often it is sent."""


class Server:
    """Where runs are kept.

    Args:
        uri: MLflow's tracking URI, absolute.

    Raises:
        SinkError: The package is missing, or nothing can be opened there.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        database = local_database(uri)
        with _told(uri), nullcontext() if database is None else one_by_one(database):
            if database is not None:
                make_database(database)
            with bounded():
                from mlflow.tracking import MlflowClient

                self._client: Any = MlflowClient(tracking_uri=uri)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with bounded(), _told(self.uri):
            return getattr(self._client, name)(*args, **kwargs)

    def experiment(self, name: str) -> str:
        """The id of an experiment, made where there is none.

        Raises:
            SinkError: It was deleted, or could not be made.
        """
        found = self._call("get_experiment_by_name", name)
        trouble: SinkError | None = None
        if found is None:
            try:
                self._call("create_experiment", name, artifact_location=artifacts_of(self.uri, name))
            except SinkError as error:  # somebody else made it meanwhile, or we did and were not told
                trouble = error
            found = self._call("get_experiment_by_name", name)
        if found is None or not found.experiment_id:
            raise trouble or SinkError(f"MLflow made no experiment {name!r}")
        if found.lifecycle_stage != "active":
            cure = f"mlflow experiments restore --experiment-id {found.experiment_id}, or name another one"
            raise SinkError(f"the experiment {name!r} was deleted in MLflow", cure=cure, lasting=True)
        return str(found.experiment_id)

    def name_of(self, experiment: str) -> str | None:
        """What an experiment is called now; ``None``: there is none by this id that is in use."""
        try:
            found = self._call("get_experiment", experiment)
        except (Gone, Refused):  # not a number, to a database
            return None
        return str(found.name) if found is not None and found.lifecycle_stage == "active" else None

    def experiments(self) -> dict[str, str]:
        """The name of each experiment, by its id."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._call("search_experiments", max_results=1000, page_token=token)
            found |= {each.experiment_id: each.name for each in page}
            token = page.token
            if not token:
                return found

    def runs(self, experiments: Sequence[str], filter_string: str, newest: int | None = None) -> list[Any]:
        """All runs that a filter finds, deleted ones included, the oldest first; or about so many, the newest first."""
        order = "ASC" if newest is None else "DESC"
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self._call(
                "search_runs", list(experiments), filter_string, run_view_type=3, max_results=500, page_token=token,
                order_by=[f"attributes.start_time {order}", "attributes.run_id ASC"],
            )  # fmt: skip
            found += page
            token = page.token
            if not token or (newest is not None and len(found) >= newest):
                return found

    def create(self, experiment: str, name: str, began: int, tags: Mapping[str, str]) -> str:
        """Make a run. What raises may have made it all the same.

        Raises:
            SinkError: It gave no id.
        """
        run = self._call("create_run", experiment, start_time=began, tags=dict(tags), run_name=name)
        if not run.info.run_id:
            raise SinkError("MLflow answered without the id of the run that it was to make")
        return str(run.info.run_id)

    def run(self, run_id: str) -> Any:
        """A run with its parameters, tags, and the last value of each metric."""
        found = self._call("get_run", run_id)
        if found.info.run_id != run_id:
            raise SinkError("MLflow answered with another run than the one asked for")
        return found

    def log(
        self,
        run_id: str,
        rows: Sequence[Row] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Log metrics, parameters and tags, in as few requests as it takes.

        Returns:
            What it refuses whatever is done, by name.
        """
        from mlflow.entities import Metric, Param, RunTag

        requests: list[tuple[str, list[Any]]] = []
        for part in texts_in_parts([*(params or {}).items()], PARAMS_AT_ONCE):
            requests.append(("params", [Param(name, text) for name, text in part]))
        for rows_part in in_parts(rows, METRICS_AT_ONCE):
            requests.append(("metrics", [Metric(row.name, row.value, row.at, row.step) for row in rows_part]))
        named = taken_names(tags or {})
        texts = [(named[name], tag_text(text)) for name, text in (tags or {}).items()]
        for part in texts_in_parts(texts, TAGS_AT_ONCE):
            requests.append(("tags", [RunTag(name, text) for name, text in part]))
        refused: list[str] = []
        for together in _together(requests):
            refused += self._log(run_id, together)
        return refused

    def _log(self, run_id: str, content: dict[str, list[Any]], *, again: bool = False) -> list[str]:
        """Send one request; where something in it is refused, everything else of it arrives, in smaller ones."""
        try:
            self._call("log_batch", run_id, **content)
            return []
        except Refused as error:
            if is_deleted(error):
                raise
            items = [(kind, item) for kind, several in content.items() for item in several]
            if len(items) == 1:
                # A script that logs the same at the same moment makes it refused for once.
                return [f"{items[0][1].key}: {error.reason}"] if again else self._log(run_id, content, again=True)
            half = len(content["params"]) if 0 < len(content.get("params", ())) < len(items) else len(items) // 2
            return [name for part in (items[:half], items[half:]) for name in self._log(run_id, _by_kind(part))]

    def history(self, run_id: str, name: str) -> list[Row]:
        """Everything that a run has of a metric."""
        found = self._call("get_metric_history", run_id, name)
        return [Row(each.key, each.value, each.timestamp, each.step) for each in found]

    def status(self, run_id: str, status: str, ended: int | None = None) -> None:
        """Say how a run stands; with `ended` (milliseconds), that it is over."""
        if ended is None:
            self._call("update_run", run_id, status)
        else:
            self._call("set_terminated", run_id, status, ended)

    def upload(self, run_id: str, path: str, below: str) -> None:
        """Upload a file or folder into a folder of the run's (empty: its top), over an earlier one of its name."""
        if os.path.isdir(path):
            self._call("log_artifacts", run_id, path, os.path.join(below, os.path.basename(path)))
        else:
            self._call("log_artifact", run_id, path, below or None)

    def delete(self, run_id: str, why: str, tag: str) -> None:
        """Delete a run that we made and that is of no use; the tag says later that it was us."""
        try:
            self._call("set_tag", run_id, tag, why)
            self._call("delete_run", run_id)
        except (Gone, Refused):
            pass  # it is gone already

    def restore(self, run_id: str, tag: str) -> None:
        """Take back `delete`."""
        self._call("restore_run", run_id)
        try:
            self._call("delete_tag", run_id, tag)
        except Gone:
            pass


def is_deleted(error: SinkError) -> bool:
    """Whether a run takes nothing because it was deleted: MLflow has no code of its own for it."""
    return "'active' state" in error.reason


def is_changed_param(refused: str) -> bool:
    """Whether a parameter was refused because the run has it with another value."""
    return "Changing param values" in refused


def _together(requests: list[tuple[str, list[Any]]]) -> Iterator[dict[str, list[Any]]]:
    """One request where one is enough: MLflow takes 1000 items of all kinds together."""
    kinds = [kind for kind, _ in requests]
    if len(set(kinds)) == len(kinds) and sum(len(items) for _, items in requests) <= METRICS_AT_ONCE:
        if requests:
            yield dict(requests)
        return
    for kind, items in requests:
        yield {kind: items}


def _by_kind(items: list[tuple[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for kind, item in items:
        found.setdefault(kind, []).append(item)
    return found


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """MLflow's errors, and those that come through it, as a sink says them."""
    try:
        yield
    except SinkError:
        raise
    except ImportError as error:
        missing = error.name or str(error)
        cure = f"pip install {'outlast[mlflow]' if missing.partition('.')[0] == 'mlflow' else missing}"
        raise SinkError(f"the package {missing} is not installed", cure=cure, lasting=True) from None
    except Exception as error:
        raise _as_sink_error(error, uri) from None


def _as_sink_error(error: Exception, uri: str) -> SinkError:
    code = str(getattr(error, "error_code", ""))
    reason = mask_text(" ".join(str(error).split()))[:600] or type(error).__name__
    if code == "RESOURCE_DOES_NOT_EXIST":
        return Gone(reason)
    if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"):
        if "MLFLOW_ALLOW_FILE_STORE" in reason:
            cure = "set MLFLOW_ALLOW_FILE_STORE=true, or `tracking.mlflow.uri: sqlite:///mlflow.db`"
            return SinkError(f"MLflow no longer writes to folders by default ({uri})", cure=cure, lasting=True)
        return Refused(reason)
    if code in ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
        cure = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return SinkError(f"MLflow lets us not in: {reason}", cure=cure, lasting=True)
    if "out-of-date database schema" in reason:
        return SinkError(reason, cure=f"mlflow db upgrade {mask_text(uri)}", lasting=True)
    return SinkError(f"MLflow: {_in_short(reason)}")


def _in_short(reason: str) -> str:
    """What a request has failed of, without the request."""
    request = re.match(r"API request to (\w+://[^/\s]+)\S* failed with (?:timeout )?exception (.*)", reason)
    why = re.findall(r"\[Errno -?\d+\] [\w ]+|[Tt]imed out", request[2]) if request else []
    return f"{request[1]} does not answer: {why[-1]}" if request and why else reason
