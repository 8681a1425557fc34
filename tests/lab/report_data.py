"""What the page of a report shows of searches that never were."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from msgspec.structs import replace

from lab.searched import HOSTILE, a_search
from outlast.core.fold import Study
from outlast.monitor.snapshot import snapshot
from outlast.results.page_data import FromFiles, page_data
from outlast.results.report_facts import report_facts

MADE_AT = "2026-01-06T00:00:00+00:00"


def data_of(trials: int, **how: Any) -> dict[str, Any]:
    """What a page shows of a search of so many trials."""
    study, settings = a_search(trials, **how)
    mark = HOSTILE if how.get("hostile") else ""
    status = snapshot(study, settings, now=datetime.fromisoformat(MADE_AT).astimezone(timezone.utc)).to_json()
    facts = report_facts(study, settings)
    facts["importances"] = [{"name": f"lr{mark}", "value": 0.7, "low": 0.5, "high": 0.8}]
    files = replace(_files(study, mark), follow_ups=_follow_ups(mark) if mark else {})
    return page_data(study, settings, files, status=status, facts=facts, made_at=MADE_AT)


def _follow_ups(mark: str) -> dict[str, Any]:
    """As `confirmation.json`, `refit.json` and `evaluation.json` say it."""
    row = {
        "rank": 1, "trial": 3, "mean": 0.91, "low": 0.9, "high": 0.92, "std": 0.01, "n": 3, "failed": 1, "search_value": 0.93,
        "scores": {"1": 0.9, "2": None, "3": 0.92}, "dropped": {"after": 2, "by": 3}, "params": {},
        "behind": {"mean": 0.01, "low": -0.01, "high": 0.03},
    }  # fmt: skip
    confirm = {
        "metric": {"name": f"score{mark}"}, "final": True, "ranking": [row], "verdict": mark, "seeds_that_would_tell": 9,
        "best": {"trial": 3, "reason": mark},
    }  # fmt: skip
    training = {
        "trial": 0,
        "seed": 1,
        "state": "complete",
        "seconds": 3.0,
        "metrics": {f"loss{mark}": 0.1},
        "model": mark,
    }
    refit = {"trial": 3, "confirmed": True, "why": mark, "epochs": 7, "trainings": [training]}
    look = {"look": 1, "at": MADE_AT, "scores": {f"test{mark}": 0.9}, "models": [{}]}
    return {"confirm": confirm, "refit": refit, "evaluate": {"looked": 2, "looks": [look]}}


def _files(study: Study, mark: str) -> FromFiles:
    some = [number for number in study.trials if number < 300]
    return FromFiles(
        f"studies/digits{mark}",
        dict.fromkeys(some, f"epoch 0: val_accuracy=0.3\nepoch 1: {mark}"),
        dict.fromkeys(some, f"Traceback (most recent call last):\nValueError: {mark}"),
        {number: f"python train.py --seed {number} {mark}" for number in study.trials},
        f"trials/0001/checkpoints{mark}",
        ["torch==2.13.0"],
    )
