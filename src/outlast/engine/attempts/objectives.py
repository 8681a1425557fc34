"""The objectives of a study file as its trainings' reports are searched for them."""

from __future__ import annotations

from msgspec.structs import asdict

from outlast.config.settings import Settings
from outlast.runner.capture.objective import Objective


def objectives_of(settings: Settings) -> tuple[Objective, ...]:
    """What is looked for in reports."""
    return tuple(Objective.from_json(asdict(metric)) for metric in settings.metrics)
