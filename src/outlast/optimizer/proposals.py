"""One proposal: asking a sampler, refusing what repeats or breaks a constraint, and what is done when all do."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from outlast.config.plugins import quiet
from outlast.config.settings import Settings
from outlast.core.records import Trial, TrialCreated
from outlast.errors import StudyFileError
from outlast.optimizer.axes import Axis
from outlast.optimizer.configurations import Configurations
from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.ranges import Range, contains, parsed
from outlast.optimizer.samplers import SamplerFactory
from outlast.optimizer.suggester import Suggester
from outlast.space.space import Space

#: Proposals asked of a model before an unused or random configuration is taken: one can cost a second.
MODEL_REDRAWS = 10
CHEAP_REDRAWS = 1_000
# A proposal of these costs nothing, so that many may be refused.
_CHEAP = dict.fromkeys(("random", "qmc"), CHEAP_REDRAWS)
_PLANS_NOTHING = ("grid", "random")
#: The note with the values that a define-by-run objective gets when it asks for them.
PLANNED = "outlast:planned"


def stable_seed(*parts: object) -> int:
    """A 31-bit seed that is the same for the same parts in every process and version of Python."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


class Draw(Struct, frozen=True):
    """A proposed configuration with everything that its ledger line has to carry."""

    params: dict[str, Any]  # of active parameters, constants left out
    latent: dict[str, Any] = {}  # what was drawn, where it differs from the value
    system_attrs: dict[str, Any] = {}
    study_attrs: dict[str, Any] = {}
    seed: int = 0
    source: str = "sampler"

    def created(self, number: int, at: str, revision: int) -> TrialCreated:
        """The event that makes a trial of it."""
        return TrialCreated(number, at, revision=revision, **asdict(self))


class Proposal(Struct, frozen=True):
    """What is drawn for a trial (``None``: nothing is left to draw) and the sampler's notes about it."""

    drawn: dict[str, Any] | None
    notes: dict[str, Any] = {}


class Proposer:
    """Draws for trials from a private study that somebody else keeps in step."""

    def __init__(
        self,
        settings: Settings,
        space: Space,
        axes: Mapping[str, Axis],
        factory: SamplerFactory,
        configurations: Configurations,
        warnings: list[str],
    ) -> None:
        self._settings, self._space, self._axes, self._factory = settings, space, axes, factory
        self._configurations, self._warnings = configurations, warnings
        # Of QMC always the whole space: Optuna takes the first finished trial's, which depends on who finishes first.
        self._whole = None
        if axes and factory.name == "qmc":
            self._whole = {name: axis.range for name, axis in sorted(axes.items()) if not axis.single}

    def propose(self, number: int, fixed: dict[str, Any], seed: int) -> Proposal:
        """What a new trial gets.

        Raises:
            StudyFileError: No configuration satisfies the constraints.
        """
        if fixed and self._is_complete(fixed):
            return Proposal(dict(fixed))
        if self._factory.name == "grid" and not fixed:
            chosen = self._configurations.next_of(seed)
            return Proposal(None if chosen is None else self._space.encode(chosen))
        noted, drawn = self._from_sampler(number, fixed, seed)
        if drawn is not None:
            return Proposal(drawn, _notes(noted, followed=not fixed))
        chosen = None if fixed else self._configurations.pick(stable_seed(seed, "unused", number))
        drawn = self._at_random(number, fixed, seed) if chosen is None else self._space.encode(chosen)
        return Proposal(drawn, _notes(noted, followed=False))

    def begin(self, number: int, fixed: dict[str, Any], seed: int) -> Proposal:
        """A trial whose objective draws its parameters as it goes: what it will be given is planned and noted."""
        notes: dict[str, Any] = {}
        planned: Mapping[str, Any] = {}
        if self._factory.name not in _PLANS_NOTHING:
            suggester = self._suggester(number, seed)
            try:
                with quiet():
                    suggester.begin(fixed)
                    planned = suggester.together()
            except Exception as error:  # foreign code; one bad proposal must not end the study
                self._tell_failure(number, error)
            suggester.end()
            notes = dict(suggester.notes)
        if planned or fixed:
            notes[PLANNED] = json.loads(json.dumps({**planned, **fixed}, default=float))
        return Proposal({}, notes)

    def suggest(self, trial: Trial, name: str, wanted: Range, seed: int) -> Any:
        """The value that a define-by-run objective gets: the planned one where it fits."""
        planned = trial.system_attrs.get(PLANNED, {})
        if wanted.single():
            value = getattr(wanted, "choices", (getattr(wanted, "low", None),))[0]
        elif name in planned and contains(wanted, planned[name]):
            value = planned[name]
        else:
            own = stable_seed(seed, "sampler", trial.number, name)
            suggester = RandomDraws(own) if self._factory.name == "grid" else self._factory.suggester(trial.number, own)
            for asked, text in trial.distributions.items():  # not what it will be given
                if text and asked in trial.params:
                    suggester.took(asked, trial.params[asked], parsed(text))
            with _unwarned(suggester):
                value = suggester.alone(name, wanted)
        value = wanted.to_external_repr(wanted.to_internal_repr(value))
        return value.item() if hasattr(value, "item") else value

    def after_trial(self, number: int, seed: int) -> None:
        """Give a sampler of the user's own its say about a finished trial; ours keep nothing between trials."""
        if not self._factory.is_custom:
            return
        try:
            with quiet():
                self._factory.tell_ended(number, stable_seed(seed, "after", number))
        except Exception as error:  # foreign code; one bad note must not end the study
            self._warn(f"{self._factory.name} failed after trial {number}: {error}")

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_complete(self, fixed: dict[str, Any]) -> bool:
        params = self._space.decode(fixed)
        return all(parameter.name in params for parameter in self._space.active(params))

    def _from_sampler(
        self, number: int, fixed: dict[str, Any], seed: int
    ) -> tuple[Mapping[str, Any], dict[str, Any] | None]:
        """The sampler's notes, and the proposal; ``None`` if none of its proposals will do."""
        if self._factory.name == "grid":
            return {}, None
        suggester = self._suggester(number, seed)
        drawn = None
        try:
            with _unwarned(suggester):
                suggester.begin(fixed)
                drawn = self._redrawn(suggester, fixed, _CHEAP.get(self._factory.name, MODEL_REDRAWS))
        except Exception as error:  # foreign code; one bad proposal must not end the study
            self._tell_failure(number, error)
        suggester.end()
        return suggester.notes, drawn

    def _at_random(self, number: int, fixed: dict[str, Any], seed: int) -> dict[str, Any] | None:
        drawn = self._redrawn(RandomDraws(stable_seed(seed, "fallback", number)), fixed, CHEAP_REDRAWS)
        if drawn is not None or self._configurations.used_up():
            return drawn
        raise StudyFileError(
            f"none of {CHEAP_REDRAWS} configurations drawn is new and satisfies "
            f"{'; '.join(self._settings.constraints) or 'the conditions'}",
            key="constraints",
            cure="loosen the constraints, or narrow the ranges to where they hold",
        )

    def _draw(self, suggester: Suggester, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Values as they are drawn, parents before children; parameters that are not active are not drawn."""
        proposed = suggester.together()
        drawn: dict[str, Any] = {}
        params: dict[str, Any] = {}
        for parameter in self._space.sampled:
            name, axis = parameter.name, self._axes[parameter.name]
            if parameter.when and all(p.name != name for p in self._space.active(params)):
                continue
            if name in fixed:
                value = fixed[name]
            elif axis.single:
                value = axis.first
            elif name in proposed and axis.contains(proposed[name]):
                value = axis.from_sampler(proposed[name])
            else:
                value = axis.from_sampler(suggester.alone(name, axis.range))
            params[name], drawn[name] = parameter.decode(value), value
            suggester.took(name, value, axis.range)
        return drawn

    def _redrawn(self, suggester: Suggester, fixed: Mapping[str, Any], times: int) -> dict[str, Any] | None:
        """The first draw that satisfies the constraints and is new, of so many."""
        for _ in range(times):
            drawn = self._draw(suggester, fixed)
            params = self._space.decode(drawn)
            if self._space.satisfies(params) and not self._configurations.used(params):
                return drawn
        return None

    def _suggester(self, number: int, seed: int) -> Suggester:
        own = seed % 2**31 if self._factory.name == "qmc" else stable_seed(seed, "sampler", number)
        return self._factory.suggester(number, own, self._whole)

    def _tell_failure(self, number: int, error: Exception) -> None:
        self._warn(f"the sampler {self._factory.said} failed, trial {number} is drawn at random: {error}")

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


def _unwarned(suggester: Suggester) -> contextlib.AbstractContextManager[object]:
    """A block in which it may warn of what only somebody who calls it by hand would want to know."""
    return (
        contextlib.nullcontext() if type(suggester) is RandomDraws else quiet()
    )  # this one warns of nothing, models do


def _notes(noted: Mapping[str, Any], *, followed: bool) -> dict[str, Any]:
    """The sampler's notes about a trial that belong in the ledger.

    Planned values are left out: the trial has them. If another configuration was taken than the one proposed,
    CMA-ES must not take it for a sample of its generation; the optimizer's state, noted on the way, is kept.
    """
    kept = {k: v for k, v in noted.items() if ":relative_params" not in k}
    if not followed:
        kept = {k: v for k, v in kept.items() if k != "x_for_tell" and not ("cma" in k and k.endswith(":generation"))}
    return kept
