"""A trial's whole configuration: what was drawn and what is constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.space.parameters import Parameter


def configuration(trial: Trial, study: Study, settings: Settings) -> dict[str, Any]:
    """Every parameter of a trial, dotted names to values, in the study file's order; then what was derived from them.

    Constants are those of the revision under which the trial was created; a constant whose ``when`` does not hold is
    left out.
    """
    constants = _constants(trial, study, settings)
    values = dict(trial.params)
    found = True
    while found:  # a constant may hang on another constant
        found = False
        for parameter in constants:
            if parameter.name not in values and _active(parameter, values):
                values[parameter.name] = parameter.value
                found = True
    values |= {**trial.derived, **trial.instead}  # what it ran with in the end
    order = [parameter.name for parameter in settings.parameters if parameter.name in values]
    return {name: values[name] for name in (*order, *(name for name in values if name not in set(order)))}


def _constants(trial: Trial, study: Study, settings: Settings) -> list[Parameter]:
    current = study.revision
    constants = [parameter for parameter in settings.parameters if parameter.latent is None]
    if current is None or trial.revision == current.number:
        return constants
    recorded = next((revision.settings for revision in study.revisions if revision.number == trial.revision), None)
    if recorded is None:
        return constants
    conditions = {parameter.name: parameter.when for parameter in constants}
    return [
        Parameter(name, "constant", value=definition["value"], when=conditions.get(name))
        for name, definition in recorded.get("parameters", {}).items()
        if "value" in definition
    ]


def _active(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    return all(
        name in values and any(_same(values[name], allowed) for allowed in choices)
        for name, choices in (parameter.when or {}).items()
    )


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
