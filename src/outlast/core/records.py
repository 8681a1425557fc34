"""The records of a study: what a ledger line can say, and the trial that the lines add up to.

Every event is a frozen struct with a ``kind``. `to_json` and `from_json` turn it into the plain object of a ledger line
and back; unknown keys are ignored and missing ones take their default, so that old and newer ledgers stay readable. A kind
that is not known is a decision of a later version, and nobody may go on without it. Whoever reads many lines has msgspec
decode `Event` itself, which knows the same by the types, and gives `from_json` what it refuses (`outlast.study.ledger_lines`).
Times are UTC in ISO 8601. A metric's curve is a list of ``(step, value)`` in the order of the reports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard, get_args

from msgspec import Struct

from outlast.core.plain_json import plain_json
from outlast.core.states import Cause, TrialState
from outlast.errors import LedgerTooNew

Params = dict[str, Any]
_SHOWN_PARAMS, _SHOWN_LETTERS = 8, 200  # of a trial, where it is shown in a line
#: Objective i's reports: ``curves[i]`` is a list of (step, value).
Curve = tuple[tuple[int, float], ...]


class Record(Struct, frozen=True, tag_field="kind", gc=False, omit_defaults=True):
    """What all events have in common. Its tag is the word that the ledger has for it, for good."""

    @property
    def kind(self) -> str:
        """The ledger's word for events like this."""
        return kind_of(type(self))


def kind_of(cls: type[Record]) -> str:
    """The ledger's word for a class of events."""
    return str(cls.__struct_config__.tag)


class StudyCreated(Record, frozen=True, tag="study_created"):
    """The first event of a study."""

    name: str
    at: str
    version: str = ""  # of Outlast
    study_seed: int = 0  # everything drawn at random descends from it


class RevisionMade(Record, frozen=True, tag="revision_made"):
    """A version of the study file came into force. Number 1 is the first."""

    number: int
    at: str
    settings: Mapping[str, Any] = {}  # the resolved study file, secrets left out
    changes: tuple[str, ...] = ()  # what differs from the one before, for people


class RunStarted(Record, frozen=True, tag="run_started"):
    """A person ran the study here. Fail-fast counts start anew from it."""

    at: str
    host: str = ""
    pid: int = 0
    trials: int | None = None  # the target in force
    working_directory: str = "."  # where the command runs, relative to the study's folder
    deadline: str | None = None  # when the session ends that it runs in


class RunWentOn(Record, frozen=True, tag="run_went_on"):
    """Somebody found a run that nobody had been at for a while, and took it on. That while is no part of the run."""

    at: str
    elapsed: float = 0.0  # seconds that it had lasted since it started, or last went on, until nobody was there


class TrialCreated(Record, frozen=True, tag="trial_created"):
    """A configuration got its number. ``params`` are complete unless the objective draws them as it goes."""

    trial: int
    at: str
    params: Params = {}  # what the training gets (constants left out)
    seed: int = 0
    revision: int = 1
    # sampler | enqueued | foreign (a WAITING row of the index, or enqueued by a callback) | imported | confirm | refit | evaluate
    source: str = "sampler"
    system_attrs: Mapping[str, Any] = {}  # sampler state of this trial
    study_attrs: Mapping[str, Any] = {}  # sampler state of the study, after this ask
    latent: Params = {}  # what the sampler drew where it differs from what the training gets
    derived: Params = {}  # what the `derive` hook added for the training
    of: int | None = None  # in a follow-up of a search: the search's trial whose configuration this is
    told: Mapping[str, Any] = {}  # macros of a follow-up's command: numbers, paths from its folder
    # drawn ahead for an objective that asks as it goes: name → distribution (Optuna's JSON), value. What it asks for is its own
    offered: Mapping[str, tuple[str, Any]] = {}


class ParamDrawn(Record, frozen=True, tag="param_drawn"):
    """A define-by-run objective asked for a parameter and got it."""

    trial: int
    name: str
    value: Any = None
    distribution: str = ""  # Optuna's JSON


class AttributeSet(Record, frozen=True, tag="attribute_set"):
    """An objective noted something about its trial, as Optuna's objectives do."""

    trial: int
    name: str
    value: str = "null"  # as JSON text: what was noted comes back as it was, NaN included
    system: bool = False  # for Optuna itself (a constraint, an artifact, scores of a cross-validation), not for people


class StudyAttributeSet(Record, frozen=True, tag="study_attribute_set"):
    """An objective or a callback noted something about the study, as Optuna's do."""

    name: str
    value: str = "null"  # as JSON text


class AttemptOpened(Record, frozen=True, tag="attempt_opened"):
    """An attempt may be started from now on."""

    trial: int
    attempt: int
    at: str
    slot: str = ""  # "local:0", "kept:0", "worker:HOST:PID", a job id
    resumed: bool = False  # starts from a checkpoint
    code: str = ""  # commit and hash of the working tree's diff
    gpus: tuple[str, ...] = ()  # the attempt's cards, by UUID
    job: str = ""  # the scheduler's id of the job that asked for it, "120_7" for a task of an array
    restarts: int = 0  # how often the scheduler had started that job anew by then
    worker: Mapping[str, Any] = {}  # the process that asked for it


#: What the slots of kept workers begin with (`outlast.executors.kept_workers`), and those of this machine, whatever runs in them.
KEPT = "kept:"
HERE = ("local:", KEPT)
#: The role of a job that the study file's own `executor:` submitted, and no command of ours for SLURM.
PLUGGED = "plugged"


class JobSubmitted(Record, frozen=True, tag="job_submitted"):
    """A scheduler took a job of ours."""

    job: str  # the scheduler's id
    at: str
    role: str  # array | finisher | controller | trial, or `PLUGGED`
    tasks: int = 1  # of an array
    attempt: str = ""  # of role trial or `PLUGGED`: "0007.2"


class AttemptEnded(Record, frozen=True, tag="attempt_ended"):
    """What the coordinator decided about an attempt's evidence: the outcome, and the state of the trial from now on."""

    trial: int
    attempt: int
    at: str
    state: TrialState
    cause: Cause
    reason: str = ""  # one line for people
    values: tuple[float, ...] | None = None  # one per objective, in the study file's order
    curves: tuple[Curve, ...] = ()  # one per objective; this attempt's reports
    metrics: Mapping[str, float] = {}  # every other metric's last value
    seconds: float = 0.0  # of training
    exit_code: int | None = None
    signal: int | None = None
    signature: str = ""  # of the traceback; equal for equal failures
    source: str = ""  # where the score was found
    host: str = ""
    last_step: int | None = None
    saved: bool = False  # a checkpoint was written during the attempt
    part: int | None = None  # of a trial in parts: which one this attempt ran
    part_values: tuple[float, ...] | None = None  # its own values, if it ended well; empty: no score was asked for
    instead: Params = {}  # values that the trial's further attempts run with, not its own
    scores: Mapping[str, float] = {}  # of an attempt whose trial goes on: what it scored so far
    together: bool = False  # lost, and everything else on its host with it
    pruned_at: int | None = None  # the step whose report made the pruner give the trial up; the curve may run further
    drawn: tuple[str, ...] = ()  # what the objective asked for of what was offered
    printed: tuple[int, int] | None = (
        None  # in a kept worker: where in its slot's output the attempt's begins, and its length
    )

    def judged_curve(self) -> dict[int, float]:
        """The first objective's reports up to the one at which the trial was given up: what later decisions build on.

        How far a script goes on until it notices depends on the moment; decisions must not.
        """
        last = self.pruned_at
        return {step: value for step, value in (self.curves[0] if self.curves else ()) if last is None or step <= last}


class TrialRetried(Record, frozen=True, tag="trial_retried"):
    """A person gave a finished trial new attempts under its old number."""

    trial: int
    at: str
    from_scratch: bool = False


class TrialFits(Record, frozen=True, tag="trial_fits"):
    """A new version of the study file holds the trial."""

    trial: int
    at: str
    back: bool = True  # an earlier version left it out
    params: Params = {}  # values of its own that its version had as constants


class Warned(Record, frozen=True, tag="warned"):
    """Something that a person should know, said once."""

    at: str
    text: str
    key: str = ""


class EarlierTrial(Record, frozen=True, tag="earlier_trial"):
    """A complete trial of an earlier search, which the sampler is to know. It is no trial of this study and counts nowhere."""

    origin: str  # the search's name and the trial's there
    params: Params = {}
    values: tuple[float, ...] = ()  # one per objective, in the study file's order


class StudyEnded(Record, frozen=True, tag="study_ended"):
    """The study came to rest: done, stopped, halted or paused. The next `RunStarted` sets it going again."""

    at: str
    state: str
    reason: str = ""
    elapsed: float = 0.0  # seconds that this run held the study


Event: TypeAlias = (
    StudyCreated
    | RevisionMade
    | RunStarted
    | RunWentOn
    | TrialCreated
    | ParamDrawn
    | AttributeSet
    | StudyAttributeSet
    | AttemptOpened
    | AttemptEnded
    | JobSubmitted
    | TrialRetried
    | TrialFits
    | Warned
    | EarlierTrial
    | StudyEnded
)

_KINDS: dict[str, type[Any]] = {kind_of(cls): cls for cls in get_args(Event)}
_FIELDS = {kind: frozenset(cls.__struct_fields__) for kind, cls in _KINDS.items()}


def to_json(event: Event) -> dict[str, Any]:
    """The plain object of a ledger line. Non-finite numbers are written as strings, so that every JSON reader takes them."""
    out: dict[str, Any] = {"kind": event.kind}
    for name in event.__struct_fields__:
        out[name] = plain_json(getattr(event, name))
    return out


def is_event(obj: Any) -> TypeGuard[Event]:
    """Whether this is an event already."""
    return isinstance(obj, Record)


def is_known(obj: Mapping[str, Any]) -> bool:
    """Whether an object of a ledger line is of a kind that this version knows."""
    return obj.get("kind") in _KINDS


def from_json(obj: Mapping[str, Any]) -> Event:
    """The event of a ledger line.

    Raises:
        LedgerTooNew: This version does not know its kind.
    """
    if not is_known(obj):
        raise LedgerTooNew("a record", str(obj.get("kind")))
    cls = _KINDS[obj["kind"]]
    # All but its kind, and what later versions say beside what this one knows.
    fields = _FIELDS[obj["kind"]]
    kwargs = {key: value for key, value in obj.items() if key in fields}
    if cls is AttemptEnded:
        kwargs["state"] = TrialState(kwargs["state"])
        kwargs["cause"] = Cause(kwargs["cause"])
        if kwargs.get("values") is not None:
            kwargs["values"] = tuple(float(v) for v in kwargs["values"])
        if kwargs.get("part_values") is not None:
            kwargs["part_values"] = tuple(float(v) for v in kwargs["part_values"])
        kwargs["curves"] = tuple(tuple([(int(s), float(v)) for s, v in curve]) for curve in kwargs.get("curves", ()))
        for key in ("metrics", "scores"):
            kwargs[key] = {str(k): float(v) for k, v in kwargs.get(key, {}).items()}
        kwargs["drawn"] = tuple(kwargs.get("drawn", ()))
        kwargs["printed"] = None if kwargs.get("printed") is None else tuple(map(int, kwargs["printed"]))
    elif cls is TrialCreated:
        kwargs["offered"] = {name: (str(text), value) for name, (text, value) in kwargs.get("offered", {}).items()}
    elif cls is EarlierTrial:
        kwargs["values"] = tuple(float(v) for v in kwargs.get("values", ()))
    elif cls is AttemptOpened:
        kwargs["gpus"] = tuple(kwargs.get("gpus", ()))
    elif cls is RevisionMade:
        kwargs["changes"] = tuple(kwargs.get("changes", ()))
    event: Event = cls(**kwargs)
    return event


class Attempt(Struct, gc=False, omit_defaults=True):
    """One attempt as the ledger has it so far."""

    number: int
    opened_at: str
    slot: str = ""
    resumed: bool = False
    code: str = ""
    outcome: AttemptEnded | None = None
    gpus: tuple[str, ...] = ()
    job: str = ""
    restarts: int = 0
    worker: Mapping[str, Any] = {}
    cards: float = 0.0  # how many that is: of a card that it shared, its share

    @property
    def kept(self) -> bool:
        """Whether it ran in a kept worker: without a marker, a folder or a file."""
        return self.slot.startswith(KEPT)

    @property
    def gpu_seconds(self) -> float:
        """Seconds of its cards that it has used, once it has ended."""
        return 0.0 if self.outcome is None else max(0.0, self.outcome.seconds) * self.cards


class RuledOut(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a trial was when a new version of the study file did not hold it any more."""

    state: TrialState
    cause: Cause | None
    reason: str
    values: tuple[float, ...] | None
    finished_at: str | None
    attempt: int  # that the record is of
    outcome: AttemptEnded | None  # of that attempt


def _shortened(params: Params) -> str:
    shown = [f"{name}={value!r}" for name, value in list(params.items())[:_SHOWN_PARAMS]]
    shown += [f"{len(params) - _SHOWN_PARAMS} more"] if len(params) > _SHOWN_PARAMS else []
    text = ", ".join(shown)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}..."


class Trial(Struct, gc=False, omit_defaults=True):
    """One configuration with its number for life, folded from the events about it."""

    number: int
    state: TrialState = TrialState.CREATED
    params: Params = {}
    latent: Params = {}
    derived: Params = {}
    distributions: dict[str, str] = {}  # only of parameters drawn by a define-by-run objective
    seed: int = 0
    revision: int = 1
    source: str = "sampler"
    system_attrs: dict[str, Any] = {}
    user_attrs: dict[str, Any] = {}  # what the objective noted for people
    optuna_attrs: dict[str, Any] = {}  # and for Optuna; these are in `system_attrs` as well
    created_at: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    attempts: list[Attempt] = []
    values: tuple[float, ...] | None = None
    cause: Cause | None = None
    reason: str = ""
    from_scratch: bool = False  # a retry asked for an empty checkpoints/
    retried_at_attempt: int = 0  # attempts up to this one no longer count against the trial
    ruled_out: RuledOut | None = None  # by a version of the study file that does not hold it
    anew_after: int = 0  # what attempts up to this one did is thrown away: a person had the trial begin from scratch
    of: int | None = None  # in a follow-up of a search: the search's trial whose configuration this is
    told: Mapping[str, Any] = {}  # macros of a follow-up's command, see `TrialCreated`
    offered: Mapping[str, tuple[str, Any]] = {}  # see `TrialCreated`

    def __repr__(self) -> str:
        values = "" if self.values is None else " " + " ".join(f"{value:.6g}" for value in self.values)
        return f"<trial {self.number}: {self.state.value}{values}; {_shortened(self.params)}>"

    @property
    def value(self) -> float | None:
        """The first objective's value."""
        return self.values[0] if self.values else None

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt without an outcome, if there is one."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.outcome is None else None

    @property
    def ended(self) -> list[AttemptEnded]:
        """The outcomes of all ended attempts, in order."""
        return [a.outcome for a in self.attempts if a.outcome is not None]

    @property
    def kept(self) -> list[AttemptEnded]:
        """The outcomes since the trial last began from scratch: what its results are made of."""
        return [outcome for outcome in self.ended if outcome.attempt > self.anew_after]

    def part_of(self, attempt: int | None) -> int | None:
        """The part that an ended attempt ran, of a trial in parts."""
        return next((outcome.part for outcome in self.ended if outcome.attempt == attempt), None)

    def last_step(self, part: int | None = None) -> int | None:
        """The last step that was reported, of one part in a trial of several: each counts from 0."""
        return max((o.last_step for o in self.kept if o.part == part and o.last_step is not None), default=None)

    @property
    def last(self) -> AttemptEnded | None:
        """The latest outcome."""
        ended = self.ended
        return ended[-1] if ended else None

    @property
    def instead(self) -> Params:
        """Values that further attempts run with instead of the trial's own."""
        merged: Params = {}
        for outcome in self.ended:
            merged.update(outcome.instead)
        return merged

    @property
    def seconds(self) -> float:
        """Training time over all attempts."""
        return sum(outcome.seconds for outcome in self.ended)

    @property
    def code(self) -> str:
        """Commit, and hash of what was not committed, of the last attempt that ran from a git checkout."""
        return next((attempt.code for attempt in reversed(self.attempts) if attempt.code), "")

    def events(self) -> list[Event]:
        """The events that this trial is the fold of: what its ``trial.json`` keeps, and a lost ledger is rebuilt from."""
        found: list[Event] = [
            TrialCreated(
                self.number, self.created_at, {k: v for k, v in self.params.items() if k not in self.distributions},
                self.seed, self.revision, self.source, self._sampler_attrs(), {}, self.latent, self.derived,
                self.of, self.told, self.offered,
            )
        ]  # fmt: skip
        found += [ParamDrawn(self.number, k, self.params[k], text) for k, text in self.distributions.items()]
        for attrs, system in ((self.user_attrs, False), (self.optuna_attrs, True)):
            found += [AttributeSet(self.number, k, json.dumps(value), system) for k, value in attrs.items()]
        for attempt in self.attempts:
            found.append(
                AttemptOpened(
                    self.number,
                    attempt.number,
                    attempt.opened_at,
                    attempt.slot,
                    attempt.resumed,
                    attempt.code,
                    attempt.gpus,
                    attempt.job,
                    attempt.restarts,
                    attempt.worker,
                )
            )
            before = self.ruled_out
            if before is not None and before.attempt == attempt.number and before.outcome is not None:
                found.append(before.outcome)
            if attempt.outcome is not None:
                found.append(attempt.outcome)
            if attempt.number in (self.retried_at_attempt, self.anew_after):
                found.append(TrialRetried(self.number, attempt.opened_at, attempt.number == self.anew_after))
        return found

    def _sampler_attrs(self) -> dict[str, Any]:
        return {name: value for name, value in self.system_attrs.items() if name not in self.optuna_attrs}

    @property
    def feasible(self) -> bool:
        """Whether it keeps the constraints that were set for it: none is above 0, as Optuna has it."""
        noted = self.optuna_attrs
        if not noted:
            return True
        found = [v for k, v in noted.items() if k.startswith("constraints:")]
        return not any(value > 0 for value in [*found, *(noted.get("constraints") or ())])

    def curve(self, objective: int = 0) -> dict[int, float]:
        """Step → value over all attempts; a later attempt's report of the same step wins."""
        merged: dict[int, float] = {}
        for outcome in self.kept:
            if objective < len(outcome.curves):
                merged.update(outcome.curves[objective])
        return merged

    def judged_curve(self) -> dict[int, float]:
        """The first objective's `curve` without what came after a decision to give the trial up."""
        merged: dict[int, float] = {}
        for outcome in self.kept:
            merged.update(outcome.judged_curve())
        return merged

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric's last value."""
        merged: dict[str, float] = {}
        for outcome in self.kept:
            merged.update(outcome.metrics)
        return merged
