"""Which configuration to take: the best, or of those that are as good within a tolerance the one that is best otherwise.

The score comes first and something else (latency, size) breaks ties: of all whose mean score is no further from the best mean
than the tolerance, the one with the best mean of the other metric is taken. The tolerance is a share of the best mean, so that
it means the same at 0.5 and at 0.9, unless it is said to be absolute (the accuracy-first strategy with a relative threshold of
https://github.com/longdang193/resume-ner-azureml, "Model Selection Strategy").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Preference(Struct, frozen=True):
    """What decides among configurations that are as good.

    Attributes:
        metric: Its name.
        maximize: Whether more of it is better.
        within: How far behind the best score still counts as good.
        relative: Whether that is a share of the best score.
    """

    metric: str
    maximize: bool = False
    within: float = 0.01
    relative: bool = True


class Choice(Struct, frozen=True):
    """The configuration that is taken.

    Attributes:
        taken: Which.
        reason: Why, in a sentence's words.
        equal: All that were as good within the tolerance, best score first.
    """

    taken: int
    reason: str
    equal: tuple[int, ...]


def choose(
    ranking: Sequence[tuple[int, float]],
    others: Mapping[int, float],
    preference: Preference | None,
    *,
    name: str = "score",
    maximize: bool = True,
) -> Choice:
    """Take one of several configurations.

    Args:
        ranking: (Configuration, mean score), best first.
        others: Configuration → mean of the preferred metric, where it is known.
        preference: What decides among those that are as good; `None`: the score alone.
        name: What the score is called.
        maximize: Whether more of the score is better.
    """
    best, top = ranking[0]
    if preference is None:
        return Choice(best, f"the best mean {name}", (best,))
    allowed = preference.within * abs(top) if preference.relative else preference.within
    equal = tuple(c for c, value in ranking if (top - value if maximize else value - top) <= allowed)
    within = f"{preference.within:.3g}" if not preference.relative else f"{100 * preference.within:.3g}%"
    as_good = f"within {within} of the best mean {name}"
    known = [c for c in equal if c in others]
    metric = preference.metric
    if not known:
        return Choice(best, f"the best mean {name}; none that is {as_good} reported {metric}", equal)
    if len(equal) == 1:
        return Choice(best, f"the best mean {name}; no other is {as_good}", equal)
    sign = -1.0 if preference.maximize else 1.0
    taken = min(known, key=lambda c: (sign * others[c], equal.index(c)))
    word = "highest" if preference.maximize else "lowest"
    reason = f"the {word} {metric} ({others[taken]:.4g}) of the {len(equal)} that are {as_good}"
    if taken != best:
        reason += f": {name} {dict(ranking)[taken]:.6g} instead of {top:.6g}"
        reason += f", {metric} {others[taken]:.4g} instead of {others[best]:.4g}" if best in others else ""
    return Choice(taken, reason, equal)
