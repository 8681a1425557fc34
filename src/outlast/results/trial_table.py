"""trials.csv, study_summary.csv and the facts of a study. Pure; `TrialTable` remembers the rows of finished trials.

The CSV is such that a spreadsheet opens it without running anything, and that Python reads it back.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.best import Objective, best_trial, best_trials, ranked, table_value
from outlast.core.budget import remaining
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState

_BEFORE = ("number", "state", "cause")
_AFTER = ("attempts", "seconds", "started_at", "finished_at", "seed", "revision", "code", "source", "reason")
_PREFIXES = ("attr.", "metric.")
_ABSENT: Any = object()  # a trial has no such value; one that is None has it
#: A script that prints a new name at every step must not make a column of each.
_MOST_OTHER_COLUMNS = 64
# What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection"), full-width ones too.
_FORMULA = re.compile("^[=+\\-@\t\n＝＋－＠]")
_SUSPECT = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_QUOTED = re.compile('["\\s]')
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


class _Row(Struct, frozen=True):
    fingerprint: tuple[Any, ...]
    params: frozenset[str]
    others: frozenset[str]
    text: str


class TrialTable:
    """The content of trials.csv: one row per finished trial, by number.

    Columns: ``number, state, cause``, then ``value`` (or one column per objective), the parameters by their dotted
    names, ``attempts … reason``, then what the objective noted as ``attr.NAME``, and every other metric's last value
    as ``metric.NAME``. A parameter whose name is taken by another column is called ``param.NAME``. Rows are rendered
    once and again only when a trial or the columns change.
    """

    def __init__(self, settings: Settings) -> None:
        self._metrics = settings.metrics
        self._drawn = [parameter.name for parameter in settings.parameters if parameter.latent is not None]
        self._rows: dict[int, _Row] = {}
        self._param_uses: Counter[str] = Counter()
        self._other_uses: Counter[str] = Counter()
        self._columns: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def render(self, study: Study) -> str:
        """The whole file."""
        params, others = self._bring_up_to_date(study)
        return self._header(params, others) + "".join(self._rows[number].text for number in sorted(self._rows))

    def _bring_up_to_date(self, study: Study) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Every row under the columns that there are now, which are returned."""
        changed = self._take_in(study)
        params, others = columns = self._choose_columns()
        if columns != self._columns:
            self._columns = columns
            changed = list(self._rows)
        for number in changed:
            old = self._rows[number]
            values = self._values(study.trials[number], params, others)
            text = row("" if value is _ABSENT else cell(value) for value in values)
            self._rows[number] = _Row(old.fingerprint, old.params, old.others, text)
        return columns

    def render_ranked(self, study: Study) -> str:
        """The content of study_summary.csv: the same rows with a ``rank``, best first (`ranked`)."""
        columns = self._bring_up_to_date(study)
        finished = [trial.number for trial in ranked(study, self._metrics) if trial.number in self._rows]
        rows = (f"{rank},{self._rows[number].text}" for rank, number in enumerate(finished, start=1))
        return f"rank,{self._header(*columns)}" + "".join(rows)

    def _take_in(self, study: Study) -> list[int]:
        changed = []
        for number in [n for n in self._rows if n not in study.trials or not study.trials[n].state.finished]:
            self._forget(number)
        for number, trial in study.trials.items():
            if not trial.state.finished:
                continue
            fingerprint = (trial.state, trial.cause, trial.finished_at, len(trial.attempts))
            known = self._rows.get(number)
            if known is not None and known.fingerprint == fingerprint:
                continue
            if known is not None:
                self._forget(number)
            names = frozenset(self._others(trial))
            self._rows[number] = _Row(fingerprint, frozenset(trial.params), names, "")
            self._param_uses.update(trial.params.keys())
            self._other_uses.update(names)
            changed.append(number)
        return changed

    def _forget(self, number: int) -> None:
        old = self._rows.pop(number)
        self._param_uses.subtract(old.params)
        self._other_uses.subtract(old.others)

    def _choose_columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Sorted beyond the declared parameters, so that a rebuilt file equals one that grew."""
        extra = sorted(name for name, uses in self._param_uses.items() if uses > 0 and name not in self._drawn)
        seen = sorted((name for name, uses in self._other_uses.items() if uses > 0))
        if len(seen) > _MOST_OTHER_COLUMNS:
            seen.sort(key=lambda name: (-self._other_uses[name], name))
            seen = sorted(seen[:_MOST_OTHER_COLUMNS])
        return (*self._drawn, *extra), tuple(seen)

    def _others(self, trial: Trial) -> dict[str, Any]:
        """What a trial has beside its parameters and scores, by column."""
        if not trial.user_attrs and not trial.ended:
            return {}
        objectives = {metric.name for metric in self._metrics}
        measured = {f"metric.{name}": value for name, value in trial.metrics.items() if name not in objectives}
        return {**{f"attr.{name}": value for name, value in trial.user_attrs.items()}, **measured}

    def _header(self, params: Sequence[str], others: Sequence[str]) -> str:
        return row(cell(name) for name in self._names(params, others))

    def _names(self, params: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        values = ("value",) if len(self._metrics) == 1 else tuple(metric.name for metric in self._metrics)
        taken = {"rank", *_BEFORE, *values, *_AFTER}
        names = [f"param.{name}" if name in taken or name.startswith(_PREFIXES) else name for name in params]
        return (*_BEFORE, *values, *names, *_AFTER, *others)

    def _values(self, trial: Trial, params: Sequence[str], others: Sequence[str]) -> list[Any]:
        found = self._others(trial)
        values = (table_value(trial, self._metrics, objective) for objective in range(len(self._metrics)))
        return [
            trial.number,
            trial.state.value,
            trial.cause.value if trial.cause is not None else _ABSENT,
            *(_ABSENT if value is None else value for value in values),
            *(trial.params.get(name, _ABSENT) for name in params),
            len(trial.attempts),
            round(trial.seconds, 3),
            trial.started_at or _ABSENT,
            trial.finished_at or _ABSENT,
            trial.seed,
            trial.revision,
            trial.code,
            trial.source,
            trial.reason,
            *(found.get(name, _ABSENT) for name in others),
        ]

    def columns(self, study: Study) -> dict[str, list[Any]]:
        """The same columns with their values as they are, over all trials by number, unfinished ones as well.

        What a trial does not have is ``None``.
        """
        trials = [study.trials[number] for number in sorted(study.trials)]
        self._take_in(study)
        params, others = self._choose_columns()
        params = (*params, *sorted({name for trial in trials for name in trial.params} - set(params)))
        rows = [self._values(trial, params, others) for trial in trials]
        names = self._names(params, others)
        return {
            name: [None if values[at] is _ABSENT else values[at] for values in rows] for at, name in enumerate(names)
        }


def cell(value: Any) -> str:
    """One value as text: numbers exact, ``true``, ``null`` and lists as JSON, no text that becomes a formula."""
    if isinstance(value, bool) or value is None or isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, (int, float)):
        return repr(value)
    if type(value) is str and value.isascii() and value.isprintable() and not value.startswith(_SUSPECT):
        return value  # as nearly all are
    text = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value))
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def row(cells: Iterable[str]) -> str:
    """One line of a CSV file, quoted where needed, with its newline."""
    cells = list(cells)
    line = ",".join(cells)
    if len(cells) > 1 and line.count(",") == len(cells) - 1 and not _QUOTED.search(line):
        return f"{line}\n"  # as nearly all are: a writer for each row is most of what a table costs
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def study_summary(study: Study, settings: Settings) -> list[tuple[str, Any]]:
    """The facts of a study as (key, value) pairs; what is not known yet is an empty text. Seconds are rounded."""
    counts, budget = study.counts(), settings.budget
    left = remaining(study, budget.trials, budget.count)
    outcomes = [a.outcome for trial in study.trials.values() for a in trial.attempts if a.outcome is not None]
    training_seconds = sum(outcome.seconds for outcome in outcomes)
    return [
        ("study", study.name or settings.name),
        ("created_at", study.created_at),
        ("metric", ", ".join(metric.name for metric in settings.metrics)),
        ("goal", ", ".join(metric.goal for metric in settings.metrics)),
        ("target", "" if budget.trials is None else budget.trials),
        ("counts", ", ".join(budget.count)),
        *((state.value, counts[state]) for state in TrialState),
        ("remaining", "" if left is None else left),
        *_best_facts(study, settings.metrics),
        ("first_started_at", min((t.started_at for t in study.trials.values() if t.started_at), default="")),
        ("last_finished_at", max((t.finished_at for t in study.trials.values() if t.finished_at), default="")),
        ("ended_runs_seconds", round(study.elapsed_before, 1)),
        ("training_seconds", round(training_seconds, 1)),
        ("gpu_hours", round(study.gpu_seconds / 3600, 3)),
        ("attempts", sum(len(trial.attempts) for trial in study.trials.values())),
        ("interruptions", sum(outcome.state is TrialState.INTERRUPTED for outcome in outcomes)),
        ("runs", study.runs),
        ("revisions", len(study.revisions)),
        ("sampler", settings.sampler.name),
        ("pruner", settings.pruner.name),
        ("state", study.ended.state if study.ended is not None else ""),
    ]


def _best_facts(study: Study, metrics: Sequence[Objective]) -> list[tuple[str, Any]]:
    best = best_trial(study, metrics)
    facts: list[tuple[str, Any]] = [("best_trial", "" if best is None else best.number)]
    if len(metrics) == 1:
        return [*facts, ("best_value", "" if best is None or best.value is None else best.value)]
    values = best.values if best is not None and best.values is not None else ("",) * len(metrics)
    front = best_trials(study, metrics)
    facts += [(f"best_{metric.name}", value) for metric, value in zip(metrics, values, strict=False)]
    return [*facts, ("pareto_front", " ".join(str(trial.number) for trial in front))]
