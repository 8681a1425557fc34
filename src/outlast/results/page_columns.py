"""Trials, attempts and curves of a study as columns: what the page of a report draws from. Pure.

Ten thousand trials are ten thousand numbers a column, not ten thousand objects. Words that repeat are kept once (``words``, and
``at`` for each row which of them). Figures are rounded to what a chart can show; times are seconds since the first record.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from outlast.config.secrets import mask_text
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import Trial
from outlast.core.states import TrialState

_EXACT_CELLS = 50_000  # up to so many parameter values are shown with all their digits
_DIGITS = 6  # beyond
_CURVE_POINTS = 200_000  # of all curves together
_FEWEST_POINTS, _MOST_POINTS = 6, 200  # of one curve
_LONGEST_REASON, _SHORT_REASON = 300, 100  # characters; where there are many
_MANY = 2000  # trials


def trial_columns(study: Study, settings: Settings) -> dict[str, Any]:
    """Every trial, a column for each thing that is known of all of them.

    Args:
        study: The folded ledger.
        settings: In force.
    """
    trials, since = _in_order(study), _Since(study)
    names = [p.name for p in settings.parameters if not p.constant]
    names += sorted({name for trial in trials for name in trial.params} - set(names))
    exact = len(names) * len(trials) <= _EXACT_CELLS
    words = {p.name for p in settings.parameters if not p.constant and _are_words(p.shown.choices)}
    longest = _longest_reason(study)
    return {
        "number": [trial.number for trial in trials],
        "state": _words(trial.state.value for trial in trials),
        "cause": _words(trial.cause.value if trial.cause else "" for trial in trials),
        "reason": _words(_reasons([trial.reason for trial in trials], longest)),
        "source": _words(trial.source for trial in trials),
        "values": [[_value(trial, at) for trial in trials] for at in range(len(settings.metrics))],
        "params": {name: _column(name, trials, exact=exact, words=name in words) for name in names},
        "seconds": [_short(_seconds(trial)) for trial in trials],
        "gpu_seconds": [_short(sum(attempt.gpu_seconds for attempt in trial.attempts)) for trial in trials],
        "epochs": [sum(_epochs(trial)) for trial in trials],
        "started": [since(trial.started_at) for trial in trials],
        "finished": [since(trial.finished_at) for trial in trials],
        "seed": [trial.seed for trial in trials] if exact else [],
        "revision": [trial.revision for trial in trials],
        "feasible": [int(trial.feasible) for trial in trials],
    }


def attempt_columns(study: Study) -> dict[str, Any]:
    """Every attempt: of which row of the trials, where, when, and how it ended."""
    since, longest = _Since(study), _longest_reason(study)
    pairs = [(row, attempt) for row, trial in enumerate(_in_order(study)) for attempt in trial.attempts]
    ended = [attempt.outcome for _, attempt in pairs]
    return {
        "row": [row for row, _ in pairs],
        "number": [attempt.number for _, attempt in pairs],
        "slot": _words(attempt.slot for _, attempt in pairs),
        "opened": [since(attempt.opened_at) for _, attempt in pairs],
        "ended": [None if outcome is None else since(outcome.at) for outcome in ended],
        "seconds": [None if outcome is None else _short(outcome.seconds) for outcome in ended],
        "state": _words("running" if outcome is None else outcome.state.value for outcome in ended),
        "cause": _words("" if outcome is None else outcome.cause.value for outcome in ended),
        "reason": _words(_reasons(["" if outcome is None else outcome.reason for outcome in ended], longest)),
        "resumed": [int(attempt.resumed) for _, attempt in pairs],
        "host": _words("" if outcome is None else outcome.host for outcome in ended),
        "job": _words(attempt.job for _, attempt in pairs),
        "code": _words(attempt.code for _, attempt in pairs),
        "gpus": _words(", ".join(attempt.gpus) for _, attempt in pairs),
    }


def curve_columns(study: Study, running: Mapping[int, Mapping[int, float]] | None = None) -> list[list[Any] | None]:
    """The learning curve of each trial for the first objective, thinned where many are shown: steps and values.

    Steps that follow each other are told by the first of them alone.

    Args:
        study: The folded ledger.
        running: Trial → the curve of its attempt that runs, which the ledger does not have yet.
    """
    trials = _in_order(study)
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _CURVE_POINTS // max(1, len(trials))))
    return [_curve({**trial.curve(0), **(running or {}).get(trial.number, {})}, most) for trial in trials]


def parameters_of(settings: Settings) -> list[dict[str, Any]]:
    """The search space, for people: a row for each parameter."""
    rows: list[dict[str, Any]] = []
    for parameter in settings.parameters:
        shown = parameter.shown
        row: dict[str, Any] = {"name": parameter.name, "distribution": parameter.distribution}
        if parameter.constant:
            row["value"] = plain_json(parameter.value)
        elif shown.kind == "categorical":
            row["choices"] = [plain_json(choice) for choice in shown.choices[:200]]
        else:
            row |= {"low": plain_json(shown.low), "high": plain_json(shown.high), "log": shown.log}
            row |= {} if shown.step is None else {"step": plain_json(shown.step)}
        if parameter.when:
            row["when"] = {name: [plain_json(v) for v in values] for name, values in parameter.when.items()}
        rows.append(row)
    return rows


def _longest_reason(study: Study) -> int:
    return _SHORT_REASON if len(study.trials) > _MANY else _LONGEST_REASON


def _reasons(texts: Sequence[str], longest: int) -> Iterable[str]:
    """Without secrets, as anything that was printed, and only then cut: half of a secret is not known as one."""
    shown = {text: mask_text(text)[:longest] for text in set(texts)}
    return (shown[text] for text in texts)


def _in_order(study: Study) -> list[Trial]:
    return [study.trials[number] for number in sorted(study.trials)]


def _value(trial: Trial, objective: int) -> float | None:
    """A finished trial's value; of a pruned one its last report; none of one that has failed."""
    if trial.values is not None:
        return _short(trial.values[objective], 9) if objective < len(trial.values) else None
    curve = trial.curve(objective) if trial.state.value == "pruned" else {}
    return _short(curve[max(curve)]) if curve else None


def _seconds(trial: Trial) -> float | None:
    """Of training, once there is an end to tell it from."""
    return None if trial.state is TrialState.RUNNING and not trial.ended else trial.seconds


def _epochs(trial: Trial) -> Iterable[int]:
    """Reports of each attempt: one that was repeated counts again, for it was trained again."""
    return (max((len(curve) for curve in outcome.curves), default=0) for outcome in trial.ended)


def _curve(found: Mapping[int, float], most: int) -> list[Any] | None:
    points = sorted(found.items())
    if len(points) < 2:
        return None
    if len(points) > most:
        points = [points[round(at * (len(points) - 1) / (most - 1))] for at in range(most)]
    steps, values = [step for step, _ in points], [_short(value, 5) for _, value in points]
    return [steps[0] if steps == list(range(steps[0], steps[0] + len(steps))) else steps, values]


def _column(name: str, trials: Sequence[Trial], *, exact: bool, words: bool) -> Any:
    """Numbers as they are, anything else by its words; what a trial does not have is none, its ``null`` is a word."""
    if not words and all(_is_number(trial.params.get(name, 0)) for trial in trials):
        values = [trial.params.get(name) for trial in trials]
        return [value if isinstance(value, int) else _short(value, 17 if exact else _DIGITS) for value in values]
    return _words(_shown(trial.params[name]) if name in trial.params else None for trial in trials)


def as_columns_say(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a search space, with choices that are not all numbers spelled as in the columns of `trial_columns`."""
    return [
        {**row, "choices": [*map(_shown, row["choices"])]} if _are_words(row.get("choices")) else {**row}
        for row in rows
    ]


def _are_words(choices: Sequence[Any] | None) -> bool:
    return not all(map(_is_number, choices or ()))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(plain_json(value), ensure_ascii=False)


def _words(values: Iterable[str | None]) -> dict[str, Any]:
    """Texts by their place in a list of different ones; ``-1`` where there is none."""
    places: dict[str, int] = {}
    at = [-1 if value is None else places.setdefault(value, len(places)) for value in values]
    return {"words": list(places), "at": at}


def _short(value: float | None, digits: int = _DIGITS) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


class _Since:
    """Seconds from the study's first record to another one, to a tenth."""

    def __init__(self, study: Study) -> None:
        self._first = _moment(study.created_at)

    def __call__(self, at: str | None) -> float | None:
        moment = _moment(at)
        return None if moment is None or self._first is None else _short(round(moment - self._first, 1), 12)


def _moment(at: str | None) -> float | None:
    try:
        return datetime.fromisoformat(at or "").timestamp()
    except ValueError:
        return None
