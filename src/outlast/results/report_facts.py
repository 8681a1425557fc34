"""What a report says beside its tables: the analysis, importances, failures, and what went wrong and was mended. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from outlast.analysis.summary import analyse
from outlast.config.secrets import mask_text
from outlast.config.settings import Settings
from outlast.core.best import ranked
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.results.configuration import configuration
from outlast.results.failures import group_failures

_MOST_INCIDENTS = 500
_MOST_TOP = 10
_MOST_TRIALS = 20  # named of a fault
#: What ends an attempt without anything having gone wrong.
_IN_ORDER = (Cause.COMPLETED, Cause.PART, Cause.PRUNED, Cause.IMPORTED, Cause.SPACE_CHANGED, Cause.CONSTRAINT)


class Weighed(Protocol):
    """A parameter's importance, as `outlast.optimizer.importances.Importance` has it."""

    @property
    def parameter(self) -> str:
        """Its name."""

    @property
    def share(self) -> float:
        """Of what explains who is among the best."""

    @property
    def low(self) -> float:
        """Of its interval."""

    @property
    def high(self) -> float:
        """Of its interval."""


def report_facts(
    study: Study,
    settings: Settings,
    *,
    importances: Iterable[Weighed] = (),
    running: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """What the trials of a study say, as plain data.

    Args:
        study: The folded ledger.
        settings: In force.
        importances: Of its parameters for the first objective, largest first, where somebody worked them out.
        running: Trial → seconds that its open attempt has trained so far.

    Returns:
        ``analysis`` (`outlast.analysis.summary.Analysis`), ``importances`` (``name``, ``value``, ``low``, ``high``) with
        ``importances_note``, ``failures`` (groups, largest first), ``incidents`` (in the order of time, the
        latest; ``incidents_before`` is how many there were before those), ``top`` (the ten best
        complete trials: ``trial``, ``values``, ``params``), ``when`` (first start, last end), ``runs_each`` (how many
        seeds and folds a trial's value is the mean of), ``drawn`` (the parameters that the objective drew as it went, as a
        report's ``space`` has those of a study file).
    """
    found = analyse(study, settings.parameters, settings.metrics, sampler=settings.sampler.name, running=running)
    happened = incidents(study)
    return {
        "analysis": found.to_json(),
        "importances": [
            {"name": each.parameter, "value": each.share, "low": each.low, "high": each.high} for each in importances
        ],
        "importances_note": (
            f"The share of each parameter in what decides whether a trial is among the best tenth by {settings.metrics[0].name} "
            "(PED-ANOVA), with the interval of nine of ten resamples of the trials."
        ),
        "failures": [_failure(group) for group in group_failures(study)],
        "incidents": happened[-_MOST_INCIDENTS:],
        "incidents_before": len(happened[:-_MOST_INCIDENTS]),
        "top": [
            {
                "trial": each.number,
                "values": plain_json(each.values),
                "params": plain_json(configuration(each, study, settings)),
            }
            for each in ranked(study, settings.metrics, _MOST_TOP)
            if each.state is TrialState.COMPLETE and each.values is not None
        ],
        "runs_each": max(1, len(settings.trial.seeds)) * int((settings.trial.folds or {}).get("n", 1)),
        "drawn": drawn_space(study),
        "when": [
            min((t.started_at for t in study.trials.values() if t.started_at), default=None),
            max((t.finished_at for t in study.trials.values() if t.finished_at), default=None),
        ],
    }


def incidents(study: Study) -> list[dict[str, Any]]:
    """What happened to a search beside its trials' own ends, in the order of time: versions of the study file, faults and what
    became of the trials that they hit, how it ended. Faults that are alike are told once.

    Returns:
        ``at`` (UTC), ``what`` (``revision``, ``fault``, ``ended``), ``text``, and for a fault ``cause``, ``trials`` (the first
        ones that it hit), ``times`` and ``until`` (when it happened last).
    """
    found: list[dict[str, Any]] = [
        {"at": each.at, "what": "revision", "text": mask_text("; ".join(each.changes)) or f"version {each.number}"}
        for each in study.revisions[1:]
    ]
    alike: dict[tuple[str, str, str], list[tuple[str, int, AttemptEnded]]] = {}
    for trial in study.trials.values():
        for attempt in trial.attempts:
            outcome = attempt.outcome
            if outcome is not None and outcome.cause not in _IN_ORDER:
                kind = (outcome.cause.value, re.sub(r"\d+", "N", outcome.reason), _became(trial, attempt))
                alike.setdefault(kind, []).append((outcome.at, trial.number, outcome))
    found += [_fault(became, sorted(hits, key=lambda hit: hit[:2])) for (_, _, became), hits in alike.items()]
    if study.ended is not None:
        reason = f": {study.ended.reason}" if study.ended.reason else ""
        found.append({"at": study.ended.at, "what": "ended", "text": mask_text(f"{study.ended.state}{reason}")})
    return sorted(found, key=lambda each: str(each["at"]))


def _became(trial: Trial, attempt: Attempt) -> str:
    later = [other for other in trial.attempts if other.number > attempt.number]
    if not later:
        return trial.state.value
    how = "went on from its checkpoint" if any(other.resumed for other in later) else "began again"
    return f"{how}, {trial.state.value} now" if trial.state is not TrialState.COMPLETE else f"{how}, complete"


def _fault(became: str, hits: Sequence[tuple[str, int, AttemptEnded]]) -> dict[str, Any]:
    at, number, first = hits[0]
    where = f" on {first.host}" if first.host else ""
    reason = f": {first.reason}" if first.reason else ""
    more = f"; {len(hits) - 1} more like it" if len(hits) > 1 else ""
    return {
        "at": at,
        "what": "fault",
        "cause": first.cause.value,
        "trials": [number for _, number, _ in hits[:_MOST_TRIALS]],
        "times": len(hits),
        "until": hits[-1][0],
        "text": mask_text(f"trial {number} {first.cause.value.replace('_', ' ')}{where}{reason}; {became}{more}"),
    }


def drawn_space(study: Study) -> list[dict[str, Any]]:
    """The parameters that the objective drew as it went, by their names, as a report's ``space`` has those of a study file.

    From the JSON texts of Optuna's distributions; of one that changed, the latest.

    Args:
        study: The folded ledger.
    """
    latest: dict[str, str] = {}
    for trial in study.trials.values():
        if trial.distributions:
            latest.update(trial.distributions)
    rows = []
    for name, text in latest.items():
        told = json.loads(text)
        figures, kind = told.get("attributes", {}), str(told.get("name", "")).removesuffix("Distribution").lower()
        row: dict[str, Any] = {"name": name, "distribution": kind}
        if "choices" in figures:
            row["choices"] = plain_json(figures["choices"])
        else:
            row |= {key: plain_json(figures[key]) for key in ("low", "high", "log")}
            row |= {"step": figures["step"]} if figures.get("step") not in (None, 1) else {}
        rows.append(row)
    return rows


def _failure(group: Any) -> dict[str, Any]:
    plain: dict[str, Any] = plain_json(
        {
            "signature": group.signature,
            "cause": group.cause.value,
            "reason": mask_text(group.reason),
            "trials": list(group.trials),
            "shared": dict(group.shared),
            "ranges": [{"parameter": name, "is": sign, "than": bound} for name, sign, bound in group.ranges],
        }
    )
    return plain
