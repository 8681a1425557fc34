"""Which of the names that a training uses is the one that the study file means.

Frameworks rename what a person calls ``accuracy``: Transformers prints ``eval_accuracy`` and logs ``eval/accuracy``, a
person prints ``Val Accuracy``. The exact name wins. Then the same name in another spelling, then the name behind a word
such as ``eval``, then the name at the end of a phrase; these only when there is exactly one candidate, because a wrong
metric is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from outlast.runner.capture.objective import Objective

_SEPARATORS = re.compile(r"[\W_]+")
_OWNER = re.compile(r"['’]s\b")  # LightGBM: valid_0's auc
_TRAIN = re.compile(r"\w*train(?:ing|set)?")  # LightGBM's and XGBoost's examples: dtrain
_VALIDATION = frozenset({"val", "valid", "validation"})
#: Words that frameworks and loggers put before a metric's name. ``train`` is none: training accuracy is another metric.
_PREFIXES = frozenset({"eval", "evaluation", "val", "valid", "validation", "dev", "test", "metric", "metrics"}).union(
    {"result", "results", "final", "score", "info", "warning", "debug", "root", "deval", "dval", "dvalid", "dtest"}
)


class Match(NamedTuple):
    """The name found; ``exact`` if it is the objective's own."""

    name: str
    exact: bool


def find_name(wanted: str, names: Iterable[str]) -> Match | None:
    """The one of these names that is meant, or ``None`` where there is none or more than one."""
    seen = list(names)
    if wanted in seen:
        return Match(wanted, exact=True)
    spelled = _canonical(wanted)
    candidates = _candidates(spelled, seen)
    return Match(candidates[0], exact=False) if len(candidates) == 1 else None


def rivals(wanted: str, names: Iterable[str]) -> list[str]:
    """The names of which each might be meant, where that is more than one."""
    found = _candidates(_canonical(wanted), list(names))
    return found if len(found) > 1 else []


def _candidates(spelled: str, seen: Sequence[str]) -> list[str]:
    for fits in (_spelled_otherwise, _validation_otherwise, _behind_prefix, _ends_phrase):
        candidates = [name for name in seen if fits(name, spelled)]
        if candidates:
            return candidates
    return []


def owners(objectives: Sequence[Objective], names: Iterable[str]) -> dict[str, str]:
    """Seen name → the objective it stands for."""
    seen = list(names)
    matches = ((objective.name, find_name(objective.name, seen)) for objective in objectives)
    return {match.name: name for name, match in matches if match is not None}


def nearest_names(wanted: str, names: Iterable[str], most: int = 3) -> list[str]:
    """The names most like the one wanted, for a message."""
    from difflib import get_close_matches

    by_spelling = {_canonical(name): name for name in names}
    close = get_close_matches(_canonical(wanted), by_spelling, n=most, cutoff=0.5)
    return [by_spelling[name] for name in close]


@lru_cache(maxsize=4096)
def _canonical(name: str) -> str:
    return _SEPARATORS.sub("_", _OWNER.sub("", name.lower())).strip("_")


def _spelled_otherwise(name: str, wanted: str) -> bool:
    return _canonical(name) == wanted


def _validation_otherwise(name: str, wanted: str) -> bool:
    return _VALIDATION & set(wanted.split("_")) != set() and _one_validation(_canonical(name)) == _one_validation(
        wanted
    )


def _one_validation(name: str) -> str:
    return "_".join("val" if word in _VALIDATION else word for word in name.split("_"))


def _behind_prefix(name: str, wanted: str) -> bool:
    before = _before(name, wanted)
    if before is None:
        return False
    words = before.split("_")
    if len(words) > 1 and words[-1].isdigit():  # XGBoost's validation_0, LightGBM's valid_0
        words.pop()
    return set(words) <= _PREFIXES


def _ends_phrase(name: str, wanted: str) -> bool:
    before = _before(name, wanted) if " " in name else None
    return before is not None and not any(map(_TRAIN.fullmatch, before.split("_")))


def _before(name: str, wanted: str) -> str | None:
    """What stands before the wanted name, or ``None`` if it does not end in it."""
    name = _canonical(name)
    return name[: -len(wanted) - 1] if name.endswith("_" + wanted) else None
