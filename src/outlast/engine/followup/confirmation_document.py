"""What a confirmation says, as plain data: ``confirmation.json``. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outlast.analysis.intervals import Interval, t_interval
from outlast.analysis.racing import ALPHA, successes
from outlast.analysis.ranking import Row
from outlast.analysis.selection import Choice
from outlast.engine.followup.confirmation import Confirmation
from outlast.results.configuration import configuration


def document(now: Confirmation) -> dict[str, Any]:
    """The whole of it. Scores and intervals are in the metric's own direction; `behind` is above 0 where the winner is better."""
    ranking, study, metrics = now.ranking, now.search.study, now.metrics
    ended, failed = sum(map(len, now.results().values())), sum(row.failed for row in ranking.rows)
    several = [{"name": metric.name, "goal": metric.goal} for metric in metrics]
    return {
        "version": 1,
        "search": now.search.settings.name,
        "metric": several[0],
        **({"metrics": several} if len(several) > 1 else {}),
        "final": now.final,
        "trials_ended": sum(trial.state.finished for trial in study.trials.values()),
        "trials": len(study.trials),
        "seeds": now.seeds,
        "racing": now.racing,
        "error_level": ALPHA,
        "repetitions": {"planned": len(now.top) * len(now.seeds), "ended": ended, "failed": failed},
        "ranking": [{"rank": at, **_entry(now, row)} for at, row in enumerate(ranking.rows, start=1)],
        **({"pareto_front": now.front} if len(metrics) > 1 else {}),
        "best": None if now.choice is None else _best(now, now.choice),
        "beyond_noise": ranking.beyond_noise,
        "seeds_that_would_tell": ranking.seeds_that_would_tell,
        "seed_unused": ranking.seed_unused,
        "verdict": verdict(now),
    }


def confirmed_of(said: Mapping[str, Any] | None) -> int | None:
    """The trial of the search that a ``confirmation.json`` takes, once that is final."""
    if said is None or not said.get("final") or not isinstance(said.get("best"), Mapping):
        return None
    return int(said["best"]["trial"])


def _best(now: Confirmation, choice: Choice) -> dict[str, Any]:
    row = next(row for row in now.ranking.rows if row.configuration == choice.taken)
    entry = _entry(now, row)
    kept = ("trial", "params", "mean", "low", "high", "std", "n")
    return {"reason": choice.reason, "as_good": list(choice.equal), **{key: entry[key] for key in kept}}


def _entry(now: Confirmation, row: Row) -> dict[str, Any]:
    number, sign, prefer = row.configuration, now.sign(), now.wanted.prefer
    trial, left, behind = now.search.study.trials[number], row.dropped, row.behind
    apart = {"p": row.p, "told_apart": row.told_apart}
    return {
        "trial": number,
        **_figures(row.interval, sign),
        "failed": row.failed,
        "scores": {str(s): None if v is None else sign * v for s, v in now.results()[number].items()},
        "search_value": trial.value,
        "dropped": None if left is None else {"after": left.after, "by": left.by},
        "behind": None if behind is None else {**_figures(behind, 1.0), **apart},
        **({"preferred": {prefer.metric: now.preferred(number, prefer)}} if prefer is not None else {}),
        **({"objectives": _objectives(now, number)} if len(now.metrics) > 1 else {}),
        "params": configuration(trial, now.search.study, now.search.settings),
    }


def _objectives(now: Confirmation, number: int) -> dict[str, Any]:
    found = {}
    for at, metric in enumerate(now.metrics):
        values = list(successes(now.results(at)[number]).values())
        found[metric.name] = _figures(t_interval(values) if values else None, now.sign(at))
    return found


def _figures(interval: Interval | None, sign: float) -> dict[str, Any]:
    if interval is None:
        return {"mean": None, "low": None, "high": None, "std": None, "n": 0}
    if interval.n < 2:  # how far it spreads, nobody has measured
        return {"mean": sign * interval.mean, "low": None, "high": None, "std": None, "n": interval.n}
    low, high = sorted((sign * interval.low, sign * interval.high))
    return {"mean": sign * interval.mean, "low": low, "high": high, "std": interval.std, "n": interval.n}


def verdict(now: Confirmation) -> str:
    """What it comes to, in a sentence."""
    rows = [row for row in now.ranking.rows if row.interval is not None]
    if not rows:
        return "no repetition has ended well"
    first, others = rows[0], rows[1:]
    objective = f" {now.metrics[0].name}, the first objective" if len(now.metrics) > 1 else ""
    said = f"trial {first.configuration} has the best mean{objective}"
    close = [row.configuration for row in others if not row.told_apart]
    if failing := now.better_but_failing:
        better = f"{_trials(failing)}, with more of them, {'has a better mean' if len(failing) == 1 else 'have better means'}"
        said = f"trial {first.configuration} has the fewest failures; {better}{objective}"
    elif not others:
        said += ": there is nothing to compare it with"
    elif now.ranking.seed_unused:
        said += ", and no seed changed any score"
    elif now.ranking.beyond_noise:
        said += f", beyond noise ({100 * (1 - ALPHA):.0f}%, paired over seeds)"
    elif close:
        said += f", but {_trials(close)} may be as good: the difference is within noise{_would_tell(now)}"
    return said if now.final else f"{said} (so far: not all repetitions have ended)"


def _would_tell(now: Confirmation) -> str:
    needed = now.ranking.seeds_that_would_tell
    if needed is None:
        return "; even a thousand seeds would hardly tell" if now.final and len(now.seeds) > 1 else ""
    return f"; about {needed} seeds would tell" if needed > len(now.seeds) else ""


def _trials(numbers: Sequence[int]) -> str:
    words = [str(number) for number in numbers]
    return f"trial {words[0]}" if len(words) == 1 else f"trials {', '.join(words[:-1])} and {words[-1]}"
