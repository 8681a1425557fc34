"""What the results say: the tables of the page, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from outlast.analysis.ranks import ranks
from quality_lab.figures import friedman, holm, interval, regret, signed_rank
from quality_lab.methods import METHODS
from quality_lab.tasks import KINDS

#: Of a search: task and seed, by which methods are paired.
Pair = tuple[str, int]
NAMES = {"tables": "tables of real trainings", "trained": "trained", "broken": "a part cannot run"}


@dataclass(frozen=True)
class Regrets:
    """Regret by method and pair, of one group of tasks, number of workers and budget."""

    by_method: Mapping[str, Mapping[Pair, float]]

    @property
    def pairs(self) -> list[Pair]:
        """Those that every method has."""
        each = [set(values) for values in self.by_method.values()]
        return sorted(set.intersection(*each)) if each else []


def regrets(
    lines: Iterable[Mapping[str, Any]],
    *,
    kinds: Sequence[str],
    set_aside: bool,
    workers: int,
    trials: int,
    by: str = "truth",
) -> Regrets:
    """The regrets of the searches that fit; of a method that knows its budget, those with this one.

    Args:
        by: ``truth`` of what has the best score, or ``modelled``: of what a model expects most of.
    """
    lines = [line for line in lines if "error" not in line]
    best = best_known(lines)
    found: dict[str, dict[Pair, float]] = {}
    for line in lines:
        if line["kind"] not in kinds or line["set_aside"] is not set_aside or line["workers"] != workers:
            continue
        if line["trials"] != trials and METHODS[line["method"]].knows_budget:
            continue
        point = line["checkpoints"].get(str(trials))
        if point is not None and by in point:
            value = regret(point[by], best[line["task"]], line["usual"])
            found.setdefault(line["method"], {})[line["task"], line["seed"]] = value
    return Regrets(found)


def best_known(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Each task's best true value: the table's, or the best that any search chose."""
    best: dict[str, float] = {}
    for line in lines:
        points = [point.get(by) for point in line["checkpoints"].values() for by in ("truth", "modelled")]
        values = points if line["best"] is None else [line["best"]]
        for value in values:
            if value is not None:
                best[line["task"]] = min(value, best.get(line["task"], value))
    return best


def table(found: Regrets, modelled: Regrets) -> list[str]:
    """One group: a row a method, the best first; beside it the mean regret of what a model would have chosen."""
    labels = {name: method.label for name, method in METHODS.items()}
    pairs = modelled.pairs
    means = {
        method: f"{mean(map(mean, _by_task(pairs, [values[pair] for pair in pairs]).values())):.4f}"
        for method, values in modelled.by_method.items()
        if pairs
    }
    whole = means.keys() >= found.by_method.keys()
    return rows_of(found.by_method, labels, against="ours", more=("chosen by a model", means) if whole else None)


def rows_of(
    by_method: Mapping[str, Mapping[Pair, float]],
    labels: Mapping[str, str],
    *,
    against: str,
    more: tuple[str, Mapping[str, str]] | None = None,
) -> list[str]:
    """A table of regrets with intervals over seeds, ranks, and a test against one of the methods.

    Args:
        more: A heading and each method's entry, of one more column.
    """
    pairs = Regrets(by_method).pairs
    if not pairs:
        return ["Nothing that all of them have."]
    columns = {method: [values[pair] for pair in pairs] for method, values in by_method.items()}
    rows = list(zip(*columns.values(), strict=True))
    rank_of = dict(zip(columns, map(mean, zip(*map(ranks, rows), strict=True)), strict=True))
    by_task = {method: _by_task(pairs, values) for method, values in columns.items()}
    means = {method: mean(map(mean, tasks.values())) for method, tasks in by_task.items()}
    against = against if against in columns else min(means, key=means.__getitem__)
    chances = holm(
        {method: signed_rank(columns[against], values) for method, values in columns.items() if method != against}
    )
    tasks = len(by_task[against])
    heading, entries = more or ("", {})
    lines = [
        f"{tasks} tasks, {len(pairs)} searches each; all alike: p = {friedman(rows):.2g}.",
        "",
        f"| | regret | 95% | mean rank | p against {labels[against]} |" + (f" {heading} |" if more else ""),
        "|---|--:|--:|--:|--:|" + ("--:|" if more else ""),
    ]
    for method in sorted(columns, key=means.__getitem__):
        low, high = interval(by_task[method])
        chance = "" if method == against else f"{chances[method]:.2g}"
        row = f"| {labels[method]} | {means[method]:.4f} | {low:.4f}-{high:.4f} | {rank_of[method]:.2f} | {chance} |"
        lines.append(row + (f" {entries[method]} |" if more else ""))
    return lines


def _by_task(pairs: Sequence[Pair], values: Sequence[float]) -> dict[str, list[float]]:
    tasks: dict[str, list[float]] = {}
    for (task, _), value in zip(pairs, values, strict=True):
        tasks.setdefault(task, []).append(value)
    return tasks


def page(lines: Sequence[Mapping[str, Any]], *, set_aside: Sequence[bool] = (False,), each_kind: bool = True) -> str:
    """All tables; those that are set aside only when asked for."""
    said: list[str] = []
    groups = [KINDS, *((kind,) for kind in KINDS)] if each_kind else [KINDS]
    for aside in set_aside:
        for workers in sorted({line["workers"] for line in lines}):
            for trials in (25, 50, 100):
                for kinds in groups:
                    group = {"kinds": kinds, "set_aside": aside, "workers": workers, "trials": trials}
                    found, modelled = regrets(lines, **group), regrets(lines, **group, by="modelled")
                    if found.pairs:
                        which = "all tasks" if kinds == KINDS else NAMES[kinds[0]]
                        side = "set aside" if aside else "looked at"
                        said += [
                            f"### {which}, {side}: {trials} trials, {workers} at once",
                            "",
                            *table(found, modelled),
                            "",
                        ]
    return "\n".join(said)


def costs(lines: Iterable[Mapping[str, Any]]) -> str:
    """What asking cost, in processor seconds a search of so many trials."""
    found: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for line in lines:
        if "error" not in line:
            found.setdefault((line["method"], line["trials"]), []).append(line)
    rows = ["| | trials | searches | processor seconds | seconds | trained anew |", "|---|--:|--:|--:|--:|--:|"]
    for (method, trials), each in sorted(found.items(), key=lambda item: mean(line["asked"] for line in item[1])):
        asked, seconds, trained = (mean(line[name] for line in each) for name in ("asked", "seconds", "trained"))
        rows.append(
            f"| {METHODS[method].label} | {trials} | {len(each)} | {asked:.2f} | {seconds:.1f} | {trained:.0f} |"
        )
    return "\n".join(rows)
