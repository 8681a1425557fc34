"""What a study's trials say, importances included, for whoever writes a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.results.report_facts import report_facts


def facts_of(
    study: Study, settings: Settings, *, running: Mapping[int, float] | None = None, weighed: bool = True
) -> dict[str, Any]:
    """`report_facts` with the importances of the parameters, which load Optuna.

    Args:
        study: The folded ledger.
        settings: In force.
        running: Trial → seconds that its open attempt has trained so far.
        weighed: Whether importances are wanted: of ten thousand trials they take some seconds.
    """
    from outlast.optimizer.importances import importances  # loads NumPy, and most of the time nobody asks

    return report_facts(study, settings, importances=importances(study, settings) if weighed else (), running=running)
