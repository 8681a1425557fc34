"""The typed settings of a study: what every reader produces and everything else consumes.

Durations are seconds (float), sizes bytes (int). Attribute names are the study file's keys. A section's key stands once:
type, shape where the type does not say it all, what the reference page says, default. What stands in an annotation is text
until a person's file is read: `outlast.config.sections` then makes the shape of it that reads and checks the key. A study's
own record is read without that (`outlast.config.resolved`). A copy with other values is made by `msgspec.structs.replace`.

To add a section: a class `…Settings` here, an attribute of `Settings` that is annotated with it, a line in
`outlast.config.native.STUDY_FILE` that says `section(ITS CLASS, …)`, and the section with every key in
`tests/config/test_reading_records.py`. Both readers, the resolved file, the JSON Schema and the reference page follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from msgspec import Struct

from outlast.config.chosen import ChosenSettings
from outlast.config.secrets import MASK, mask_address, mask_secrets
from outlast.config.tracking_section import TrackingSettings
from outlast.space.parameters import Parameter

if TYPE_CHECKING:  # shapes, and what they need, are for files that people write
    from typing_extensions import Self

    from outlast.config.scalars import Duration, Number, Size, Text, Word
    from outlast.config.sections import ARGUMENT, CHECKPOINT_GLOBS, COMMAND, FOLDS, SHRINK, real, section
    from outlast.config.shapes import ByType, ListOf
    from outlast.space.space import Space

#: The `function` of a study whose objective was handed over in Python and lies pickled in the study folder: a mark on record,
#: not a name that is imported.
OBJECTIVE = "outlast.api:objective"
#: Keys that other rooms read, and what they are for; here they are kept as given.
LATER_KEYS: Mapping[str, str] = {
    "selection": "no effect: `confirm.prefer` says how the best is chosen",
    "description": "for people",
}

Goal = Literal["maximize", "minimize"]
Told = Literal["error", "warning", "note", "begin", "end"]
State = Literal["complete", "pruned", "failed", "infeasible"]


class MetricSettings(Struct, frozen=True, kw_only=True):
    """One objective."""

    name: Annotated[str, "what the training calls it"]
    goal: Annotated[Goal, "which way is better"] = "maximize"
    take: Annotated[Literal["last", "best"], "which of a trial's values counts"] = "last"
    target: Annotated[float | None, real(), "the study ends when a trial reaches it"] = None
    file: Annotated[str | None, "a JSON, JSONL or CSV file that the training writes; a glob"] = None
    pattern: Annotated[str | None, "a regular expression with one group, searched in the output"] = None


class BudgetSettings(Struct, frozen=True, kw_only=True):
    """Totals for the study, over restarts and workers."""

    #: None only where the space is finite or another limit is set.
    trials: Annotated[int | None, Number(whole=True, least=1), "a total, over restarts and workers"] = None
    time: Annotated[float | None, Duration(), "of running the study"] = None
    gpu_hours: Annotated[float | None, real(above=0), "of all attempts together; without GPUs, hours of training"] = (
        None
    )
    max_failures: Annotated[int | None, Number(whole=True, least=1), "so many failed trials halt the study"] = None
    count: Annotated[
        tuple[State, ...],
        ListOf(Word(get_args(State)), least=1),
        "the states that count against `trials`; complete, pruned and infeasible by default",
    ] = ("complete", "pruned", "infeasible")


class SamplerSettings(ChosenSettings, frozen=True, kw_only=True):
    """Which sampler, and its options as Optuna names them."""

    name: str = "auto"
    seed: int | None = None


class PrunerSettings(ChosenSettings, frozen=True, kw_only=True):
    """Which pruner, and its options as Optuna names them."""

    name: str = "none"


class TrialSettings(Struct, frozen=True, kw_only=True):
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
    folds: Annotated[dict[str, Any] | None, FOLDS, "each trial trains once for each fold; the mean counts"] = None
    oom: Annotated[
        dict[str, Any] | Literal["infeasible"],
        SHRINK,
        "of GPU memory: once more with these parameters made smaller",
    ] = "infeasible"


class ResourceSettings(Struct, frozen=True, kw_only=True):
    """What one attempt needs."""

    gpus: Annotated[float, real(least=0), "cards for a trial; a fraction shares one"] = 0.0
    cpus: Annotated[int | None, Number(whole=True, least=1), "cores for a trial"] = None
    memory: Annotated[int | None, Size(), "host memory for a trial, such as 16G"] = None  # bytes


class CheckpointSettings(Struct, frozen=True, kw_only=True):
    """Where the training's checkpoints lie and how many trials' are kept."""

    dir: Annotated[str | None, "where checkpoints lie instead of in the study folder, a folder for each trial"] = None
    #: None: everything is kept.
    keep: Annotated[int | None, Number(whole=True, least=0), "the best k trials' checkpoints"] = None
    #: None at all: whatever is not certainly something else.
    pattern: Annotated[
        tuple[str, ...],
        CHECKPOINT_GLOBS,
        "globs of files or folders that are checkpoints; one without / is a name at any depth",
    ] = ()


class FaultSettings(Struct, frozen=True, kw_only=True):
    """What becomes of interrupted trials."""

    interrupted: Annotated[
        Literal["restart", "new"], "the trial goes on, or counts as failed and a new one is drawn"
    ] = "restart"


class CheckSettings(Struct, frozen=True, kw_only=True):
    """How `check` tries trials out."""

    args: Annotated[
        tuple[str, ...], ListOf(ARGUMENT), "appended to the command by outlast check, such as --max_steps 20"
    ] = ()


_APPENDED = "appended to the search's command, where there is no `command` here"


class PreferSettings(Struct, frozen=True, kw_only=True):
    """What decides among configurations whose scores are as good."""

    metric: Annotated[str, "another metric that the training reports, such as latency_ms"]
    goal: Annotated[Goal, "which way is better"] = "minimize"
    within: Annotated[float, real(least=0), "how far behind the best score still counts as good"] = 0.01
    relative: Annotated[bool, "whether that is a share of the best score"] = True


class ConfirmSettings(Struct, frozen=True, kw_only=True):
    """How the best of a search are run again."""

    top: Annotated[int, Number(whole=True, least=1), "so many of the best configurations"] = 3
    seeds: Annotated[int, Number(whole=True, least=1), "with so many fresh seeds each"] = 5
    race: Annotated[bool, "no more seeds for configurations that cannot win any more"] = True
    prefer: Annotated[
        PreferSettings | None,
        section(PreferSettings, required=("metric",)),
        "which of those whose scores are as good is taken; by default the best score",
    ] = None


class RefitSettings(Struct, frozen=True, kw_only=True):
    """How the best configuration is trained once more, on everything that is not for testing."""

    command: Annotated[
        tuple[str, ...] | None, COMMAND, "as the search's, with ${epochs} or ${best_step}: for how long"
    ] = None
    arguments: Annotated[tuple[str, ...], ListOf(ARGUMENT), _APPENDED] = ()
    epochs: Annotated[int | None, Number(whole=True, least=1), "instead of as many as the search found best"] = None
    seeds: Annotated[int, Number(whole=True, least=1), "how many such trainings, each with a seed of its own"] = 1


class EvaluateSettings(Struct, frozen=True, kw_only=True):
    """How a model is scored on the test set."""

    command: Annotated[
        tuple[str, ...] | None, COMMAND, "with ${model}, the newest checkpoint, or ${checkpoint_dir}, where it lies"
    ] = None
    arguments: Annotated[tuple[str, ...], ListOf(ARGUMENT), _APPENDED] = ()
    metric: Annotated[
        str | MetricSettings | None,
        ByType(text=Text(), mapping=section(MetricSettings, required=("name",))),
        "what it calls the score; by default as the search does",
    ] = None


class NotifySettings(Struct, frozen=True, kw_only=True):
    """Who is told what of a search: a finding once and again when it is over, that it began well, and how it ended."""

    urls: Annotated[
        tuple[str, ...], ListOf(Text()), "where to, as Apprise has it (extra `notify`), with ${NAME} of the environment"
    ] = ()
    command: Annotated[
        tuple[str, ...] | None, COMMAND, "is run in the study's working directory with the finding as JSON on its input"
    ] = None
    what: Annotated[
        tuple[Told, ...],
        ListOf(Word(get_args(Told)), least=1),
        "which: findings by their level, that the first trials ended well, how it ended; error, warning, end by default",
    ] = ("error", "warning", "end")

    @classmethod
    def of(cls, given: Any) -> Self:
        """What a study file says: an URL, a list of them, or a mapping. What only earlier versions took says nothing."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            return cls(urls=(given,))
        if isinstance(given, (list, tuple)):
            return cls(urls=tuple(str(each) for each in given))
        known = given if isinstance(given, Mapping) else {}
        held = {key: value for key, value in known.items() if key in cls.__struct_fields__}
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in held.items()})

    def __bool__(self) -> bool:
        """Whether anybody is told anything."""
        return bool(self.urls or self.command)

    @property
    def on_record(self) -> dict[str, Any]:
        """As a record may have it: addresses without what they keep secret, and a command without its credentials."""
        command = None if self.command is None else list(self.command)
        urls = [mask_address(url) for url in self.urls]
        return mask_secrets({"urls": urls, "command": command, "what": list(self.what)})


class IndexSettings(Struct, frozen=True, kw_only=True):
    """How the study is kept and resumed, and which store it is shown in beside its own folder's."""

    url: Annotated[
        str | None,
        "a store that the study is written to as well: a path, sqlite:///path?timeout=60, a journal file, or any storage "
        "URL of Optuna's, with ${NAME} of the environment",
    ] = None
    timeout: Annotated[float | None, Duration(), "how long one try waits for that store; 10s by default"] = None
    in_memory: Annotated[bool, "nothing is kept: the study is gone when its run ends"] = False
    auto_resume: Annotated[bool, "false: a study that is there already is only gone on with by `run --resume`"] = True

    @classmethod
    def of(cls, given: Any) -> Self:
        """What a study file says: a store, or a mapping."""
        if isinstance(given, cls):
            return given
        return cls(url=given) if isinstance(given, str) else cls(**given)


class IsolationSettings(Struct, frozen=True, kw_only=True):
    """What a Python function's trials share: nothing, the imports of a worker that each is forked from, or a kept worker."""

    mode: Literal["process", "worker", "kept"] = "process"
    trials: int = 100  # a worker is replaced after so many

    @classmethod
    def of(cls, given: Any) -> Self:
        """What a study file says: a mode, or a mapping with the number of trials of a worker."""
        mode, trials = (
            next(iter(given.items())) if isinstance(given, Mapping) else (given, 1000 if given == "kept" else 100)
        )
        return cls(mode=mode, trials=trials)


class ExecutorSettings(ChosenSettings, frozen=True, kw_only=True):
    """What starts runners for `run`: this machine, or another executor."""

    name: str = "local"

    @property
    def plugged(self) -> bool:
        """Whether it is another one than this machine."""
        return self.name != "local"


class Settings(Struct, frozen=True, kw_only=True, dict=True):
    """One study file, resolved: dialect, `extends`, `--set` and defaults are behind us. In the order of the study file."""

    name: str
    command: tuple[str, ...] | None = None  # argv template with macros, never a shell string
    function: str | None = None  # package.module:name
    metrics: tuple[MetricSettings, ...]
    parameters: tuple[Parameter, ...] = ()
    nested: tuple[str, ...] | None = None  # parameters that hold others, where not every dot is a level
    budget: BudgetSettings = BudgetSettings()
    deadline: str | None = None  # since the session began, or on the clock
    sampler: SamplerSettings = SamplerSettings()
    pruner: PrunerSettings = PrunerSettings()
    constraints: tuple[str, ...] = ()
    enqueue: tuple[dict[str, Any], ...] = ()
    cwd: str | None = None  # as the study file says it; `working_directory` is what came of it
    config: str | None = None
    derive: str | None = None
    env: dict[str, str] = {}
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
    index: IndexSettings = IndexSettings()
    notify: NotifySettings = NotifySettings()
    tracking: TrackingSettings = TrackingSettings()
    later: dict[str, Any] = {}  # LATER_KEYS, as given
    #: Where the command runs: the study file's folder, or its `cwd`; never recorded absolute.
    working_directory: str = "."
    resolved: dict[str, Any] = {}  # the same in our dialect, plain data: what study.yaml says
    notes: tuple[str, ...] = ()  # what a person should know about this study file; not kept in `resolved`

    @cached_property
    def space(self) -> Space:
        """The search space of `parameters` and `constraints`."""
        from outlast.space.space import Space  # of whoever only looks, few ask for it

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
