"""Two versions of a study file: what differs, and whether a person must accept it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from outlast.config.secrets import mask_secrets
from outlast.space.space import flat

#: What a trial's value means: old and new trials compare only if these are the same.
_ACCEPT = (
    "name",
    "command",
    "function",
    "metric",
    "parameters",
    "constraints",
    "sampler",
    "pruner",
    "config",
    "derive",
    "trial.seeds",
    "trial.folds",
)
_LONGEST = 120


class Difference(Struct, frozen=True):
    """What changed, one line each, such as ``parameters.lr.max: 0.1 → 0.01``."""

    run_settings: tuple[str, ...] = ()  # apply at once
    needs_acceptance: tuple[str, ...] = ()  # make a new revision, when a person accepts them

    def __bool__(self) -> bool:
        return bool(self.run_settings or self.needs_acceptance)

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, what needs acceptance first."""
        return (*self.needs_acceptance, *self.run_settings)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """What differs between two resolved study files (`Settings.resolved`). Secrets are masked.

    Args:
        old: The version in force.
        new: The version at hand.
    """
    before, after = flat(mask_secrets(old)), flat(mask_secrets(new))
    run_settings: list[str] = []
    needs_acceptance: list[str] = []
    for key in dict.fromkeys((*before, *after)):
        if key in before and key in after and _same(before[key], after[key]):
            continue
        line = f"{key}: {_text(key, before)} → {_text(key, after)}"
        accept = any(key == root or key.startswith(f"{root}.") for root in _ACCEPT)
        (needs_acceptance if accept else run_settings).append(line)
    return Difference(tuple(run_settings), tuple(needs_acceptance))


def _same(old: Any, new: Any) -> bool:
    return json.dumps(old, sort_keys=True, default=str) == json.dumps(new, sort_keys=True, default=str)


def _text(key: str, flat: Mapping[str, Any]) -> str:
    if key not in flat:
        return "(not there)"
    value = flat[key]
    if key == "command" and isinstance(value, (list, tuple)):
        text = shlex.join(str(word) for word in value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
