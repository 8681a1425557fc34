"""What one trial's run in MLflow gets: each time what is new, and at the end whatever is lacking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from outlast.tracking import mlflow_content as content
from outlast.tracking.mlflow_content import Row
from outlast.tracking.mlflow_names import same_number, texts_of
from outlast.tracking.mlflow_server import Server, is_changed_param
from outlast.tracking.sink import SinkError, TrackedPoint, TrackedStudy, TrackedTrial

#: The ``via`` of what an unchanged script logged to MLflow: it is in its run already, or on its way there until it ends.
_BY_THE_SCRIPT = "mlflow"
#: So many curves of a trial are compared with what MLflow has at its end, point by point: each is a request.
_COMPARED = 10
#: So often it is sent again to a server that says that it took it; another kind of server may keep something else for good.
_TRIES = 3


def send_trial(
    server: Server,
    run_id: str,
    study: TrackedStudy,
    trial: TrackedTrial,
    data: dict[str, Any],
    *,
    is_known: bool,
    tags: Mapping[str, str],
) -> None:
    """Send what the trial's run does not have.

    Args:
        server: Where it is.
        run_id: It.
        study: The trial's study.
        trial: As it is now.
        data: What is remembered: how many of its points were sent, by number under ``sent``.
        is_known: Whether that is all that was sent; otherwise, a request may have arrived that nobody knows of.
        tags: Of every run.

    Raises:
        SinkError: Something did not arrive.
    """
    number, sent = str(trial.number), data.setdefault("sent", {})
    done = sent.get(number, 0) if is_known else 0
    names = content.names_in(study, trial)
    own = not_logged(trial, done)
    rows = [*content.point_rows(own, names)]
    if not is_known or number in data.get("adopted", ()):
        rows = missing(server, run_id, rows)
    if trial.is_over:
        followed = tuple(point for point in trial.points if point.via == _BY_THE_SCRIPT)
        rows += missing(server, run_id, content.point_rows(followed, names), at_any_time=True)
    params = {} if is_known and number in sent else texts_of(trial.params)
    if trial.is_over:
        has = server.run(run_id).data
        rows += content.final_rows(study, trial, names, {**has.metrics, **_last(rows)})
    refused = logged(server, run_id, rows, params, {**tags, **content.child_tags(trial)})
    if trial.is_over:
        everything = [*content.point_rows(not_logged(trial), names), *rows]
        lacking = _lacking(server, run_id, everything, params, refused)
        tries = data.setdefault("not_kept", {})
        if lacking and tries.get(number, 0) < _TRIES:
            tries[number] = tries.get(number, 0) + 1
            raise SinkError(f"MLflow said that it took {lacking[0]} of trial {number}, and does not have it")
        if tries.pop(number, 0) and lacking:
            server.log(run_id, tags={"outlast.not_kept": ", ".join(lacking)})
    ended = content.milliseconds(trial.ended) if trial.is_over and trial.ended is not None else None
    server.status(run_id, content.TRIAL_STATUS[trial.state], ended)
    sent[number] = max(len(trial.points), sent.get(number, 0))


def not_logged(trial: TrackedTrial, begin: int = 0) -> tuple[TrackedPoint, ...]:
    """The points, from one on, that the script did not log to MLflow itself: it may print what it logs as well."""
    by_the_script = {(p.step, name) for p in trial.points if p.via == _BY_THE_SCRIPT for name in p.metrics}
    if not by_the_script:
        return trial.points[begin:]
    found = []
    for point in trial.points[begin:]:
        metrics = {name: value for name, value in point.metrics.items() if (point.step, name) not in by_the_script}
        if metrics:
            found.append(replace(point, metrics=metrics))
    return tuple(found)


def missing(server: Server, run_id: str, rows: Iterable[Row], *, at_any_time: bool = False) -> list[Row]:
    """The rows that a run does not have yet.

    Args:
        server: Where it is.
        run_id: It.
        rows: Which.
        at_any_time: One of the same step and value is the same, whatever its time.
    """
    rows = [*rows]
    there: dict[tuple[object, ...], list[float]] = {}
    for name in sorted({row.name for row in rows}):
        for row in server.history(run_id, name):
            there.setdefault(_moment(row, at_any_time), []).append(row.value)
    return [
        row
        for row in rows
        if not any(same_number(each, row.value) for each in there.get(_moment(row, at_any_time), ()))
    ]


def _moment(row: Row, at_any_time: bool) -> tuple[object, ...]:
    return (row.name, row.step) if at_any_time else (row.name, row.step, row.at)


def _last(rows: Sequence[Row]) -> dict[str, float]:
    """What MLflow shows as each metric's value."""
    return {row.name: row.value for row in sorted(rows, key=lambda row: (row.step, row.at, row.value))}


def _lacking(
    server: Server, run_id: str, rows: Sequence[Row], params: Mapping[str, str], refused: Sequence[str]
) -> list[str]:
    """What a server says that it took and does not have: the end of a trial is looked at."""
    run = server.run(run_id)
    names = dict.fromkeys(row.name for row in rows)
    lacking = ({*names} - {*run.data.metrics}) | ({*params} - {*run.data.params})
    compared = {*[*names][:_COMPARED]} - lacking
    lacking |= {row.name for row in missing(server, run_id, [row for row in rows if row.name in compared])}
    return sorted(lacking - {each.partition(": ")[0] for each in refused})


def logged(
    server: Server, run_id: str, rows: Sequence[Row], params: Mapping[str, str], tags: Mapping[str, str]
) -> list[str]:
    """Log it; what MLflow refuses for good is said on the run, but for parameters that it has with another value.

    Returns:
        What it refused.
    """
    refused = server.log(run_id, rows, params, tags)
    said = [each for each in refused if not is_changed_param(each)]
    if said:
        server.log(run_id, tags={"outlast.refused": "; ".join(said)[:2000]})
    return refused
