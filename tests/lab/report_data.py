"""What the page of a report shows of searches that never were."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

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
    follow_ups = {"confirm": {f"verdict{mark}": mark, "ranking": [{"trial": 3, "mean": 0.91}]}} if mark else {}
    return page_data(study, settings, _files(study, mark), status=status, facts=facts, made_at=MADE_AT) | follow_ups


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
