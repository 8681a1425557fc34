"""Asking for configurations: the sampler's private study, kept in step with the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import (
    AttemptEnded,
    AttributeSet,
    Event,
    ParamDrawn,
    StudyCreated,
    Trial,
    TrialCreated,
    TrialRetried,
)
from outlast.errors import StudyFileError
from outlast.optimizer.axes import axes_of
from outlast.optimizer.configurations import Configurations
from outlast.optimizer.private_study import PrivateStudy
from outlast.optimizer.proposals import Draw, Proposer, stable_seed
from outlast.optimizer.ranges import parsed
from outlast.optimizer.samplers import SamplerFactory
from outlast.optimizer.taken_over import TakenOver
from outlast.optimizer.trial_lessons import Lessons
from outlast.space.parameters import SpaceError
from outlast.space.space import Space


class Optimizer:
    """Proposes configurations. What it says depends on the ledger alone: built anew after a crash, it goes on the same.

    Args:
        settings: The study file in force. After a revision make a new one.
        study: The folded ledger. Later events are taken in with `apply`, whatever becomes of it meanwhile.

    Raises:
        StudyFileError: A sampler, option, constraint or space that does not fit.
        MissingExtra: The sampler needs a package that is not installed.
    """

    def __init__(self, settings: Settings, study: Study) -> None:
        self.warnings: list[str] = []  # things to tell people, oldest first; the caller empties it
        self._settings = settings
        self._trials = TakenOver(study)
        self._fold = _fold_of(self._trials.own, study)
        self._space = _space(settings)
        self._defined_by_run = not settings.parameters
        self._factory = SamplerFactory(settings)
        axes = axes_of(self._space)
        lessons = Lessons(self._space, axes, defined_by_run=self._defined_by_run)
        self._configurations = Configurations(self._space, lessons.are_drawn)
        if self._factory.name == "grid":
            self._check_grid()
        maximize = [metric.goal == "maximize" for metric in settings.metrics]
        self._seen = PrivateStudy(maximize, self._factory, lessons, self._trials, study)
        if self._factory.gaussian is not None:
            from outlast.optimizer.gaussian.unit_rows import UnitRows  # loads NumPy

            self._factory.gaussian.start = self.seed
            self._factory.gaussian.seen = self._seen.rows_of(UnitRows(self._space, axes))
        self._proposer = Proposer(settings, self._space, axes, self._factory, self._configurations, self.warnings)
        self._unconfirmed: dict[int, dict[str, Any]] = {}  # asked, not in the ledger yet → the study's notes before
        self._take_all_in()

    def _take_all_in(self) -> None:
        if not (self._configurations.discrete or self._factory.is_custom):
            self._seen.changed(*self._trials)  # looked up when the sampler looks at them, if it does
            return
        for number, trial in self._trials.items():
            self._refresh(trial)
            if trial.state.finished:
                self._proposer.after_trial(number, self.seed)

    @property
    def seed(self) -> int:
        """Everything drawn at random descends from it."""
        chosen = self._settings.sampler.seed
        return self._fold.study_seed if chosen is None else chosen

    # -- asking ----------------------------------------------------------------------------------------------------

    def ask(self, number: int, fixed: Mapping[str, Any] | None = None, source: str = "foreign") -> Draw | None:
        """A configuration for a new trial; until it is in the ledger it counts as running here.

        Enqueued configurations of the study file come first. Asking again for a number that never reached the
        ledger takes the earlier proposals back, from that number on.

        Args:
            fixed: Values that somebody asked for; what is missing is drawn. ``None``: it is the sampler's turn.
            source: Who asked, if `fixed` is given.

        Returns:
            The proposal, or ``None`` when every configuration of the space has its trial.

        Raises:
            StudyFileError: The fixed values do not fit, or no configuration satisfies the constraints.
        """
        self._take_back(number)
        key = None
        if fixed is None:
            source, enqueue = "sampler", self._settings.enqueue
            index = sum(trial.source == "enqueued" for trial in self._trials.values()) if enqueue else 0
            if index < len(enqueue):
                fixed, source, key = enqueue[index], "enqueued", f"enqueue[{index}]"
        before = self._seen.attrs
        if self._defined_by_run:
            proposal = self._proposer.begin(number, dict(fixed or {}), self.seed)
        elif fixed is None and self._configurations.used_up():
            return None
        else:
            proposal = self._proposer.propose(number, self._checked(fixed, key), self.seed)
        if proposal.drawn is None:
            return None
        return self._accept(number, proposal.drawn, proposal.notes, before, source)

    def suggest(self, number: int, name: str, distribution: str) -> Any:
        """The value of a parameter that a running objective asks for by Optuna's JSON; the one already drawn, if there is one."""
        trial = self._trials[number]
        if name in trial.params:
            return trial.params[name]
        value = self._proposer.suggest(trial, name, parsed(distribution), self.seed)
        self.apply(ParamDrawn(number, name, value, distribution))
        return value

    def suggest_ahead(self, number: int, wanted: Mapping[str, str]) -> dict[str, Any]:
        """What `suggest` would answer now, one by one, for parameters that a running objective may ask for.

        Nothing is noted: what it does ask for is taken in as `ParamDrawn`, then.

        Args:
            wanted: Optuna's JSON of each parameter's distribution, by name.
        """
        trial = self._trials[number]
        return {
            name: trial.params[name]
            if name in trial.params
            else self._proposer.suggest(trial, name, parsed(distribution), self.seed)
            for name, distribution in wanted.items()
        }

    # -- keeping step ----------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in an event of the ledger. What this optimizer asked itself, or knows already, changes nothing."""
        if isinstance(event, StudyCreated):
            self._fold.apply(event)
        elif isinstance(event, TrialCreated):
            self._created(event)
        elif isinstance(event, ParamDrawn):
            trial = self._trials.mine(event.trial)
            if (trial.params.get(event.name), trial.distributions.get(event.name)) != (event.value, event.distribution):
                self._fold.apply(event)
                self._refresh(trial)
        elif isinstance(event, TrialRetried) or (isinstance(event, AttributeSet) and event.system):
            trial = self._trials.mine(event.trial)
            self._fold.apply(event)
            self._refresh(trial)
            self._seen.ended(trial)
        elif isinstance(event, AttemptEnded) and event.trial in self._trials:
            trial = self._trials.mine(event.trial)
            was = trial.state
            self._fold.apply(event)
            self._refresh(trial)
            self._seen.ended(trial)
            if not was.finished and trial.state.finished:
                self._proposer.after_trial(event.trial, self.seed)

    def _created(self, event: TrialCreated) -> None:
        self._unconfirmed.pop(event.trial, None)
        known = self._trials.get(event.trial)
        if known is not None and known.params == event.params and known.system_attrs == event.system_attrs:
            if event.offered:
                self._trials.mine(event.trial).offered = event.offered
                self._seen.changed(event.trial)  # it was looked at already, to draw what it is offered
            return
        self._fold.trials.pop(event.trial, None)
        self._fold.apply(event)
        self._seen.attrs = {**self._seen.attrs, **event.study_attrs}
        self._refresh(self._fold.trials[event.trial])

    def _refresh(self, trial: Trial) -> None:
        """The private study is to have the trial as the ledger has it now."""
        self._configurations.note(trial)
        self._seen.changed(trial.number)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _take_back(self, number: int) -> None:
        stale = sorted(n for n in self._unconfirmed if n >= number)
        if stale:
            self._seen.attrs = self._unconfirmed[stale[0]]
        for n in stale:
            self._fold.trials.pop(n, None)
            self._seen.drop(n)
            self._configurations.forget(n)
            del self._unconfirmed[n]

    def _checked(self, fixed: Mapping[str, Any] | None, key: str | None) -> dict[str, Any]:
        """What a sampler would have drawn for the values that somebody asked for."""
        if not fixed:
            return {}
        try:
            latent = self._space.encode(fixed)
        except ValueError as error:
            raise StudyFileError(str(error), key=key, cure=getattr(error, "cure", None)) from None
        params = self._space.decode(latent)
        if all(p.name in params for p in self._space.active(params)) and not self._space.satisfies(params):
            raise StudyFileError(self._space.fits(params) or "breaks a constraint", key=key)
        return latent

    def _accept(
        self, number: int, drawn: dict[str, Any], notes: dict[str, Any], before: dict[str, Any], source: str
    ) -> Draw:
        params = self._space.decode(drawn)
        # A genetic sampler's caches of parents name trials by their id in this process: never recorded.
        changed = {k: v for k, v in self._seen.attrs.items() if v != before.get(k) and ":parent:" not in k}
        draw = Draw(
            params=params,
            latent={n: drawn[n] for n in params if type(drawn[n]) is not type(params[n]) or drawn[n] != params[n]},
            system_attrs=notes,
            study_attrs=changed,
            seed=stable_seed(self.seed, "trial", number),
            source=source,
        )
        self._unconfirmed[number] = before
        self._fold.apply(draw.created(number, "", 0))
        self._refresh(self._fold.trials[number])
        return draw

    def _check_grid(self) -> None:
        if self._defined_by_run:
            raise StudyFileError("grid needs parameters in the study file", key="sampler", cure="use random or tpe")
        for parameter in self._space.sampled:
            if parameter.choices is None:
                raise StudyFileError(
                    f"grid needs a finite list of values, and {parameter.name} is continuous",
                    key=f"parameters.{parameter.name}",
                    cure="give it `values`, or a step `q`, or use another sampler",
                )
        if self._space.sampled and not self._configurations.enumerable:
            raise StudyFileError("this grid has too many configurations to list", key="sampler", cure="use random")


def _space(settings: Settings) -> Space:
    try:
        return Space.from_parameters(settings.parameters, settings.constraints)
    except SpaceError as error:
        key = "constraints" if error.constraint else "parameters"
        raise StudyFileError(str(error), key=key, cure=error.cure) from None


def _fold_of(trials: dict[int, Trial], study: Study) -> Study:
    """A fold of our own, which has those trials."""
    attrs = dict(study.study_attrs)
    return replace(study, trials=trials, study_attrs=attrs, failures_since_run=[], infeasible_since_run=[], warnings={})
