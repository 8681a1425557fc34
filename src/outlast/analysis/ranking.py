"""What repetitions with fresh seeds say: a ranking, whether the winner is beyond noise, and how many seeds would tell.

The values of the search that chose the configurations are not among them: the best of many noisy values is too good (the
winner's curse; G. Cawley and N. Talbot, *On over-fitting in model selection*, 2010), and means of fresh seeds are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from outlast.analysis.intervals import Interval, differences, p_above, seeds_needed, t_interval
from outlast.analysis.racing import ALPHA, Dropped, Race, Scores, all_alike, failures, level, race, standing, successes


class Row(Struct, frozen=True):
    """A configuration in the ranking. All scores: more is better.

    Attributes:
        configuration: Which.
        interval: Of its mean; `None` where no repetition ended well.
        failed: How many of its repetitions failed; fewer come first, whatever the means.
        dropped: When it left the race.
        behind: The winner's score less its own, paired over the seeds that both have; `None` for the winner itself.
        p: How probable such a difference would be if it were as good as the winner; 1 for the winner.
        told_apart: Whether that is beyond noise.
    """

    configuration: int
    interval: Interval | None
    failed: int
    dropped: Dropped | None
    behind: Interval | None
    p: float
    told_apart: bool


class Ranking(Struct, frozen=True):
    """All configurations, best first.

    Attributes:
        rows: One each; those that left the race come after those that did not.
        race: Where it stands.
        beyond_noise: Whether the first is better than each of the others, with an error of at most `ALPHA` for all of these
            statements and the race together: each is tested at an equal part of what the race leaves of it. `False` where
            there is only one.
        seeds_that_would_tell: With how many the closest of those that are not told apart would be, with a probability of 80%,
            if the difference is what it seems; `None` where that is beyond a thousand, or not known.
        seed_unused: Whether all repetitions of each configuration scored exactly alike.
    """

    rows: tuple[Row, ...]
    race: Race
    beyond_noise: bool
    seeds_that_would_tell: int | None
    seed_unused: bool


def rank(
    results: Mapping[int, Scores],
    seeds: Sequence[int],
    *,
    racing: bool = True,
    within: float = 0.0,
    relative: bool = True,
) -> Ranking:
    """Rank configurations by what is there of their repetitions.

    Args:
        results: Configuration → seed → score, more is better.
        seeds: All that are to be run, in their order.
        racing: Whether some may have left the race.
        within, relative: See `outlast.analysis.racing.race`.
    """
    ran = race(results, seeds, within=within, relative=relative) if racing else Race(tuple(sorted(results)), {})
    left = {c: ran.dropped[c].after for c in ran.dropped}
    order = sorted(results, key=lambda c: (-left.get(c, math.inf), standing(results[c]), c))
    each = (level(seeds) if racing else ALPHA) / max(1, len(order) - 1)
    rows = tuple(_row(c, order[0], results, ran, each) for c in order)
    others = rows[1:]
    return Ranking(
        rows,
        ran,
        beyond_noise=bool(others) and all(row.told_apart for row in others),
        seeds_that_would_tell=_would_tell(others, each),
        seed_unused=_seed_unused(results),
    )


def _row(c: int, winner: int, results: Mapping[int, Scores], ran: Race, level: float) -> Row:
    good = successes(results[c])
    interval = t_interval(list(good.values())) if good else None
    found = differences(successes(results[winner]), good) if c != winner else []
    p = p_above(found) if found else 1.0
    behind = t_interval(found) if found else None
    dropped = ran.dropped.get(c)
    left_behind = (
        dropped is not None and dropped.by == winner and not math.isnan(dropped.behind)
    )  # and not for its failures
    told_apart = c != winner and (p <= level or left_behind)
    return Row(c, interval, failures(results[c]), dropped, behind, p, told_apart)


def _would_tell(others: Sequence[Row], level: float) -> int | None:
    """Seeds for the one that is hardest to tell apart; `None` if one of them would need too many."""
    needed = [
        seeds_needed(row.behind.mean, row.behind.std, alpha=level)
        for row in others
        if not row.told_apart and row.behind is not None and row.behind.n > 1
    ]
    known = [n for n in needed if n is not None]
    return max(known) if known and len(known) == len(needed) else None


def _seed_unused(results: Mapping[int, Scores]) -> bool:
    several = {c: good for c, scores in results.items() if len(good := successes(scores)) > 1}
    return bool(several) and all_alike(several, 2)
