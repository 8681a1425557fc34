"""A search and its best run again: which configurations, which seeds, what is missing, which one is taken. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from outlast.analysis.intervals import mean
from outlast.analysis.racing import Scores, next_block, successes
from outlast.analysis.ranking import Ranking, Row, rank
from outlast.analysis.selection import Choice, Preference, choose
from outlast.config.settings import ConfirmSettings, MetricSettings, PreferSettings
from outlast.core.best import best_trials, ranked
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.engine.followup.child import Search
from outlast.results.configuration import configuration

_SEED_BITS = 31  # what NumPy, PyTorch and most others take


def candidates(search: Search, top: int) -> list[int]:
    """The trials of the search's best configurations, best first; of several objectives those of the Pareto front.

    Two trials of one configuration are one candidate.
    """
    study, metrics = search.study, search.settings.metrics
    front = {trial.number for trial in best_trials(study, metrics)}
    found: dict[str, int] = {}
    for trial in ranked(study, metrics):
        if trial.state is not TrialState.COMPLETE or not trial.feasible or trial.values is None:
            continue
        if len(metrics) > 1 and trial.number not in front:
            continue
        found.setdefault(alike(search, trial.number), trial.number)
        if len(found) == top:
            break
    return list(found.values())


def alike(search: Search, number: int) -> str:
    """What two trials of a search have in common if they are of one configuration."""
    had = configuration(search.study.trials[number], search.study, search.settings)
    return repr(sorted(had.items(), key=repr))


def fresh_seeds(search: Search, known: Study, number: int) -> list[int]:
    """Seeds that no trial of the search used, the same at each call: those of the repetitions that are there come first."""
    there = list(dict.fromkeys(trial.seed for trial in known.trials.values() if trial.of is not None))
    used = {*search.settings.trial.seeds, *(trial.seed for trial in search.study.trials.values()), *there}
    chance = random.Random(f"{search.study.study_seed}-confirm")
    while len(there) < number:
        seed = chance.getrandbits(_SEED_BITS)
        if seed not in used:
            there.append(seed)
            used.add(seed)
    return there


class Confirmation(Struct, frozen=True, dict=True):
    """A search, its best run again, and what is wanted of it.

    Attributes:
        search: That is confirmed.
        known: The repetitions so far.
        wanted: How many configurations and seeds, and what decides.
    """

    search: Search
    known: Study
    wanted: ConfirmSettings

    @cached_property
    def top(self) -> list[int]:
        """The configurations, as trials of the search: its best now, and those that were repeated before.

        One that the search drew again since goes on under the trial that was repeated.
        """
        before = list(dict.fromkeys(trial.of for trial in self.known.trials.values() if trial.of is not None))
        repeated = {alike(self.search, number): number for number in reversed(before)}
        now = [repeated.get(alike(self.search, n), n) for n in candidates(self.search, self.wanted.top)]
        return list(dict.fromkeys([*now, *before]))

    @cached_property
    def seeds(self) -> list[int]:
        """All seeds, in their order."""
        return fresh_seeds(self.search, self.known, self.wanted.seeds)

    @property
    def metrics(self) -> tuple[MetricSettings, ...]:
        """The search's objectives."""
        return self.search.settings.metrics

    @property
    def racing(self) -> bool:
        """Whether configurations may leave: of several objectives none is the one that decides."""
        return self.wanted.race and len(self.metrics) == 1

    def sign(self, objective: int = 0) -> float:
        """What makes more of an objective better: 1 or -1."""
        return 1.0 if self.metrics[objective].goal == "maximize" else -1.0

    def repetitions(self, number: int) -> list[Trial]:
        """What repeats a trial of the search."""
        return [trial for trial in self.known.trials.values() if trial.of == number]

    def results(self, objective: int = 0) -> dict[int, Scores]:
        """Configuration → seed → score in one objective, more is better; `None` where a repetition ended without one."""
        sign = self.sign(objective)
        return {
            number: {
                each.seed: sign * each.values[objective]
                if each.state is TrialState.COMPLETE and each.values is not None
                else None
                for each in self.repetitions(number)
                if each.state.finished
            }
            for number in self.top
        }

    @cached_property
    def ranking(self) -> Ranking:
        """By the first objective."""
        prefer = self.wanted.prefer
        within, relative = (prefer.within, prefer.relative) if prefer is not None else (0.0, True)
        return rank(self.results(), self.seeds, racing=self.racing, within=within, relative=relative)

    def next_block(self, slots: int) -> list[tuple[int, int]]:
        """Which repetitions to run next, as (trial of the search, seed); none when nothing more can change."""
        return next_block(self.results(), self.seeds, self.ranking.race.alive, slots=slots, racing=self.racing)

    @property
    def final(self) -> bool:
        """Whether nothing is left to be run."""
        return bool(self.top) and not self.next_block(1)

    @cached_property
    def choice(self) -> Choice | None:
        """Which configuration is taken; `None` while no repetition has ended well."""
        rows = [row for row in self._in_question if row.interval is not None]
        if not rows:
            return None
        sign, prefer = self.sign(), self.wanted.prefer
        name = self.metrics[0].name
        means = [(row.configuration, sign * row.interval.mean) for row in rows if row.interval is not None]
        if prefer is None:
            choice = choose(means, {}, None, name=name, maximize=sign > 0)
        else:
            known = {number: self.preferred(number, prefer) for number in self.top}
            others = {number: value for number, value in known.items() if value is not None}
            preference = Preference(prefer.metric, prefer.goal == "maximize", prefer.within, prefer.relative)
            choice = choose(means, others, preference, name=name, maximize=sign > 0)
        if not self.better_but_failing:
            return choice
        return replace(choice, reason=f"{choice.reason}, of those with the fewest failures")

    @property
    def better_but_failing(self) -> list[int]:
        """Configurations whose mean is better than that of the first in the ranking, which has failed less often."""
        first, *others = self.ranking.rows
        worse = [row for row in others if row.failed > first.failed and row.behind is not None]
        return [row.configuration for row in worse if row.behind is not None and row.behind.mean < 0]

    @property
    def _in_question(self) -> list[Row]:
        """What may be taken: still in the race, of several objectives on the front of means; of these, the fewest failures."""
        alive = [row for row in self.ranking.rows if row.dropped is None and row.configuration in self.front]
        fewest = min((row.failed for row in alive if row.interval is not None), default=0)
        return [row for row in alive if row.failed == fewest]

    @cached_property
    def front(self) -> list[int]:
        """Of several objectives: configurations whose means no other's beat; of one, all."""
        if len(self.metrics) == 1:
            return self.top
        scores = [self.results(at) for at in range(len(self.metrics))]
        known = [number for number in self.top if successes(scores[0][number])]
        means = {number: [mean(list(successes(each[number]).values())) for each in scores] for number in known}
        return [number for number in known if not any(_beats(means[other], means[number]) for other in known)]

    def preferred(self, number: int, prefer: PreferSettings) -> float | None:
        """The mean of the metric that decides among equals, over the repetitions that reported it."""
        names = [metric.name for metric in self.metrics]
        values = []
        for each in self.repetitions(number):
            own = dict(zip(names, each.values or (), strict=False)) | each.metrics
            if each.state is TrialState.COMPLETE and prefer.metric in own:
                values.append(own[prefer.metric])
        return mean(values) if values else None


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether it is as good in all objectives, and not the same."""
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
