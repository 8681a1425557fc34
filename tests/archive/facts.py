"""What a recorded study adds up to: what the looking commands say of it, its attempts, its budget. Changes nothing."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outlast.cli import showing
from outlast.core.budget import counted, remaining
from outlast.core.fold import Study, fold
from outlast.core.records import Attempt
from outlast.engine.record.look import look
from outlast.study.ledger import read_ledger

__all__ = ["facts_of", "shown", "study_of"]

#: Of the status: what depends on the moment, the place and the machine.
_PASSING = ("at", "dir", "next", "warnings", "eta", "rate_per_hour", "run", "jobs", "jobs_unknown")


def shown(folder: Path, what: str | None = None, *, as_json: bool = True) -> str:
    """What ``outlast show`` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        showing.show(str(folder), what, everything=True, as_json=as_json)
    return out.getvalue()


def study_of(folder: Path) -> Study:
    """The fold of its ledger."""
    return fold(read_ledger(folder / "ledger").events)


def facts_of(folder: Path) -> dict[str, Any]:
    """Everything that a later version must still say of it.

    Args:
        folder: The study's.
    """
    snapshot, study, settings = look(folder)
    status, budget = snapshot.to_json(), settings.budget
    for trial in status["running"]:
        del trial["seconds"]
    trials = json.loads(shown(folder))
    for trial in trials:
        del trial["command"]  # how a person would type it
    facts = {
        "version": next(_versions(folder)),
        "status": {key: value for key, value in status.items() if key not in _PASSING},
        "show": trials,
        "best": [trial["trial"] for trial in json.loads(shown(folder, "best"))],
        "failures": json.loads(shown(folder, "failures")),
        "attempts": {number: [_attempt(each) for each in trial.attempts] for number, trial in study.trials.items()},
        "counted": counted(study, budget.count),
        "remaining": remaining(study, budget.trials, budget.count),
        "runs": study.runs,
        "revisions": [list(revision.changes) for revision in study.revisions],
        "warned": sorted(study.warnings),
        "jobs": [[job.role, job.tasks] for job in study.jobs],
        "elapsed": round(study.elapsed_before, 3),
        "seed": study.study_seed,
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts), parse_constant=str)
    return plain


def _versions(folder: Path) -> Iterator[str]:
    return (event.version for event in read_ledger(folder / "ledger").events if event.kind == "study_created")


def _attempt(attempt: Attempt) -> dict[str, Any]:
    end = attempt.outcome
    facts = {"number": attempt.number, "resumed": attempt.resumed, "by": attempt.slot.split(":")[0], "job": attempt.job}
    if end is None:
        return facts
    return {
        **facts, "state": end.state.value, "cause": end.cause.value, "reason": end.reason, "signature": end.signature,
        "values": end.values, "part": end.part, "instead": end.instead, "last_step": end.last_step, "exit_code": end.exit_code,
        "signal": end.signal, "seconds": end.seconds, "curve": sorted(end.judged_curve().items()),
    }  # fmt: skip
