"""What an analysis says, in sentences: for the terminal, a status report and a paper. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_MOST = 5  # sentences of a kind

Facts = Mapping[str, Any]  # of an `outlast.analysis.summary.Analysis`, or of an objective in it, as plain data


def winners(objective: Facts) -> list[str]:
    """Which categories are among the best trials more often than elsewhere."""
    found = []
    for parameter, shares in objective["wins"].items():
        for share in shares:
            if share["stands_out"]:
                found.append(
                    f"{parameter} = {_shown(share['value'])} has {share['part']} of the best "
                    f"{sum(each['part'] for each in shares)} trials ({_percent(share['part_share'])}), "
                    f"but {_percent(share['share'])} of all"
                )
    return found[:_MOST]


def correlations(objective: Facts) -> list[str]:
    """Which numbers rise and fall with the metric, beyond chance, the clearest first."""
    found = []
    for each in objective["correlations"]:
        rank = each["correlation"]
        if each["stands_out"]:
            where = "" if each["where"] is None else f" where {each['where'][0]} = {_shown(each['where'][1])}"
            found.append(
                (
                    -abs(rank["rho"]),
                    f"{objective['name']} {'rises' if rank['rho'] > 0 else 'falls'} with {each['parameter']}{where} "
                    f"(Spearman {rank['rho']:.2f}, {rank['low']:.2f} to {rank['high']:.2f})",
                )
            )
    return [text for _, text in sorted(found)][:_MOST]


def borders(objective: Facts) -> list[str]:
    """What ended at the border of its range, and which way to widen it."""
    found = []
    for each in objective["borders"]:
        border = each["border"]
        side = "lower" if border["end"] == "low" else "upper"
        widen = f": widen it, say to {number(border['widen_to'])}" if border["widen_to"] is not None else ""
        found.append(
            f"{each['parameter']}: {border['near']} of the best {border['of']} trials lie at the {side} end of its range, "
            f"{number(border['bound'])}{widen}"
        )
    return found[:_MOST]


def more_trials(objective: Facts, spending: Facts) -> list[str]:
    """Whether more trials would have helped, against what they cost."""
    if not objective["further"]:
        return []
    gain = objective["further"][-1]
    cost = ""
    if spending["per_trial"]:
        cost = f" for about {_hours(gain['trials'] * spending['per_trial'], spending)}"
    interval = f" ({number(gain['low'], 2)} to {number(gain['high'], 2)})" if gain["low"] < gain["high"] else ""
    return [
        f"{gain['trials']} more trials like these would bring a new best with a chance of {_percent(gain['chance'])}, and "
        f"{number(gain['gain'], 2)} of {objective['name']} on average{interval}{cost}"
    ]


def half_the_trials(objective: Facts) -> list[str]:
    """What a search of half the size would have found."""
    curve = objective["expected_best"]
    if len(curve) < 4:
        return []
    whole = curve[-1]
    half = min(curve, key=lambda point: abs(point["trials"] - whole["trials"] / 2))
    return [
        f"the best of {half['trials']} of these {whole['trials']} trials is {objective['name']} {number(half['mean'])} on "
        f"average, of all {number(whole['mean'])}"
    ]


def endings(analysis: Facts) -> list[str]:
    """Who is pruned and who fails."""
    found = []
    steps = analysis["pruned_at"]
    if steps["counts"]:
        total = sum(count for _, count in steps["counts"])
        found.append(f"{total} trials were pruned, half of them by step {number(steps['median'])}")
    for who, key in (("pruned trials", "pruned"), ("failed trials", "failed")):
        for each in analysis[key][:_MOST]:
            found.append(_apart(who, each))
    return found


def cost(spending: Facts) -> list[str]:
    """What the search took, and what for."""
    hours = spending["hours"]
    if not hours["used"]:
        return []
    kinds = ("complete", "complete trials"), ("pruned", "pruned ones"), ("wasted", "wasted"), ("open", "open")
    parts = ", ".join(f"{_percent(hours[key] / hours['used'])} {word}" for key, word in kinds if hours[key])
    each = f"; {_hours(spending['per_trial'], spending)} for each result" if spending["per_trial"] else ""
    return [f"{_hours(hours['used'], spending)} of {'GPUs' if hours['gpu'] else 'training'}: {parts}{each}"]


def in_short(analysis: Facts) -> list[tuple[str, str]]:
    """The few lines below a table of trials: (label, sentence)."""
    first = analysis["objectives"][0]
    rows = [("won", text) for text in winners(first)[:2]]
    rows += [("border", text) for text in borders(first)[:3]]
    rows += [("cost", text) for text in cost(analysis["spending"])]
    return rows + [("more", text) for text in more_trials(first, analysis["spending"])]


def at_length(analysis: Facts) -> list[tuple[str, list[str]]]:
    """Everything, in sections: (heading, sentences); a section without a finding says so."""
    several = len(analysis["objectives"]) > 1
    found: list[tuple[str, list[str]]] = []
    for objective in analysis["objectives"]:
        of = f" by {objective['name']}" if several else ""
        if not objective["best_part"]:
            nothing = [
                f"{objective['trials']} complete trials: too few, or too much alike, to tell the best from the others"
            ]
            found.append((f"What won{of}", nothing))
            continue
        found.append((f"What won{of}", winners(objective) or ["no category beyond chance"]))
        found.append((f"What correlates{of}", correlations(objective) or ["no number beyond chance"]))
        found.append((f"At the border{of}", borders(objective) or ["nothing ended at the border of its range"]))
        more = [*half_the_trials(objective), *more_trials(objective, analysis["spending"])]
        found.append((f"Would more trials help{of}", more or ["too few trials, or too much alike, to tell"]))
    found.append(("Who is pruned, who fails", endings(analysis) or ["nothing sets any trials apart"]))
    return [*found, ("What it cost", cost(analysis["spending"]) or ["nothing yet"])]


def number(value: float | str, digits: int = 4) -> str:
    """A figure with so many significant digits, but never fewer than stand before its point; whole numbers whole."""
    if isinstance(value, str):
        return value
    if abs(value) < 1e7 and (float(value).is_integer() or abs(value) >= 10 ** (digits - 1)):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def _apart(who: str, each: Facts) -> str:
    share = each["category"]
    if share is not None:
        return (
            f"{who} have {each['parameter']} = {_shown(share['value'])} more often: {_percent(share['part_share'])} against "
            f"{_percent(share['share'])} of all"
        )
    size = "larger" if each["above"] > 0.5 else "smaller"
    medians = f"median {number(each['median'], 3)} against {number(each['others_median'], 3)}"
    return f"{who} have a {size} {each['parameter']}: {medians}"


def _hours(value: float, spending: Facts) -> str:
    of = "GPU " if spending["hours"]["gpu"] else ""
    units = ((1.0, "hours"), (1 / 60, "minutes"), (0.0, "seconds"))
    least, unit = next(pair for pair in units if value >= pair[0])
    told = number(value / (least or 1 / 3600), 2)
    return f"{told} {of}{unit.removesuffix('s') if told == '1' else unit}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{percent:.1g} %"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def bullets(sections: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Sections as lines of Markdown."""
    lines: list[str] = []
    for heading, sentences in sections:
        lines += [f"### {heading}", "", *(f"- {text}" for text in sentences), ""]
    return lines
