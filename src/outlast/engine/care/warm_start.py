"""`run --from`: the best of earlier searches are a new one's first trials, or what its sampler knows already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from outlast._system.clock import utc_now
from outlast.config.settings import Settings
from outlast.core.budget import room_for_new
from outlast.core.fold import Study
from outlast.core.records import EarlierTrial, Event, TrialCreated
from outlast.engine.care.earlier_studies import EarlierStudy, earlier_study, readings
from outlast.engine.coordinator.new_trials import created
from outlast.errors import StudyFileError, UsageError
from outlast.optimizer.samplers import SamplerFactory
from outlast.optimizer.sampling import Optimizer
from outlast.space.parameters import Parameter
from outlast.space.space import Space

Use = Literal["trials", "knowledge", "both"]
#: A trial that was offered by an earlier search says so in its `source`: ``earlier: NAME 17``.
SOURCE = "earlier"
#: Samplers that learn from results which are not their own. Others propose by themselves, or from their own generations only.
LEARNING = ("tpe", "gaussian", "gp")
_TOP = 5


class WarmStart(Struct, frozen=True):
    """What a person wants of earlier searches.

    Attributes:
        places: See `earlier_study`.
        use: Their best as first ``trials``, all as ``knowledge`` of the sampler, or ``both``.
        top: How many of each are first trials.
    """

    places: Sequence[str]
    use: Use = "trials"
    top: int = _TOP

    def prepared(self, settings: Settings) -> Callable[[Study], tuple[list[Event], list[str]]]:
        """Read the earlier searches, and refuse what cannot be meant, before a study is begun.

        Returns:
            What makes, of the study as it was opened, the events that it is given and what a person should know. A search
            that the study was given already is passed over, which is said: the same command again adds nothing.

        Raises:
            StudyNotFound, UsageError: See `earlier_study`; or nothing can be learnt from it.
        """
        if not settings.parameters:
            raise UsageError("--from: nothing says what this study searches before it runs")
        studies = [earlier_study(place, settings.metrics) for place in self.places]
        twice = [name for name, count in Counter(study.name for study in studies).items() if count > 1]
        if twice:
            raise UsageError(
                f"--from: two earlier searches are called {twice[0]}",
                cure="give one of them as a table instead; a study's folder has one: trials.csv",
            )
        if self.use != "trials":
            _refuse_unlearnable(studies, settings)
        return lambda study: self._given(studies, settings, study)

    def _given(
        self, studies: Iterable[EarlierStudy], settings: Settings, study: Study
    ) -> tuple[list[Event], list[str]]:
        events: list[Event] = []
        told: list[str] = []
        known = _names_given(study)
        for earlier in studies:
            if earlier.name in known:
                told.append(f"{earlier.name}: a search of that name was given before: nothing of it is added")
                continue
            fitted = _Fitted(earlier, settings.space)
            taken: list[Event] = []
            if self.use != "trials":
                taken += [
                    EarlierTrial(f"{earlier.name} {label}", params, values) for label, params, values in fitted.whole
                ]
                told.append(
                    f"{earlier.name}: the sampler knows {len(fitted.whole)} of its {len(earlier.results)} results"
                )
            for event in taken:
                study.apply(event)
            if self.use != "knowledge":
                offered, said = _first_trials(fitted, settings, study, self.top)
                taken += offered
                told += said
            told += [*(f"{earlier.name}: {note}" for note in earlier.notes), *fitted.told]
            events += taken
        return events, told


def _refuse_unlearnable(studies: Iterable[EarlierStudy], settings: Settings) -> None:
    name = SamplerFactory(settings).name
    cure = "--from-as trials makes the best of them its first trials"
    if name not in LEARNING:
        raise UsageError(f"--from-as knowledge: the sampler {name} does not learn from other searches", cure=cure)
    for study in studies:
        if not study.comparable:
            raise UsageError(f"--from-as knowledge: {study.name} had other metrics than this study", cure=cure)


def _names_given(study: Study) -> set[str]:
    """The earlier searches that the study was given something of."""
    labels = [
        trial.source.removeprefix(f"{SOURCE}: ") for trial in study.trials.values() if trial.source.startswith(SOURCE)
    ]
    return {label.rpartition(" ")[0] for label in (*labels, *(each.origin for each in study.earlier))}


class _Fitted:
    """An earlier search's results as configurations of this space; and in words what did not fit."""

    def __init__(self, earlier: EarlierStudy, space: Space) -> None:
        self.earlier = earlier
        self._space, self._misfits = space, Counter[str]()
        #: Label, values of parameters that fit, values of objectives; only what has any.
        self.partial: list[tuple[str, dict[str, Any], tuple[float, ...]]] = []
        for result in earlier.results:
            params = self._projected(result.params)
            if params:
                self.partial.append((result.label, params, result.values))
        #: Those that are whole configurations of this space, for the sampler.
        self.whole = [entry for entry in self.partial if entry[2] and space.fits(entry[1]) is None]

    @property
    def told(self) -> list[str]:
        """What did not fit, each once with how often."""
        results = len(self.earlier.results)
        told = [f"{self.earlier.name}: {what} ({count} of {results})" for what, count in self._misfits.most_common(8)]
        if not self.partial:
            told.append(f"{self.earlier.name}: none of its parameters is in this search space")
        return told

    def _projected(self, theirs: Mapping[str, Any]) -> dict[str, Any]:
        """The values that this space can hold, parents before children; the rest is the sampler's to draw."""
        params: dict[str, Any] = {}
        done: set[str] = set()
        while missing := [p for p in self._space.active(params) if p.name not in done]:
            for parameter in missing:
                done.add(parameter.name)
                if parameter.name not in theirs:
                    self._misfits[f"{parameter.name} was not searched there; it is drawn"] += 1
                    continue
                try:
                    params[parameter.name] = self._value(parameter, theirs[parameter.name])
                except ValueError as error:
                    self._misfits[f"{error}; it is drawn"] += 1
        self._note_constants(theirs)
        return params

    def _value(self, parameter: Parameter, given: Any) -> Any:
        refused: ValueError | None = None
        for value in readings(given) if self.earlier.as_text else (given,):
            try:
                return parameter.decode(parameter.encode(value))
            except ValueError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    def _note_constants(self, theirs: Mapping[str, Any]) -> None:
        for name, value in self._space.constants.items():
            if name in theirs and value not in readings(theirs[name]):
                self._misfits[f"{name} was {theirs[name]} there, and is {value} here"] += 1


def _first_trials(fitted: _Fitted, settings: Settings, study: Study, top: int) -> tuple[list[Event], list[str]]:
    """The best distinct configurations, as far as the budget has room. The study has these trials then."""
    name = fitted.earlier.name
    wanted: list[tuple[str, dict[str, Any]]] = []
    room = room_for_new(study, settings.budget.trials, settings.budget.count)
    for label, params, _ in fitted.partial:
        if len(wanted) == (top if room is None else min(top, room)):
            break
        if any(params == other for _, other in wanted) or any(
            params.items() <= trial.params.items() for trial in study.trials.values()
        ):
            continue
        wanted.append((f"{SOURCE}: {name} {label}", params))
    events, left_out = asked_for(wanted, settings, study, utc_now())
    taken = sum(isinstance(event, TrialCreated) for event in events)
    told = [f"{name}: its best {'is' if taken == 1 else f'{taken} are'} tried first"] if taken else []
    return events, [*told, *(f"{name}: left out: {why}" for why in left_out)]


def asked_for(
    wanted: Sequence[tuple[str, Mapping[str, Any]]], settings: Settings, study: Study, now: str
) -> tuple[list[Event], list[str]]:
    """New trials for configurations that somebody asks for, what they do not say drawn by the sampler.

    Args:
        wanted: Who asks, as a trial's `source` says it, and values of parameters.
        settings: The study's.
        study: It has these trials then.
        now: When.

    Returns:
        The events, and why others are left out.
    """
    events: list[Event] = []
    left_out: list[str] = []
    optimizer = Optimizer(settings, study) if wanted else None
    for source, params in wanted:
        assert optimizer is not None
        number = study.next_number
        try:
            draw = optimizer.ask(number, fixed=params, source=source)
            if draw is None:
                left_out.append("every configuration of the search space is tried")
                break
            new = created(settings, draw, number, revision=study.revisions[-1].number, at=now)
        except StudyFileError as error:  # the values do not fit, or the derive hook fails on them
            shown = ", ".join(f"{name}={value}" for name, value in params.items())
            left_out.append(f"{shown}: {error.fact}")
            continue
        for event in new:
            study.apply(event)
            optimizer.apply(event)
            events.append(event)
    return events, left_out
