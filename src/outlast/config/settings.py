"""The typed settings of a study: what every reader produces and everything else consumes.

Durations are seconds (float), sizes bytes (int). Attribute names are the study file's keys. A section's key stands once:
type, shape where the type does not say it all, what the reference page says, default. The shape reads and checks it, with
the place in the file; a copy with other values, which nobody checks, is made by `dataclasses.replace`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from outlast.config.scalars import Anything, Duration, Flag, Number, Size, Text, Word
from outlast.config.secrets import MASK
from outlast.config.shapes import At, ByType, Checked, Fields, ListOf, Shape
from outlast.space.parameters import Parameter
from outlast.space.space import Space

#: The `function` of a study whose objective was handed over in Python and lies pickled in the study folder.
OBJECTIVE = "outlast.api:objective"

Goal = Literal["maximize", "minimize"]
State = Literal["complete", "pruned", "failed", "infeasible"]


def section(
    cls: Callable[..., Any],
    description: str = "",
    *,
    required: tuple[str, ...] = (),
    hints: Mapping[str, str] | None = None,
) -> Checked:
    """The shape of a part of the study file whose keys are the attributes of a class, read as one of these.

    Args:
        cls: A settings class. Each attribute is annotated with what it is for and, where its type does not say it all, with
            its shape in between.
        description: For the reference page.
        required: Keys that a file has to give although the class has a default.
        hints: See `Fields`.
    """
    shapes: dict[str, Shape] = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        *given, says = hint.__metadata__
        shapes[name] = replace(given[0] if given else _shape(hint.__origin__), description=says)
    keys = Fields(shapes, required=required, hints=hints or {}, description=description)
    return Checked(keys, lambda values, at: cls(**values))


def _shape(hint: Any) -> Any:
    """The shape that a type says by itself; where ``None`` is allowed as well, the key may be left out."""
    if get_origin(hint) is Literal:
        return Word(get_args(hint))
    kind = next(iter(get_args(hint)), hint)
    return Flag() if kind is bool else Text()


def _real(**bounds: float) -> Checked:
    """A number that is kept as a float even where it is typed as a whole one."""
    return Checked(Number(**bounds), lambda value, at: float(value))  # type: ignore[arg-type]


#: What becomes a word of the command.
ARGUMENT = Checked(ByType(text=Anything(), scalar=Anything()), lambda value, at: str(value))


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """One objective."""

    name: Annotated[str, "what the training calls it"]
    goal: Annotated[Goal, "which way is better"] = "maximize"
    take: Annotated[Literal["last", "best"], "which of a trial's values counts"] = "last"
    target: Annotated[float | None, _real(), "the study ends when a trial reaches it"] = None
    file: Annotated[str | None, "a JSON, JSONL or CSV file that the training writes; a glob"] = None
    pattern: Annotated[str | None, "a regular expression with one group, searched in the output"] = None


@dataclass(frozen=True, kw_only=True)
class BudgetSettings:
    """Totals for the study, over restarts and workers."""

    #: None only where the space is finite or another limit is set.
    trials: Annotated[int | None, Number(whole=True, least=1), "a total, over restarts and workers"] = None
    time: Annotated[float | None, Duration(), "of running the study"] = None
    gpu_hours: Annotated[float | None, _real(above=0), "of all attempts together; without GPUs, hours of training"] = (
        None
    )
    max_failures: Annotated[int | None, Number(whole=True, least=1), "so many failed trials halt the study"] = None
    count: Annotated[
        tuple[State, ...],
        ListOf(Word(get_args(State)), least=1),
        "the states that count against `trials`; complete, pruned and infeasible by default",
    ] = ("complete", "pruned", "infeasible")


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """Which sampler, and its options as Optuna names them."""

    name: str = "auto"  # or a dotted path
    seed: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PrunerSettings:
    """Which pruner, and its options as Optuna names them."""

    name: str = "none"  # or a dotted path
    options: dict[str, Any] = field(default_factory=dict)


_FOLDS = Fields(
    {
        "n": Number(whole=True, least=2, description="how many"),
        "ids": Text(description="a text file with an id a line, or a CSV with a column id"),
        "stratify": ByType(
            text=Text(), scalar=Flag(), description="a column whose values are spread evenly; true: label"
        ),
        "group": Text(description="the column whose equal values stay together in one fold"),
        "shuffle": Flag(description="before they are split"),
        "seed": Number(whole=True, description="of the split"),
    },
    required=("n",),
)
_SHRINK = Fields(
    {
        "shrink": ByType(
            text=Text(), items=ListOf(Text(), least=1), description="the parameters that are made smaller"
        ),
        "factor": Number(above=0, description="0.5 by default"),
    },
    required=("shrink",),
)


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """How one trial is run and judged."""

    timeout: Annotated[float | None, Duration(), "longest time that a trial may train, over all its attempts"] = None
    timeout_counts: Annotated[bool, "the last report of a trial that ran out of time is its value"] = False
    grace: Annotated[float, Duration(zero=True), "between asking a trial to stop and ending it"] = 120.0
    hang_after: Annotated[float | None, Duration(), "of silence"] = None
    retries: Annotated[int, Number(whole=True, least=0), "of a crash"] = 0
    needs_score: Annotated[bool, "false: a training that ends well is complete, even if it says no score"] = True
    resume_args: Annotated[tuple[str, ...], ListOf(ARGUMENT), "appended when there is a checkpoint to resume from"] = ()
    seeds: Annotated[
        tuple[int, ...], ListOf(Number(whole=True), least=1), "each trial runs with each; the mean counts"
    ] = ()
    folds: Annotated[dict[str, Any] | None, _FOLDS, "each trial trains once for each fold; the mean counts"] = None
    oom: Annotated[
        dict[str, Any] | Literal["infeasible"],
        ByType(text=Word(("infeasible",)), mapping=_SHRINK),
        "of GPU memory: once more with these parameters made smaller",
    ] = "infeasible"


@dataclass(frozen=True, kw_only=True)
class ResourceSettings:
    """What one attempt needs."""

    gpus: Annotated[float, _real(least=0), "cards for a trial; a fraction shares one"] = 0.0
    cpus: Annotated[int | None, Number(whole=True, least=1), "cores for a trial"] = None
    memory: Annotated[int | None, Size(), "host memory for a trial, such as 16G"] = None  # bytes


_CHECKPOINT_GLOB = Text(
    r"^(?![/~])(?!(?:.*/)?\.\.(?:/|$))(?!.*\$\{)[^\n]+$",
    "a glob below the trial's checkpoint folder, such as *.ckpt or run/step_*",
)


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Where the training's checkpoints lie and how many trials' are kept."""

    dir: Annotated[str | None, "where checkpoints lie instead of in the study folder, a folder for each trial"] = None
    #: None: everything is kept.
    keep: Annotated[int | None, Number(whole=True, least=0), "the best k trials' checkpoints"] = None
    #: None at all: whatever is not certainly something else.
    pattern: Annotated[
        tuple[str, ...],
        ByType(text=Checked(_CHECKPOINT_GLOB, lambda one, at: (one,)), items=ListOf(_CHECKPOINT_GLOB, least=1)),
        "globs of files or folders that are checkpoints; one without / is a name at any depth",
    ] = ()


@dataclass(frozen=True, kw_only=True)
class FaultSettings:
    """What becomes of interrupted trials."""

    interrupted: Annotated[
        Literal["restart", "new"], "the trial goes on, or counts as failed and a new one is drawn"
    ] = "restart"


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """How `check` tries trials out."""

    args: Annotated[
        tuple[str, ...], ListOf(ARGUMENT), "appended to the command by outlast check, such as --max_steps 20"
    ] = ()


def _words(text: str, at: At) -> tuple[str, ...]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise at.error(f"cannot be split into words: {error}", "close the quote, or write a list") from None
    if not words:
        raise at.error("is empty")
    return tuple(words)


_COMMAND = ByType(text=Checked(Text(), _words), items=ListOf(ARGUMENT, least=1))
_APPENDED = "appended to the search's command, where there is no `command` here"


@dataclass(frozen=True, kw_only=True)
class PreferSettings:
    """What decides among configurations whose scores are as good."""

    metric: Annotated[str, "another metric that the training reports, such as latency_ms"]
    goal: Annotated[Goal, "which way is better"] = "minimize"
    within: Annotated[float, _real(least=0), "how far behind the best score still counts as good"] = 0.01
    relative: Annotated[bool, "whether that is a share of the best score"] = True


@dataclass(frozen=True, kw_only=True)
class ConfirmSettings:
    """How the best of a search are run again."""

    top: Annotated[int, Number(whole=True, least=1), "so many of the best configurations"] = 3
    seeds: Annotated[int, Number(whole=True, least=1), "with so many fresh seeds each"] = 5
    race: Annotated[bool, "no more seeds for configurations that cannot win any more"] = True
    prefer: Annotated[
        PreferSettings | None,
        section(PreferSettings, required=("metric",)),
        "which of those whose scores are as good is taken; by default the best score",
    ] = None


@dataclass(frozen=True, kw_only=True)
class RefitSettings:
    """How the best configuration is trained once more, on everything that is not for testing."""

    command: Annotated[
        tuple[str, ...] | None, _COMMAND, "as the search's, with ${epochs} or ${best_step}: for how long"
    ] = None
    arguments: Annotated[tuple[str, ...], ListOf(ARGUMENT), _APPENDED] = ()
    epochs: Annotated[int | None, Number(whole=True, least=1), "instead of as many as the search found best"] = None
    seeds: Annotated[int, Number(whole=True, least=1), "how many such trainings, each with a seed of its own"] = 1


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """How a model is scored on the test set."""

    command: Annotated[
        tuple[str, ...] | None, _COMMAND, "with ${model}, the newest checkpoint, or ${checkpoint_dir}, where it lies"
    ] = None
    arguments: Annotated[tuple[str, ...], ListOf(ARGUMENT), _APPENDED] = ()
    metric: Annotated[
        str | MetricSettings | None,
        ByType(text=Text(), mapping=section(MetricSettings, required=("name",))),
        "what it calls the score; by default as the search does",
    ] = None


@dataclass(frozen=True, kw_only=True)
class IsolationSettings:
    """What a Python function's trials share: nothing, or the imports of a worker that each is forked from."""

    mode: Literal["process", "worker"] = "process"
    trials: int = 100  # a worker is replaced after so many


@dataclass(frozen=True, kw_only=True)
class ExecutorSettings:
    """What starts runners for `run`: this machine, or an executor by name or dotted path."""

    name: str = "local"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def plugged(self) -> bool:
        """Whether it is another one than this machine."""
        return self.name != "local"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One study file, resolved: dialect, `extends`, `--set` and defaults are behind us. In the order of the study file."""

    name: str
    command: tuple[str, ...] | None = None  # argv template with macros, never a shell string
    function: str | None = None  # package.module:name
    metrics: tuple[MetricSettings, ...]
    parameters: tuple[Parameter, ...] = ()
    nested: tuple[str, ...] | None = None  # parameters that hold others, where not every dot is a level
    budget: BudgetSettings = BudgetSettings()
    sampler: SamplerSettings = SamplerSettings()
    pruner: PrunerSettings = PrunerSettings()
    constraints: tuple[str, ...] = ()
    enqueue: tuple[dict[str, Any], ...] = ()
    cwd: str | None = None  # as the study file says it; `working_directory` is what came of it
    config: str | None = None
    derive: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    trial: TrialSettings = TrialSettings()
    parallel: int | Literal["auto"] = "auto"
    resources: ResourceSettings = ResourceSettings()
    executor: ExecutorSettings = ExecutorSettings()
    slurm: dict[str, Any] | None = None
    code: Literal["snapshot", "live"] | None = None  # None: live for `run`, a snapshot for `submit`
    checkpoints: CheckpointSettings = CheckpointSettings()
    faults: FaultSettings = FaultSettings()
    check: CheckSettings = CheckSettings()
    isolation: IsolationSettings = IsolationSettings()
    confirm: ConfirmSettings = ConfirmSettings()
    refit: RefitSettings = RefitSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    later: dict[str, Any] = field(default_factory=dict)  # tracking, notify, index: as given
    #: Where the command runs: the study file's folder, or its `cwd`; never recorded absolute.
    working_directory: str = "."
    resolved: dict[str, Any] = field(default_factory=dict)  # the same in our dialect, plain data: what study.yaml says
    notes: tuple[str, ...] = ()  # what a person should know about this study file; not kept in `resolved`

    @cached_property
    def space(self) -> Space:
        """The search space of `parameters` and `constraints`."""
        return Space.from_parameters(self.parameters, self.constraints)

    @property
    def secret_env(self) -> dict[str, str]:
        """What of `env` is not kept in records: whoever runs trials from the record needs it in its environment."""
        return {key: self.env[key] for key in self.masked_env if key in self.env}

    @property
    def masked_env(self) -> list[str]:
        """The names of those secrets; a record has no more of them."""
        return [key for key, value in self.resolved.get("env", {}).items() if MASK in str(value)]

    def nest(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters by dotted name as the training gets them in a file: nested mappings."""
        return self.space.nest(params, self.nested)
