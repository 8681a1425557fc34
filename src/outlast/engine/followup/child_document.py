"""The study file of a follow-up, made of its search's. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_NAME_LENGTH = 100  # of a study's name (`outlast.config.native`)
#: What a search has and its follow-ups have not: what to draw, when to give up, and the follow-ups themselves.
_OF_A_SEARCH = (
    "enqueue", "constraints", "derive", "pruner", "faults", "index", "confirm", "refit", "evaluate", "selection", "description",
)  # fmt: skip


def child_document(
    resolved: Mapping[str, Any], kind: str, changes: Mapping[str, Any], *, trials: int, folds_seed: int
) -> dict[str, Any]:
    """The study file, as plain data.

    Args:
        resolved: The search's.
        kind: Of follow-up.
        changes: See `outlast.engine.followup.child.Followup`.
        trials: How many it has; all count, whatever becomes of them, so that nothing is ever drawn.
        folds_seed: Of the search's folds, where its study file names none.
    """
    document = copy.deepcopy({key: value for key, value in resolved.items() if key not in _OF_A_SEARCH})
    usual = {
        "name": f"{resolved['name'][: _NAME_LENGTH - len(kind) - 1]}-{kind}",
        "sampler": "random",
        "code": "live",  # what the search took a copy of is run from that copy
        "metric": _without_target(document["metric"]),
        "trial": {"seeds": None},
    }
    document = _merged(_merged(document, usual), changes)
    document["budget"] = {"trials": max(1, trials), "count": ["complete", "pruned", "failed", "infeasible"]}
    folds = (document.get("trial") or {}).get("folds")
    if folds and "seed" not in folds:
        folds["seed"] = folds_seed
    return document


def _without_target(metric: Any) -> Any:
    """The metrics, without the value at which a search ends."""
    if isinstance(metric, Mapping):
        return {key: value for key, value in metric.items() if key != "target"}
    return [_without_target(each) for each in metric]


def _merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for key, value in changes.items():
        there = merged.pop(key, None)
        if isinstance(value, Mapping) and key != "metric":
            merged[key] = _merged(there if isinstance(there, Mapping) else {}, value)
        elif value is not None:
            merged[key] = value
    return {key: value for key, value in merged.items() if value != {} or key == "parameters"}
