"""A Python objective that is handed over: compared with that of the trials that are there, and kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct

from outlast._system.files import write_atomic
from outlast.api.said_lines import FRESH
from outlast.core.states import TrialState
from outlast.engine.objective_identity import Fingerprint, compared, fingerprint_of, pickled_objective, remember
from outlast.engine.record.examine import read_study
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths

GOES_ON = "accept_changes=True goes on all the same"


class HandedOver(Struct, frozen=True, dict=True):
    """An objective, whether it is called with a trial or with the parameters, and what is done around such a call."""

    objective: Callable[..., Any]
    takes_trial: bool
    around: Mapping[str, Any] = {}  # see `outlast.objective.process`

    @property
    def name(self) -> str:
        """What a study of it is called where nothing else is said."""
        found = getattr(self.objective, "__name__", type(self.objective).__name__)
        return str(found) if found.isidentifier() else "objective"

    @cached_property
    def _own(self) -> Fingerprint:
        return fingerprint_of(self.objective)

    @cached_property
    def _pickled(self) -> bytes:
        return pickled_objective(self.objective, takes_trial=self.takes_trial, around=self.around)

    def compared(self, paths: StudyPaths, folder: str, *, accept_changes: bool) -> str:
        """In what it differs from that of the trials that are there; what cannot travel is noticed here as well.

        Raises:
            UsageError: They are two objectives under one name.
        """
        difference = ""
        if paths.exists:
            results = bool(read_study(paths).in_state(TrialState.COMPLETE, TrialState.PRUNED))
            two, difference = compared(paths.root, self._own, results=results)
            if two and not accept_changes:
                fact = f"{folder} holds trials of another objective: {difference}"
                raise UsageError(fact, cure=f"name= keeps both, each in a folder of its own; {GOES_ON}; {FRESH}")
        _ = self._pickled
        return f"not the objective of the trials in {folder}: {difference}" if difference else ""

    def keep(self, paths: StudyPaths) -> None:
        """Put it where trials find it; the study is held."""
        write_atomic(paths.objective, self._pickled)
        remember(paths.root, self._own)
