"""The runs of one study in MLflow: found by their tags, made where there is none, one of each kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from outlast.tracking.mlflow_content import REMOVED_TAG, STUDY_TAG, TRIAL_TAG, child_name, milliseconds
from outlast.tracking.mlflow_server import Server
from outlast.tracking.sink import SinkError, TrackedStudy

_UNUSED, _TWICE = "made ahead and not used", "made twice"


class Runs:
    """Which run is the study's, and which are its trials'.

    Args:
        server: Where they are.
        experiment: The id of theirs.
        study: Whose.
        data: What is remembered: the parent's id under ``parent``, each trial's by its number under ``runs``.
        tags: Of each one that is made.
    """

    def __init__(
        self, server: Server, experiment: str, study: TrackedStudy, data: dict[str, Any], tags: Mapping[str, str]
    ) -> None:
        self._server, self.experiment, self._data, self._tags = server, experiment, data, tags
        self._study, self._created = study.identity, study.created
        self.parent: str | None = None
        self.children: dict[int, str] = {}
        self.is_new_to_us = False  # there were runs that we knew nothing of: what they hold is not known
        self._removed: dict[int, str] = {}  # children that we deleted ourselves, and may take back
        self._unused: list[int] = []  # trials that nobody had begun when all were looked for
        self._doubtful: set[int | None] = set()  # a run that was asked for without an answer; None: the parent

    @property
    def dropped(self) -> dict[str, bool]:
        """Trials whose run a person deleted: they stay so."""
        found: dict[str, bool] = self._data.setdefault("dropped", {})
        return found

    def find(self) -> None:
        """Look for all of them, and remove what was made twice."""
        by_trial = _sorted_out(self._server.runs([self.experiment], _filter(STUDY_TAG, self._study)))
        known: dict[str, str] = self._data.setdefault("runs", {})
        parents = by_trial.pop(None, [])
        parent = self._one_of(parents, self._data.get("parent"))
        if parent is None and any(REMOVED_TAG not in run.data.tags for run in parents):
            raise SinkError(
                "the study's run was deleted in MLflow", cure="restore it there, or leave `tracking:` out", lasting=True
            )
        if parent is not None and self._data.get("parent") != parent:
            self.is_new_to_us = True
        self.parent = parent
        self.children, self._removed, self._unused = {}, {}, []
        for number, runs in by_trial.items():
            assert number is not None
            if (one := self._one_of(runs, known.get(str(number)))) is not None:
                self.children[number] = one
                self._unused += [number for run in runs if run.info.run_id == one and _is_unused(run)]
                self.dropped.pop(str(number), None)
                continue
            ours = [run for run in runs if run.data.tags.get(REMOVED_TAG) == _UNUSED]
            if ours:
                self._removed[number] = ours[0].info.run_id
            elif any(REMOVED_TAG not in run.data.tags for run in runs):
                self.dropped[str(number)] = True
        if self.parent is not None:
            self._data.update(parent=self.parent, runs={str(number): run for number, run in self.children.items()})
        self._doubtful.clear()

    def _one_of(self, runs: list[Any], known: str | None) -> str | None:
        """The one that is kept: the one that we know, since a training may have been given it; else the fullest, the oldest."""
        active = [run for run in runs if run.info.lifecycle_stage == "active"]
        if not active:
            return None
        best = max(
            enumerate(active),
            key=lambda each: (
                each[1].info.run_id == known,
                len(each[1].data.metrics),
                len(each[1].data.params),
                -each[0],
            ),
        )[1]
        for run in active:
            if run is not best:
                self._server.delete(run.info.run_id, _TWICE, REMOVED_TAG)
        return str(best.info.run_id)

    def make_parent(self, name: str) -> None:
        """Make the study's run."""
        self.parent = self._made(None, name, milliseconds(self._created), {})
        self._data["parent"] = self.parent

    def make_child(self, number: int, began: float | None) -> None:
        """Make a trial's run where there is none and nobody has deleted it.

        Args:
            number: The trial's.
            began: Seconds since 1970, UTC; ``None``: it is still to come.
        """
        if number in self.children or str(number) in self.dropped:
            return
        if number in self._doubtful:
            self.find()
            if number in self.children:
                return
        if number in self._removed:
            self._server.restore(self._removed[number], REMOVED_TAG)
            self.children[number] = self._removed.pop(number)
        else:
            tags = {TRIAL_TAG: str(number), "mlflow.parentRunId": str(self.parent)}
            at = milliseconds(time.time() if began is None else began)
            self.children[number] = self._made(number, child_name(number), at, tags)
            if began is None:
                self._server.status(self.children[number], "SCHEDULED")
        self._data.setdefault("runs", {})[str(number)] = self.children[number]

    def _made(self, number: int | None, name: str, at: int, tags: Mapping[str, str]) -> str:
        try:
            return self._server.create(self.experiment, name, at, {**self._tags, STUDY_TAG: self._study, **tags})
        except SinkError:
            self._doubtful.add(number)
            raise

    def drop(self, number: int) -> None:
        """A person deleted it."""
        self.dropped[str(number)] = True
        self.children.pop(number, None)
        self._data.get("runs", {}).pop(str(number), None)

    def remove_unused(self) -> None:
        """Delete the runs of trials that nobody had begun when `find` looked."""
        for number in self._unused:
            self._removed[number] = self.children.pop(number)
            self._server.delete(self._removed[number], _UNUSED, REMOVED_TAG)
            self._data.get("runs", {}).pop(str(number), None)
            self._data.get("environment", {}).pop(str(number), None)
        self._unused = []


def _is_unused(run: Any) -> bool:
    return run.info.status == "SCHEDULED" and "outlast.state" not in run.data.tags and not run.data.metrics


def _sorted_out(runs: list[Any]) -> dict[int | None, list[Any]]:
    found: dict[int | None, list[Any]] = {}
    for run in runs:
        trial = run.data.tags.get(TRIAL_TAG)
        found.setdefault(None if trial is None else int(trial), []).append(run)
    return found


def _filter(tag: str, value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"tags.`{tag}` = {quote}{value}{quote}"
