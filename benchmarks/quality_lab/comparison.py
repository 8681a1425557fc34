"""What the results say: the tables of the page, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from outlast.analysis.ranks import ranks
from quality_lab.figures import exchanged, friedman, holm, interval, regret, signed_rank
from quality_lab.methods import METHODS
from quality_lab.tasks import KINDS

#: Of a search: task and seed, by which methods are paired.
Pair = tuple[str, int]
#: By method and pair.
Regrets = Mapping[str, Mapping[Pair, float]]
NAMES = {"tables": "tables of real trainings", "trained": "trained", "broken": "a part cannot run"}


def regrets(
    lines: Iterable[Mapping[str, Any]],
    *,
    kinds: Sequence[str],
    set_aside: bool,
    workers: int,
    trials: int,
) -> Regrets:
    """Regrets by method and pair, of the searches that fit; of a method that knows its budget, those with this one."""
    lines = list(lines)
    best = best_known(lines)
    found: dict[str, dict[Pair, float]] = {}
    for line in lines:
        if line["kind"] not in kinds or line["set_aside"] is not set_aside or line["workers"] != workers:
            continue
        if line["trials"] != trials and METHODS[line["method"]].knows_budget:
            continue
        point = line["checkpoints"].get(str(trials))
        if point is not None:
            value = regret(point["truth"], best[line["task"]], line["usual"])
            found.setdefault(line["method"], {})[line["task"], line["seed"]] = value
    return found


def best_known(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Each task's best true value: the table's, or the best that any search chose."""
    best: dict[str, float] = {}
    for line in lines:
        points = [point["truth"] for point in line["checkpoints"].values()]
        values = points if line["best"] is None else [line["best"]]
        for value in values:
            if value is not None:
                best[line["task"]] = min(value, best.get(line["task"], value))
    return best


def on_shared_tasks(
    lines: Iterable[Mapping[str, Any]], methods: Sequence[str], beside: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The searches of these methods, and all of those beside them on the tasks that any of these has, with as many at once."""
    lines = list(lines)

    def where(line: Mapping[str, Any]) -> tuple[Any, ...]:
        return line["task"], line["workers"]

    places = {where(line) for line in lines if line["method"] in methods}
    return [line for line in lines if line["method"] in methods or (line["method"] in beside and where(line) in places)]


def table(found: Regrets) -> list[str]:
    """One group: a row a method, the best first."""
    return rows_of(found, {name: method.label for name, method in METHODS.items()}, against="ours")


def rows_of(
    by_method: Regrets, labels: Mapping[str, str], *, against: str, more: tuple[str, Mapping[str, str]] | None = None
) -> list[str]:
    """A table of regrets with intervals over seeds, ranks, and a test against one of the methods; those with most tasks first.

    Each method is compared over what it shares with that one, so that a slow peer's few seeds cost nobody else theirs. Ranks
    are among the methods that share at least half of what it has, within what these have in common.

    Args:
        against: That method; where it has nothing, the one that has most stands for it.
        more: A heading and each method's entry, of one more column.
    """
    against = _measure(by_method, against)
    whole = by_method[against]
    shared = {method: _shared(values, whole) for method, values in by_method.items()}
    shared = {method: values for method, values in shared.items() if values}
    means = {method: _mean(values) for method, values in shared.items()}
    chances = holm(
        {
            method: signed_rank([whole[pair] for pair in values], list(values.values()))
            for method, values in shared.items()
            if method != against
        }
    )
    rank_of, ranked, alike = _ranked({name: each for name, each in shared.items() if 2 * len(each) >= len(whole)})
    heading, entries = more or ("", {})
    said = f"Ranks: {len(rank_of)} methods over {ranked} searches each; all alike: p = {alike:.2g}."
    lines = [
        said if len(rank_of) > 1 and ranked else "No ranks: too little that the methods have in common.",
        "",
        f"| | tasks | seeds | regret | 95% | {labels[against]}, there | p | mean rank |"
        + (f" {heading} |" if more else ""),
        "|---|--:|--:|--:|--:|--:|--:|--:|" + ("--:|" if more else ""),
    ]
    tasks = {method: _by_task(values) for method, values in shared.items()}
    for method in sorted(shared, key=lambda method: (-len(tasks[method]), means[method])):
        by_task = tasks[method]
        other = "" if method == against else f"{_mean({pair: whole[pair] for pair in shared[method]}):.4f}"
        entry = [
            labels[method], str(len(by_task)), _seeds(by_task), f"{means[method]:.4f}", _interval(by_task), other,
            "" if method == against else f"{chances[method]:.2g}",
            f"{rank_of[method]:.2f}" if len(rank_of) > 1 and method in rank_of else "",
            *([entries.get(method, "")] if more else []),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(entry)} |")
    return lines


def few_beside_all(found: Regrets) -> list[str]:
    """One group of methods that were given few seeds: each beside all searches of Outlast's on its tasks, whatever their seeds.

    Two searches of one seed share the noise of what both try, and draw by themselves: that pairs them too little to give up the
    seeds that only one of them has.
    """
    whole = _by_task(found["ours"])
    tasks = {
        method: {task: each for task, each in _by_task(values).items() if task in whole}
        for method, values in found.items()
    }
    tasks = {method: by_task for method, by_task in tasks.items() if by_task}
    chances = holm({name: exchanged(whole, by_task) for name, by_task in tasks.items() if name != "ours"})
    lines = [
        f"| | tasks | seeds | regret | 95% | {METHODS['ours'].label}, there | seeds | 95% | p |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for method in sorted(tasks, key=lambda method: (-len(tasks[method]), mean(map(mean, tasks[method].values())))):
        by_task = tasks[method]
        entry = [METHODS[method].label, str(len(by_task)), *_told(by_task)]
        ours = {task: whole[task] for task in by_task}
        seeds, value, range_ = _told(ours)
        entry += ["", "", "", ""] if method == "ours" else [value, seeds, range_, f"{chances[method]:.2g}"]
        lines.append(f"| {' | '.join(entry)} |")
    return lines


def _told(by_task: Mapping[str, Sequence[float]]) -> tuple[str, str, str]:
    """Seeds, mean over the tasks, and its interval."""
    return _seeds(by_task), f"{mean(map(mean, by_task.values())):.4f}", _interval(by_task)


def _measure(by_method: Regrets, wanted: str) -> str:
    """The method that all others are compared with."""
    return wanted if wanted in by_method else max(by_method, key=lambda method: len(by_method[method]))


def _shared(values: Mapping[Pair, float], others: Mapping[Pair, float]) -> dict[Pair, float]:
    return {pair: values[pair] for pair in sorted(values) if pair in others}


def _by_task(values: Mapping[Pair, float]) -> dict[str, list[float]]:
    tasks: dict[str, list[float]] = {}
    for (task, _), value in values.items():
        tasks.setdefault(task, []).append(value)
    return tasks


def _mean(values: Mapping[Pair, float]) -> float:
    """Over the tasks, however many seeds each has."""
    return mean(map(mean, _by_task(values).values()))


def _seeds(by_task: Mapping[str, Sequence[float]]) -> str:
    fewest, most = min(map(len, by_task.values())), max(map(len, by_task.values()))
    return str(most) if fewest == most else f"{fewest}-{most}"


def _interval(by_task: Mapping[str, Sequence[float]]) -> str:
    """Nothing is known of other seeds by one."""
    if min(map(len, by_task.values())) < 2:
        return "one seed"
    low, high = interval(by_task)
    return f"{low:.4f}-{high:.4f}"


def _ranked(complete: Regrets) -> tuple[dict[str, float], int, float]:
    """Mean ranks within the pairs that all have, how many these are, and the chance that all are alike."""
    pairs = sorted(set.intersection(*(set(values) for values in complete.values())))
    if not pairs:
        return {}, 0, 1.0
    rows = [[values[pair] for values in complete.values()] for pair in pairs]
    mean_ranks = map(mean, zip(*map(ranks, rows), strict=True))
    return dict(zip(complete, mean_ranks, strict=True)), len(pairs), friedman(rows)


def page(
    lines: Sequence[Mapping[str, Any]],
    *,
    set_aside: Sequence[bool] = (False,),
    each_kind: bool = True,
    table: Callable[[Regrets], list[str]] = table,
) -> str:
    """All tables; those that are set aside only when asked for."""
    said: list[str] = []
    groups = [KINDS, *((kind,) for kind in KINDS)] if each_kind else [KINDS]
    for aside in set_aside:
        for workers in sorted({line["workers"] for line in lines}):
            for trials in (25, 50, 100):
                for kinds in groups:
                    group = {"kinds": kinds, "set_aside": aside, "workers": workers, "trials": trials}
                    found = regrets(lines, **group)
                    if found:
                        which = "all tasks" if kinds == KINDS else NAMES[kinds[0]]
                        side = "set aside" if aside else "looked at"
                        said += [
                            f"### {which}, {side}: {trials} trials, {workers} at once",
                            "",
                            *table(found),
                            "",
                        ]
    return "\n".join(said)


def costs(lines: Iterable[Mapping[str, Any]]) -> str:
    """What asking cost, in processor seconds a search of so many trials."""
    found: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault((line["method"], line["trials"]), []).append(line)
    rows = ["| | trials | searches | processor seconds | seconds | trained anew |", "|---|--:|--:|--:|--:|--:|"]
    for (method, trials), each in sorted(found.items(), key=lambda item: mean(line["asked"] for line in item[1])):
        asked, seconds, trained = (mean(line[name] for line in each) for name in ("asked", "seconds", "trained"))
        rows.append(
            f"| {METHODS[method].label} | {trials} | {len(each)} | {asked:.2f} | {seconds:.1f} | {trained:.0f} |"
        )
    return "\n".join(rows)
