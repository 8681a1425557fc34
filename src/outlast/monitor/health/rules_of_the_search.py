"""Rules about what the search finds: nothing new, the same again, the best at an end of its range; and that it began well."""

from __future__ import annotations

import json
import math

from outlast.core.lately import first_since, latest
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.monitor.health.warning import HealthWarning
from outlast.monitor.health.what_rules_see import RECENT, View

_AMONG = 500  # of the latest trials, in which doubles are looked for
_DOUBLES, _DOUBLE_SHARE = 5, 0.2
_ENOUGH_FOR_BORDERS = 40
_ENOUGH_FOR_GAINS = 100
_WORTH = 0.02  # of the spread of the better half: less is not worth as many trials again
_BEGUN_WELL = 3  # trials that ended well, before anything else did


def duplicates(view: View) -> HealthWarning | None:
    """The sampler proposes what was tried before."""
    if view.settings.sampler.name == "grid":
        return None
    latest = [view.study.trials[number] for number in [*view.study.trials][-_AMONG:]]
    drawn = [trial for trial in latest if trial.source == "sampler" and trial.params]
    seen: set[str] = set()
    doubles: list[Trial] = []
    recent = {trial.number for trial in drawn[-RECENT:]}
    for trial in drawn:
        key = json.dumps(trial.params, sort_keys=True, default=str)
        if key in seen and trial.number in recent:
            doubles.append(trial)
        seen.add(key)
    if len(doubles) < max(_DOUBLES, _DOUBLE_SHARE * len(recent)):
        return None
    text = f"{len(doubles)} of the last {len(recent)} configurations were tried before: the sampler finds nothing new"
    cure = "widen the space, or end the search: a small budget.trials, or sampler: grid, which draws none twice"
    return HealthWarning("duplicates", text, cure, doubles[0].created_at)


def no_new_best(view: View) -> HealthWarning | None:
    """No new best for two thirds of the search, and no gain to speak of to expect from as many trials again.

    Said of a search whose trials that count lie close together at the top: half of all searches find nothing new in their second
    half by chance alone, so that only the tail of the scores can tell (`outlast.analysis.further_trials`). A trial that breaks a
    constraint cannot be the best, and is none of them.
    """
    if not view.live or len(view.settings.metrics) != 1 or len(view.complete) < RECENT:
        return None
    goal = view.settings.metrics[0].goal
    sign = 1.0 if goal == "maximize" else -1.0
    known = list(view.study.scores())
    scored = sorted((number, values[0]) for number, values in known if math.isfinite(values[0]))
    if len(scored) < _ENOUGH_FOR_GAINS:
        return None
    values = [sign * value for _, value in scored]
    at = max(range(len(values)), key=values.__getitem__)
    if at > len(values) / 3:
        return None
    from outlast.analysis.further_trials import gains

    ordered = sorted(values)
    spread = ordered[int(0.95 * len(ordered))] - ordered[len(ordered) // 2]
    found = gains(values[len(values) // 2 :], "maximize", [len(values)], best=values[at], of=len(values), resamples=0)
    if not found or spread <= 0 or found[0].gain > _WORTH * spread:
        return None
    best = view.study.trials[scored[at][0]]
    which = "complete trials"
    which += " that keep the constraints" if len(known) < view.study.counts()[TrialState.COMPLETE] else ""
    text = (
        f"no new best for {len(values) - 1 - at} {which}, since trial {best.number}; as many again as there are promise "
        f"{found[0].gain:.2g} more"
    )
    cure = "end it (outlast stop), or change the space; outlast confirm tells whether the best is the best"
    return HealthWarning("no_new_best", text, cure, best.finished_at or "", "note")


def at_border(view: View) -> HealthWarning | None:
    """The best trials crowd at an end of a range."""
    complete = view.study.counts()[TrialState.COMPLETE]
    if len(view.settings.metrics) != 1 or complete < _ENOUGH_FOR_BORDERS:
        return None
    from outlast.analysis.border_search import borders_of

    found = borders_of(view.study, view.settings.parameters, view.settings.metrics[0].goal)
    if not found:
        return None
    name, border = found[0]
    side = "lower" if border.end == "low" else "upper"
    more = f" (and {', '.join(name for name, _ in found[1:])} likewise)" if len(found) > 1 else ""
    text = f"{name}: {border.near} of the best {border.of} trials lie at the {side} end of its range, {border.bound:g}{more}"
    widen = "" if border.widen_to is None else f", say to {border.widen_to:g}"
    return HealthWarning("at_border", text, f"widen it{widen}; outlast show {view.where} analysis", level="note")


def begun_well(view: View) -> HealthWarning | None:
    """The first trials of the run ended well: what somebody who starts a search for days waits to hear before leaving.

    Imported ones, which say nothing of it, are left out.
    """
    run = view.study.last_run
    if run is None:
        return None
    first = first_since(view.study, run.at, _BEGUN_WELL)
    well = [trial for trial in first if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    complete = latest(view.study, (TrialState.COMPLETE,), 1)
    if len(well) < _BEGUN_WELL or not complete or (complete[0].finished_at or "") < run.at:
        return None
    text = f"the first trials ended well: trials {', '.join(str(trial.number) for trial in first)}"
    return HealthWarning("begun_well", text, f"outlast status {view.where}", first[-1].finished_at or "", "note")
