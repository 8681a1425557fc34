"""Studies and trials that Optuna ran, as plain values: whoever reads them from a storage, Optuna or we, says the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Protocol

from msgspec import Struct

from outlast.errors import StorageError
from outlast.optimizer.ranges import Range

#: Optuna's words for a trial's state and for an objective's goal (`optuna.trial.TrialState`, `optuna.study.StudyDirection`).
STATES = {word: word for word in ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")}
DIRECTIONS = {word: word for word in ("NOT_SET", "MINIMIZE", "MAXIMIZE")}
#: The system attribute that Optuna keeps a trial's constraints in: a list up to version 4, later each has one of its own.
_CONSTRAINTS = "constraints"


class PastStudy(Struct, frozen=True):
    """A study in a storage."""

    id: int  # by which the storage finds it
    name: str
    directions: tuple[str, ...]  # Optuna's words, one per objective
    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]


class PastTrial(Struct, frozen=True, gc=False):
    """A trial in a storage."""

    number: int
    state: str  # Optuna's word
    values: tuple[float, ...]  # one per objective; none where it has no result
    started: datetime | None  # in UTC, as the end is
    finished: datetime | None
    params: Mapping[str, Any]
    ranges: Mapping[str, Range]  # of each parameter, what it was drawn from
    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]
    curve: Mapping[int, float]  # step → value that was reported

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in ("RUNNING", "WAITING")

    @property
    def constraints(self) -> dict[str, float]:
        """Name → value, which is feasible up to 0; those that an earlier version kept in a list are named by their places."""
        if not self.system_attrs:
            return {}
        listed = self.system_attrs.get(_CONSTRAINTS)
        found = {str(place): value for place, value in enumerate(() if listed is None else listed)}
        named = ((key.removeprefix(f"{_CONSTRAINTS}:"), key) for key in self.system_attrs)
        return {**found, **{name: self.system_attrs[key] for name, key in named if name != key}}


class Source(Protocol):
    """An open storage."""

    @property
    def warnings(self) -> list[str]:
        """What people should know of how it was read."""

    def studies(self) -> list[PastStudy]:
        """All that it holds, by their ids. Raises `StorageError` where it does not hold what it should."""

    def trials(self, study_id: int) -> list[PastTrial]:
        """All of a study's, by their ids. Raises `StorageError` likewise."""


def in_utc(stored: str | datetime | None, *, local: bool) -> datetime | None:
    """A time as a database of Optuna's holds it.

    Optuna up to 4 stored what its clock on the wall said (`local`), Optuna 5 stores UTC; neither says so in the row.

    Raises:
        ValueError: It is none.
    """
    if stored is None:
        return None
    naive = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    if local or naive.tzinfo is not None:
        return naive.astimezone(timezone.utc)
    return naive.replace(tzinfo=timezone.utc)


def said_of_times(*, local: bool) -> list[str]:
    """What people should know where times are `local`."""
    return ["times were written in local time by an older Optuna: read as this machine's time zone"] if local else []


def unreadable(file: str, error: Exception) -> StorageError:
    """That a file does not hold what it should."""
    return StorageError(f"{file} cannot be read: {error}", cure="is it complete, and an Optuna storage?")
