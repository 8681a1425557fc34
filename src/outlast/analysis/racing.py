"""Racing: which configurations cannot win any more, so that no more seeds are spent on them.

All run the same seeds in the same order. After each seed, from the third on, every configuration still in the race is compared
with the one that leads, by a one-sided paired t test, and leaves when it is behind beyond doubt. This is the race of O. Maron and
A. Moore (*Hoeffding races*, 1994) with the paired t test of the race for algorithm configuration (M. Birattari et al., *A racing
algorithm for configuring metaheuristics*, 2002; irace's ``t-test``) in place of Hoeffding's bound, which for a handful of seeds
would drop nobody.

The best configuration is dropped with a probability of at most half of `ALPHA` over the whole race (`level`; the other half
is for the tests when all is run, see `outlast.analysis.ranking`): it leaves only if a test against one of the others errs,
and each of these, at each of the looks, gets an equal part (Bonferroni). That holds for differences that are normal. It is a
race of what is there: given more results, it is run again from the first seed, and comes to the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from outlast.analysis.intervals import differences, mean, p_above, std

ALPHA = 0.05  # with which probability the best is lost: dropped by a race, or said to be worse in the end
FIRST_LOOK = 3  # seeds: two differences that happen to be alike say nothing (irace waits for five instances)
_FAILURES = 2  # more than the leader has: such a configuration does not win

#: Seed → score, more is better; `None` for a repetition that failed. What has not ended is not there.
Scores = Mapping[int, float | None]


class Dropped(Struct, frozen=True):
    """A configuration left the race.

    Attributes:
        after: So many seeds.
        by: The configuration that led.
        behind: By how much in the mean; not a number where it failed too often.
    """

    after: int
    by: int
    behind: float


class Race(Struct, frozen=True):
    """Where a race stands.

    Attributes:
        alive: Those that may still win, the leader first.
        dropped: The others, in the order in which they left.
    """

    alive: tuple[int, ...]
    dropped: Mapping[int, Dropped]


def successes(scores: Scores) -> dict[int, float]:
    """The scores of the repetitions that ended well."""
    return {seed: score for seed, score in scores.items() if score is not None}


def failures(scores: Scores) -> int:
    """How many repetitions failed."""
    return sum(score is None for score in scores.values())


def all_alike(results: Mapping[int, Scores], least: int) -> bool:
    """Whether each configuration has so many scores at least, and all of its own are exactly alike."""
    return all(len(scores) >= least and not std(list(successes(scores).values())) for scores in results.values())


def standing(scores: Scores) -> tuple[int, float]:
    """What configurations are ranked by, less being better: fewer failures first, then the better mean."""
    good = list(successes(scores).values())
    return failures(scores), -mean(good) if good else math.inf


def level(seeds: Sequence[int]) -> float:
    """The error of all looks of a race together, and of all tests after it: half of `ALPHA` each, or all without a look."""
    return ALPHA / 2 if len(seeds) > FIRST_LOOK else ALPHA


def race(results: Mapping[int, Scores], seeds: Sequence[int], *, within: float = 0.0, relative: bool = True) -> Race:
    """Run the race with the results that are there.

    Args:
        results: Configuration → its scores.
        seeds: All that the race is to have, in their order.
        within: Being behind by no more than that does not matter, because something else decides then.
        relative: Whether that is a share of the leader's mean.
    """
    alive, dropped = sorted(results), dict[int, Dropped]()
    each = level(seeds) / max(1, len(seeds) - FIRST_LOOK) / max(1, len(results) - 1)
    for n in range(FIRST_LOOK, len(seeds)):
        seen = {c: {seed: results[c][seed] for seed in seeds[:n] if seed in results[c]} for c in alive}
        if any(len(scores) < n for scores in seen.values()):
            break
        leader = min(alive, key=lambda c: standing(seen[c]))
        for c in [c for c in alive if c != leader]:
            behind = _behind(seen[leader], seen[c], each, within, relative)
            if behind is not None:
                dropped[c] = Dropped(n, leader, behind)
                alive.remove(c)
    return Race(tuple(sorted(alive, key=lambda c: (standing(results[c]), c))), dropped)


def _behind(leads: Scores, other: Scores, level: float, within: float, relative: bool) -> float | None:
    """By how much a configuration is behind beyond doubt; `None` if it may still win."""
    if failures(other) >= failures(leads) + _FAILURES:
        return math.nan
    best, own = successes(leads), successes(other)
    found = differences(best, own)
    # Without any spread, scores are coarse or the seed does nothing: no distribution to test with.
    if len(found) < FIRST_LOOK or std(found) == 0.0:
        return None
    margin = within * abs(mean(list(best.values()))) if relative else within
    return mean(found) if p_above(found, margin) <= level else None


def next_block(
    results: Mapping[int, Scores], seeds: Sequence[int], alive: Collection[int], *, slots: int, racing: bool = True
) -> list[tuple[int, int]]:
    """Which repetitions to run next: (configuration, seed), seed by seed.

    As many whole seeds as keep every slot busy, and up to the first look at least; without a race all of them.

    Args:
        results: Configuration → its scores.
        seeds: All that are to be run, in their order.
        alive: The configurations that may still win. Where only one is left of several, nothing more can change, and where
            no seed has changed anything, none will.
        slots: How many run at once.
        racing: Whether there are further looks.
    """
    if racing and ((len(alive) == 1 and len(results) > 1) or all_alike({c: results[c] for c in alive}, FIRST_LOOK)):
        return []
    done = next((n for n, seed in enumerate(seeds) if any(seed not in results[c] for c in alive)), len(seeds))
    rounds = max(done + max(1, math.ceil(slots / max(1, len(alive)))), FIRST_LOOK) if racing else len(seeds)
    return [(c, seed) for seed in seeds[:rounds] for c in alive if seed not in results[c]]
