"""The runs of one study in MLflow: found by their tags, made where there is none, one of each kept."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping
from typing import Any

from outlast.tracking.mlflow_content import REMOVED_TAG, STUDY_TAG, TRIAL_TAG, child_name, milliseconds
from outlast.tracking.mlflow_server import Gone, Refused, Server
from outlast.tracking.sink import EverythingAgain, Memory, SinkError, TrackedStudy

_UNUSED, _TWICE = "made ahead and not used", "made twice"


class Runs:
    """Which run is the study's, and which are its trials'.

    Args:
        server: Where they are.
        experiment: The id of theirs.
        study: Whose.
        memory: Has the parent's id under ``parent``, each trial's by its number under ``runs``.
        tags: Of each one that is made.
    """

    def __init__(
        self, server: Server, experiment: str, study: TrackedStudy, memory: Memory, tags: Mapping[str, str]
    ) -> None:
        self._server, self.experiment, self._memory, self._tags = server, experiment, memory, tags
        self._study, self._created = study.identity, study.created
        self.parent: str | None = None
        self.children: dict[int, str] = {}
        self.is_new_to_us = False  # there were runs that we knew nothing of: what they hold is not known
        self._removed: dict[int, str] = {}  # children that we deleted ourselves, and may take back
        self._unused: list[int] = []  # trials that nobody had begun when all were looked for
        self._doubtful: set[int | None] = set()  # a run that was asked for without an answer; None: the parent

    @property
    def _data(self) -> dict[str, Any]:
        return self._memory.data

    @property
    def dropped(self) -> dict[str, bool]:
        """Trials whose run a person deleted: they stay so."""
        found: dict[str, bool] = self._data.setdefault("dropped", {})
        return found

    def find(self) -> None:
        """Look for all of them, and remove what was made twice.

        Which one is kept is durable before another is removed: whoever looks after we were killed in the middle decides the same.

        Raises:
            EverythingAgain: A run that was sent to is not there any more, and no person has deleted it.
        """
        found = self._server.runs([self.experiment], _filter(STUDY_TAG, self._study))
        parents, by_trial = _sorted_out([*found, *self._unfound({run.info.run_id for run in found})])
        known: dict[str, str] = self._data.get("runs", {})
        parent = _kept(parents, self._data.get("parent"))
        if parent is None and any(REMOVED_TAG not in run.data.tags for run in parents):
            cure = "restore it there, or leave `tracking:` out"
            raise SinkError("the study's run was deleted in MLflow", cure=cure, lasting=True)
        kept = {number: run for number, runs in by_trial.items() if (run := _kept(runs, known.get(str(number))))}
        for number, runs in by_trial.items():
            if number not in kept and any(REMOVED_TAG not in run.data.tags for run in runs):
                self.dropped[str(number)] = True
        if parent is not None:
            self.is_new_to_us = self.is_new_to_us or self._data.get("parent") != parent.info.run_id
            self._data["parent"] = parent.info.run_id
            self._data["runs"] = {str(number): run.info.run_id for number, run in kept.items()}
            self._memory.keep()
        self.parent = None if parent is None else parent.info.run_id
        self.children = {number: run.info.run_id for number, run in kept.items()}
        self._unused = [number for number, run in kept.items() if _is_unused(run)]
        self._removed = {number: _fullest(runs) for number, runs in by_trial.items() if number not in kept}
        self._doubtful.clear()
        for run in (run for runs in (parents, *by_trial.values()) for run in runs):
            if _is_active(run) and run.info.run_id not in (self.parent, *self.children.values()):
                self._server.delete(run.info.run_id, _TWICE, REMOVED_TAG)
        self._miss(parent is not None, {int(number): run_id for number, run_id in known.items()})

    def _unfound(self, found: Container[str]) -> list[Any]:
        """Runs that we know and a search did not find, as one that is some time behind; of another database there are none."""
        runs: list[Any] = []
        for run_id in [self._data.get("parent"), *self._data.get("runs", {}).values()]:
            if run_id and run_id not in found:
                try:
                    run = self._server.run(run_id)
                except (Gone, Refused):
                    if not runs and run_id == self._data.get("parent"):
                        break
                else:
                    runs += [run] if run.data.tags.get(STUDY_TAG) == self._study else []
        return runs

    def _miss(self, is_there: bool, known: Mapping[int, str]) -> None:
        sent = [*self._data.get("sent", {}), *self._data.get("has", {})]
        for number, run_id in known.items():
            lost = self.children.get(number) != run_id and str(number) not in self.dropped
            if is_there and lost and str(number) in sent:
                for each in ("sent", "has"):
                    self._data.get(each, {}).clear()
                self._data["doubt"] = {str(each): True for each in {*known, *self.children}}
                self._memory.keep()
                raise EverythingAgain(f"MLflow's run of trial {number} is another one now")

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
            self._data.get("runs", {}).pop(str(number), None)
            self._data.get("environment", {}).pop(str(number), None)
        self._memory.keep()  # no training is given one any more, before the first of them is gone
        for number in self._unused:
            self._server.delete(self._removed[number], _UNUSED, REMOVED_TAG)
        self._unused = []


def _is_active(run: Any) -> bool:
    return bool(run.info.lifecycle_stage == "active")


def _kept(runs: list[Any], known: str | None) -> Any:
    """The one that is kept: the one that we know, since a training may have been given it; else the fullest, the oldest."""
    active = [run for run in runs if _is_active(run)]
    return max(active, key=lambda run: (run.info.run_id == known, _content(run)), default=None)


def _fullest(runs: list[Any]) -> str:
    return str(max(runs, key=_content).info.run_id)


def _content(run: Any) -> tuple[int, int]:
    return len(run.data.metrics), len(run.data.params)


def _is_unused(run: Any) -> bool:
    return "outlast.state" not in run.data.tags and not run.data.metrics and not run.data.params


def _sorted_out(runs: list[Any]) -> tuple[list[Any], dict[int, list[Any]]]:
    """The study's own, and those of each trial."""
    parents: list[Any] = []
    by_trial: dict[int, list[Any]] = {}
    for run in runs:
        trial = run.data.tags.get(TRIAL_TAG)
        (parents if trial is None else by_trial.setdefault(int(trial), [])).append(run)
    return parents, by_trial


def _filter(tag: str, value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"tags.`{tag}` = {quote}{value}{quote}"
