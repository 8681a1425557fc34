"""What a paper says about a search so that others can judge and repeat it. From a report's data to text. Pure.

The questions are those of two checklists, in our words: J. Pineau et al., "Improving Reproducibility in Machine Learning
Research", JMLR 22 (2021), appendix (the NeurIPS checklist), and J. Dodge et al., "Show Your Work: Improved Reporting of
Experimental Results", EMNLP 2019. What a study's records do not hold is asked of its authors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outlast.results.findings import cost, number
from outlast.results.follow_ups import confirmed, verdict
from outlast.results.prose import Block, Bullets, Code, Heading, Paragraph, Table
from outlast.results.status_report import space_table, top_table, where_it_ran

Data = Mapping[str, Any]

_PLACES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
#: How a sampler chooses, for readers who do not know its name.
_CHOOSES = {
    "random": "independently and at random from the distributions of the search space",
    "grid": "as the points of a grid, each once",
    "qmc": "as a quasi-random sequence over the search space",
    "auto": "by sequential models of the trials before: a Gaussian process and a tree-structured Parzen estimator by turns, the "
    "latter alone after 150 trials and for several metrics",
    "tpe": "by a tree-structured Parzen estimator, a sequential model of the trials before",
    "gaussian": "by a Gaussian process, a sequential model of the trials before",
    "gp": "by a Gaussian process, a sequential model of the trials before",
    "cmaes": "by covariance matrix adaptation, an evolution strategy",
    "nsga2": "by NSGA-II, a genetic algorithm",
}


def paper(data: Data) -> list[Block]:
    """The answers to the checklists.

    Args:
        data: What a report's page shows, with ``facts``.
    """
    return [
        Heading(f"The hyperparameter search {data['study']['name']}", 1),
        Heading("Search space and bounds"),
        space_table(data),
        Heading("Number of trials and budget"),
        Paragraph(_trials(data)),
        Heading("How values were chosen, and how the best was selected"),
        Paragraph(_chosen(data)),
        Heading("The best configurations"),
        top_table(data, 5),
        Heading("Expected validation performance against the number of trials"),
        *_expected(data),
        Heading("Central tendency and variation"),
        *(confirmed(data) or [Paragraph(_variation(data))]),
        Heading("Runtime and computing infrastructure"),
        Bullets([*cost(data["facts"]["analysis"]["spending"]), *_runtime(data), *where_it_ran(data)]),
        Heading("Seeds, code and software"),
        Bullets(_repeat(data)),
        Code("\n".join(data["environment"]["packages"])),
        Heading("For the authors to say"),
        Bullets(_open(data)),
    ]


def _trials(data: Data) -> str:
    study = data["study"]
    counts = ", ".join(f"{count} {state}" for state, count in study["counts"].items() if count) or "none yet"
    several = f" over {study['runs']} runs" if study["runs"] > 1 else ""
    versions = len(study["revisions"])
    changed = f" The study file had {versions} versions; bounds are those of the last." if versions > 1 else ""
    return f"Trials: {counts}{several}. Budget: {study['budget']}.{changed}"


def _chosen(data: Data) -> str:
    study = data["study"]
    name = study["sampler"].split()[0]
    how = _CHOOSES.get(name, f"by the sampler {study['sampler']}")
    pruned = (
        ""
        if study["pruner"] in ("", "none")
        else f" Trials that fell behind were stopped early by the pruner {study['pruner']}."
    )
    goals = " and ".join(
        f"{'largest' if each['goal'] == 'maximize' else 'smallest'} {each['name']}" for each in study["metrics"]
    )
    one = len(study["metrics"]) == 1
    what = (
        f"The configuration with the {goals} was" if one else f"The configurations on the Pareto front ({goals}) were"
    )
    found = verdict(data)
    runs = data["facts"]["runs_each"]
    of_each = "one run of each" if runs == 1 else f"the mean of {runs} runs of each"
    how_sure = f"after repeating the best with fresh seeds: {found}" if found else f"by {of_each}"
    return f"Values were chosen {how}.{pruned} {what} selected {how_sure}."


def _expected(data: Data) -> list[Block]:
    blocks: list[Block] = []
    for objective in data["facts"]["analysis"]["objectives"]:
        curve = objective["expected_best"]
        if not curve:
            blocks.append(Paragraph(f"No trial has a value of {objective['name']} yet."))
            continue
        last = curve[-1]["trials"]
        nearest = {_nearest(n, [point["trials"] for point in curve]) for n in (*_PLACES, last) if n <= last}
        rows = [
            [str(p["trials"]), number(p["mean"]), number(p["std"], 2), f"{number(p['low'])} to {number(p['high'])}"]
            for p in curve if p["trials"] in nearest
        ]  # fmt: skip
        header = ["trials", f"expected best {objective['name']}", "standard deviation", "8 of 10 searches"]
        blocks.append(Table(header, rows, f"Expected best {objective['name']} of n trials", [0, 1, 2]))
    note = (
        "The expected best of n trials drawn from those of this search without replacement: the unbiased estimator of "
        "Tang et al. (ACL 2020) of the quantity that Dodge et al. (EMNLP 2019) propose. A pruned trial counts with its last "
        "report."
    )
    name = data["study"]["sampler"].split()[0]
    adaptive = (
        ""
        if name in ("random", "grid", "qmc")
        else " The sampler learns from earlier trials, so that the curve describes its trials in random order, not its progress."
    )
    return [*blocks, Paragraph(note + adaptive)]


def _nearest(n: int, places: Sequence[int]) -> int:
    return min(places, key=lambda place: abs(place - n))


def _variation(data: Data) -> str:
    runs = data["facts"]["runs_each"]
    if runs > 1:
        names = ", ".join(f"metric.{metric['name']}.std" for metric in data["study"]["metrics"])
        return f"Each value is the mean of {runs} runs with other seeds or folds; their deviation is {names} in trials.csv."
    return (
        "Each configuration was run once, so that the value of the best is too good on average (it was selected for it) and its "
        "variation is unknown. outlast confirm repeats the best with fresh seeds."
    )


def _runtime(data: Data) -> list[str]:
    states = data["facts"]["analysis"]["spending"]["states"]
    return [
        f"{each['state']}: {each['trials']} trials, half of them within {number(each['median_seconds'], 3)} seconds"
        for each in states
    ]


def _repeat(data: Data) -> list[str]:
    study, best = data["study"], data["best"]
    found = [f"command: {study['command']}"] if study["command"] else []
    found += [f"the best configuration's command: {best['command']}"] if best is not None and best["command"] else []
    found.append(f"seed of the search: {data['environment']['study_seed']}; each trial's seed is in trials.csv")
    return found


def _open(data: Data) -> list[str]:
    missing = [
        "how the data were divided into training, validation and test sets, and where they can be had",
        "a link to the code",
    ]
    if not data["environment"]["gpus"]:
        missing.append("the kind of processors, and of GPUs if there were any")
    if not data.get("evaluate"):
        missing.append("the result on the test set, with the validation result that belongs to it (outlast evaluate)")
    missing.append("how the bounds of the search space were chosen")
    return missing
