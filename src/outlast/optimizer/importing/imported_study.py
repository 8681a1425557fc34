"""Taking in studies that Optuna ran: states, parameters, curves and times, as events of a ledger."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from msgspec import Struct

from outlast.config.store_address import masked_address
from outlast.core.nearest import nearest
from outlast.core.plain_json import plain_json
from outlast.core.records import AttemptEnded, AttributeSet, Event, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.errors import StudyNotFound
from outlast.optimizer.importing.import_sources import opened
from outlast.optimizer.importing.past_studies import PastStudy, PastTrial, Source
from outlast.optimizer.index.index_rows import OURS, split_attrs
from outlast.optimizer.ranges import Range, latent_of
from outlast.space.distributions import Latent, multiple

#: A stepped range that our words cannot say is written as its values, up to this many.
LISTED = 1_000
_WAS_RUNNING = "was running in the study that it was imported from"


class ImportedStudy(Struct, frozen=True):
    """A study read from an Optuna storage."""

    name: str
    directions: tuple[str, ...]  # maximize or minimize, one per objective
    metric_names: tuple[str, ...]  # as the study names its objectives; empty where it does not
    parameters: dict[str, dict[str, Any]]  # the space in our dialect; what was seen, with conditions where they show
    events: tuple[Event, ...]  # a TrialCreated and an AttemptEnded per trial, numbered from 0 without gaps
    #: waiting, or begun and nothing else drawn; not all parameters need be there
    enqueued: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()  # what could not be taken in as it was


def import_storage(url_or_path: str, study_name: str | None = None) -> ImportedStudy:
    """Read one study; the storage is never changed, not even to upgrade it.

    Args:
        url_or_path: A SQLite file, ``sqlite:///path?timeout=60``, a journal file, or any URL that Optuna takes.
        study_name: Which one, if it holds several.

    Raises:
        StudyNotFound: No such file or study, or several and none named: the message lists them.
        UsageError: Not a storage of Optuna's.
        StorageError: It cannot be read.
    """
    with opened(url_or_path) as source:
        study = _chosen(source, masked_address(url_or_path), study_name)
        return _imported(study, source.trials(study.id), list(source.warnings))


def _chosen(source: Source, place: str, study_name: str | None) -> PastStudy:
    studies = {study.name: study for study in source.studies()}
    if not studies:
        raise StudyNotFound(f"{place} holds no study")
    if study_name is None:
        if len(studies) > 1:
            raise StudyNotFound(
                f"{place} holds {len(studies)} studies: {', '.join(sorted(studies))}",
                cure="say which with --study-name NAME",
            )
        return next(iter(studies.values()))
    if study_name not in studies:
        raise StudyNotFound(
            f"{place} holds no study {study_name}; it holds {', '.join(sorted(studies))}",
            cure=nearest(study_name, studies),
        )
    return studies[study_name]


def _imported(study: PastStudy, trials: Sequence[PastTrial], warnings: list[str]) -> ImportedStudy:
    rows = sorted((t for t in trials if t.state != "WAITING"), key=lambda t: t.number)
    partial = _partial(rows)
    again = {t.number for t in rows if t.number in partial and t.system_attrs.get("fixed_params")}
    nothing = [t.number for t in rows if t.number in partial and not t.params and t.number not in again]
    if nothing:
        numbers = ", ".join(map(str, nothing))
        warnings.append(f"trial {numbers} was running and had drawn nothing yet: left out")
    rows = [t for t in rows if t.number not in again and t.number not in nothing]
    parameters = _parameters(rows, warnings)
    events: list[Event] = []
    for number, trial in enumerate(rows):
        events += _events(number, trial, parameters, partial=trial.number in partial)
    waiting = sorted((t for t in trials if t.state == "WAITING" or t.number in again), key=lambda t: t.number)
    enqueued = [_snapped({**t.system_attrs.get("fixed_params", {}), **t.params}, parameters) for t in waiting]
    return ImportedStudy(
        name=study.name,
        directions=tuple(word.lower() for word in study.directions),
        metric_names=tuple(study.system_attrs.get("study:metric_names") or ()),
        parameters=parameters,
        events=tuple(events),
        enqueued=tuple(params for params in enqueued if params),
        warnings=tuple(warnings),
    )


def _partial(rows: Sequence[PastTrial]) -> set[int]:
    """Running trials whose process died before all their parameters were drawn. (Ours draw the rest as they go on.)"""
    finished = {frozenset(t.params) for t in rows if t.over and t.state != "FAIL"}
    drawn = {frozenset(t.params) for t in rows}
    whole = finished or {names for names in drawn if not any(names < others for others in drawn)}
    return {
        t.number
        for t in rows
        if t.state == "RUNNING" and OURS not in t.system_attrs and (not t.params or frozenset(t.params) not in whole)
    }


# -- trials --------------------------------------------------------------------------------------------------------


def _events(
    number: int, trial: PastTrial, parameters: Mapping[str, Mapping[str, Any]], *, partial: bool
) -> list[Event]:
    started, finished = trial.started, trial.finished
    at = _record_time(started or finished)
    state, cause, reason = _outcome(trial)
    if partial:  # there is nothing of it to go on with, and it says nothing against what it had drawn
        state, cause, reason = TrialState.FAILED, Cause.LOST, f"{_WAS_RUNNING}, and had not drawn all its parameters"
    ours, noted = _split(trial)
    hidden = ours.get("params")
    params = {**trial.params, **(hidden if isinstance(hidden, dict) else {})}
    curve = tuple((int(step), float(value)) for step, value in sorted(trial.curve.items()))
    values = tuple(map(float, trial.values)) if trial.values and state is TrialState.COMPLETE else None
    return [
        TrialCreated(trial=number, at=at, params=_snapped(params, parameters), source="imported"),
        *(AttributeSet(number, name, json.dumps(value)) for name, value in noted.items()),
        *(AttributeSet(number, name, json.dumps(value), system=True) for name, value in _for_optuna(trial).items()),
        AttemptEnded(
            trial=number,
            attempt=1,
            at=_record_time(finished) if finished else at,
            state=state,
            cause=cause,
            reason=reason,
            values=values,
            curves=(curve,) if curve else (),
            seconds=max((finished - started).total_seconds(), 0.0) if started and finished else 0.0,
            source="imported",
            last_step=curve[-1][0] if curve else None,
        ),
    ]


def _split(trial: PastTrial) -> tuple[dict[str, Any], dict[str, Any]]:
    """What our own index says beside Optuna's columns, nothing where the row is another program's; what was noted."""
    return split_attrs(trial.user_attrs) if OURS in trial.system_attrs else ({}, dict(trial.user_attrs))


def _for_optuna(trial: PastTrial) -> dict[str, Any]:
    """What an objective noted for Optuna: constraints; from our own index everything, the samplers' notes are not in it."""
    noted = {} if OURS not in trial.system_attrs else {k: v for k, v in trial.system_attrs.items() if k != OURS}
    return {**noted, **{f"constraints:{name}": float(value) for name, value in trial.constraints.items()}}


def _outcome(trial: PastTrial) -> tuple[TrialState, Cause, str]:
    """Our state for Optuna's; a row of our own index says more."""
    reason = ""
    ours, _ = _split(trial)
    if ours.get("cause"):
        reason = str(ours.get("reason", ""))
        try:
            cause = Cause(ours["cause"])
            if trial.state == "PRUNED" and ours.get("state") == TrialState.INFEASIBLE.value:
                return TrialState.INFEASIBLE, cause, reason
            if trial.state == "FAIL":
                return TrialState.FAILED, cause, reason
        except ValueError:  # a cause that this version does not know
            pass
    if trial.state == "COMPLETE":
        if trial.values and not any(map(math.isnan, trial.values)):
            return TrialState.COMPLETE, Cause.COMPLETED, ""
        return TrialState.FAILED, Cause.NO_SCORE, "complete without a value where it was imported from"
    if trial.state == "PRUNED":
        return TrialState.PRUNED, Cause.PRUNED, ""
    if trial.state == "FAIL":
        return TrialState.FAILED, Cause.IMPORTED, reason or "failed in the study that it was imported from"
    return TrialState.INTERRUPTED, Cause.LOST, _WAS_RUNNING


def _record_time(time: datetime | None) -> str:
    """As records carry it; the epoch for a row without a time, so that an import says the same each time."""
    return (time or datetime.fromtimestamp(0, timezone.utc)).astimezone(timezone.utc).isoformat(timespec="milliseconds")


# -- the space -----------------------------------------------------------------------------------------------------


def _parameters(trials: Sequence[PastTrial], warnings: list[str]) -> dict[str, dict[str, Any]]:
    seen: dict[str, dict[int, Range]] = {}
    for trial in trials:
        for name, range_ in trial.ranges.items():
            seen.setdefault(name, {})[id(range_)] = range_  # most trials share theirs
    parameters = {}
    for name, ranges in seen.items():
        different = {range_.text(): range_ for range_ in ranges.values()}
        latent = _union(name, [latent_of(range_) for range_ in different.values()], warnings)
        parameters[name] = _definition(name, latent, warnings)
        if when := _condition(name, trials):
            parameters[name]["when"] = when
    return parameters


def _union(name: str, latents: list[Latent], warnings: list[str]) -> Latent:
    """One range that holds all that were seen under a name."""
    last = latents[-1]
    alike = [other for other in latents if other.kind == last.kind and other.log == last.log]
    if len(latents) > 1:
        warnings.append(f"{name} had {len(latents)} different ranges: the widest is taken")
    if last.kind == "categorical":
        # By their texts: 1 is not True, and a list has no hash.
        choices = {json.dumps(choice): choice for latent in alike for choice in latent.choices}
        return Latent("categorical", choices=tuple(choices.values()))
    low, high = min(other.low for other in alike), max(other.high for other in alike)
    step = last.step if all(other.step == last.step and other.low == last.low for other in alike) else None
    return Latent(last.kind, low=low, high=high, step=step, log=last.log)


def _definition(name: str, latent: Latent, warnings: list[str]) -> dict[str, Any]:
    if latent.kind == "categorical":
        return {"values": list(latent.choices)} if len(latent.choices) > 1 else {"value": latent.choices[0]}
    whole = latent.kind == "int"
    low, high = (int(latent.low), int(latent.high)) if whole else (float(latent.low), float(latent.high))
    if low == high:
        return {"value": low}
    if latent.step is not None and not latent.log and not (whole and latent.step == 1):
        return _stepped(name, low, high, int(latent.step) if whole else latent.step, warnings)
    if whole:
        return {"min": low, "max": high, **({"distribution": "int_log_uniform"} if latent.log else {})}
    word = "log_uniform_values" if latent.log else "uniform"
    return {"min": low, "max": high, "distribution": word}


def _stepped(name: str, low: float, high: float, step: float, warnings: list[str]) -> dict[str, Any]:
    if math.isclose(low / step, round(low / step), abs_tol=1e-9):
        return {"min": low, "max": high, "q": step, "distribution": "q_uniform"}
    count = round((high - low) / step) + 1
    if count <= LISTED:
        return {
            "values": [
                low + i * step if isinstance(step, int) else float(f"{low + i * step:.12g}") for i in range(count)
            ]
        }
    warnings.append(f"{name} had a step of {step}: it is a plain range now")
    return {"min": low, "max": high, **({} if isinstance(step, int) else {"distribution": "uniform"})}


def _snapped(params: Mapping[str, Any], parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """As a ledger says them: the values of stepped ranges without the noise of binary fractions, words for what is not finite."""
    return {name: plain_json(_snap(value, parameters.get(name, {}))) for name, value in params.items()}


def _snap(value: Any, definition: Mapping[str, Any]) -> Any:
    """The step that is meant: 0.65 for 0.6500000000000001."""
    steps = definition.get("values", ())
    if not isinstance(value, float) or value in steps:
        return value
    if "q" in definition:
        near, step = multiple(round(value / definition["q"]), definition["q"]), definition["q"]
    elif len(steps) > 1 and all(isinstance(each, float) for each in steps):
        near, step = min(steps, key=lambda each: abs(each - value)), abs(steps[1] - steps[0])
    else:
        return value
    return near if abs(near - value) <= 1e-9 * max(abs(value), step) else value


def _condition(name: str, trials: Sequence[PastTrial]) -> dict[str, list[Any]]:
    """The values of another choice under which a parameter was there, if they tell exactly when it was."""
    complete = [t for t in trials if t.state in ("COMPLETE", "PRUNED")]
    with_it = [t.params for t in complete if name in t.params]
    without = [t.params for t in complete if name not in t.params]
    if not with_it or not without:
        return {}
    shared = set.intersection(*(set(params) for params in (*with_it, *without)))
    for other in sorted(shared):
        there, absent = [params[other] for params in with_it], [params[other] for params in without]
        if not all(isinstance(value, (str, bool, type(None))) for value in there):
            continue
        if not any(value in absent for value in set(there)):
            return {other: sorted(set(there), key=str)}
    return {}
